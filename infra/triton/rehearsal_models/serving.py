"""How a rehearsal model serves: many calls at once in one process, with slots, a queue, latency and faults.

Found by trying on Triton 2.51: in the default (not decoupled) mode `execute` may take each request's response sender, return None at once and send later from
another thread; Triton then hands over further requests meanwhile, also through an ensemble. So one stub with an event loop serves any number of
slots, as TensorRT-LLM's llmapi model does, where one process a slot would cost 40 MB each.
"""

import asyncio
import random
import threading
from collections.abc import Sequence
from typing import Any

import triton_python_backend_utils as pb

from infra.triton.rehearsal_models.options import Options, read_options

_FINAL = pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class ServedModel:
    """Base of every rehearsal model: a subclass says how to answer one request."""

    def initialize(self, args: dict[str, str]) -> None:
        """Take up work (called by Triton)."""
        self.options: Options = read_options()
        self._free = asyncio.Semaphore(self.options.slots)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def execute(self, requests: Sequence[Any]) -> None:
        """Accept requests (called by Triton, from one thread)."""
        for request in requests:
            asyncio.run_coroutine_threadsafe(self._serve(request, request.get_response_sender()), self._loop)

    def finalize(self) -> None:
        """Stop (called by Triton)."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def answer(self, request: Any) -> Any:
        """Make the response to one request. A ValueError is the asker's fault."""
        raise NotImplementedError

    async def _serve(self, request: Any, sender: Any) -> None:
        async with self._free:
            try:
                await asyncio.sleep(random.lognormvariate(0, self.options.latency_sigma) * self.options.latency_s)
                response = self.answer(request)
            except ValueError as error:
                response = pb.InferenceResponse(error=pb.TritonError(str(error), pb.TritonError.INVALID_ARG))
        sender.send(response, flags=_FINAL)
