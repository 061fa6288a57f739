"""How a rehearsal model serves: many calls at once in one process.

Found by trying on Triton 2.51: in the default (not decoupled) mode `execute` may take each request's response sender, return None at once and send later from
another thread; Triton hands over further requests meanwhile, also through an ensemble. So one stub with an event loop serves any number of slots, as
TensorRT-LLM's llmapi model does, where one process a slot would cost 40 MB each.
"""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

from infra.triton.options import RehearsalOptions, read_options, read_slots
from infra.triton.rehearsal_models.desk import Cancelled, Desk, Faulty, Overloaded

Tensors = dict[str, Any]
"""Name to numpy array."""

_FINAL = pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a model reads it."""

    content: str
    """The text that it is about."""
    seed: int
    inputs: Tensors


class Figures:
    """What a model tells on the server's metrics page, beside Triton's own figures."""

    def __init__(self, model: str) -> None:
        # The families are kept: a metric can't be set any more once its family is gone.
        self._families = (
            pb.MetricFamily(name="rehearsal_peak_in_service", description="Most calls in service at once since the start", kind=pb.MetricFamily.GAUGE),
            pb.MetricFamily(name="rehearsal_cancelled", description="Calls that ended in service because their client had gone", kind=pb.MetricFamily.COUNTER),
        )
        self.peak, self.cancelled = (family.Metric(labels={"model": model}) for family in self._families)
        # By the name and the labels by which TensorRT-LLM's backend tells of its batch.
        self._load = pb.MetricFamily(name="nv_trt_llm_request_metrics", description="TRT LLM request metrics", kind=pb.MetricFamily.GAUGE)
        self._told: dict[str, int] = {}
        self._gauges = {kind: self._load.Metric(labels={"model": model, "version": "1", "request_type": kind}) for kind in _LOADS}

    def tell_load(self, *, running: int, waiting: int, most: int) -> None:
        """Show how many calls are served and how many wait; each changed figure is a message to the server's process."""
        now = {"active": running + waiting, "scheduled": running, "waiting": waiting, "max": most}
        for kind, figure in now.items():
            if self._told.get(kind) != figure:
                self._gauges[kind].set(figure)
        self._told = now


_LOADS = ("active", "scheduled", "waiting", "max")
_TELL_S = 0.05


class ServedModel:
    """Base of every rehearsal model: a subclass reads a request and answers it."""

    def initialize(self, args: dict[str, str]) -> None:
        """Take up work (called by Triton)."""
        self.name = args["model_name"]
        self.options: RehearsalOptions = read_options()
        self._figures = Figures(self.name)
        self._desk = Desk(self.options, self._figures.peak.set)
        self._faults = 0
        self._loop = asyncio.new_event_loop()
        self._loop.call_soon(self._tend)
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()

    def execute(self, requests: Sequence[Any]) -> None:
        """Accept requests (called by Triton, from one thread)."""
        for request in requests:
            asyncio.run_coroutine_threadsafe(self._serve(request, request.get_response_sender()), self._loop)

    def finalize(self) -> None:
        """Stop (called by Triton)."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def read(self, inputs: Tensors) -> Call:
        """Read a request. A ValueError is the asker's fault."""
        raise NotImplementedError

    def answer(self, call: Call) -> Iterable[Tensors]:
        """Answer a call, by one response; a decoupled model, by one or more."""
        raise NotImplementedError

    def asked(self, call: Call) -> Iterable[str]:
        """List what a call asked, for the log: a line each."""
        return (call.content,)

    def _tend(self) -> None:
        slots = self._desk.slots
        if self.options.control is not None and (asked := read_slots(self.options.control)) not in (None, slots.number):
            slots.resize(asked)
        self._figures.tell_load(running=slots.taken, waiting=slots.waiting, most=slots.number)
        self._loop.call_later(_TELL_S, self._tend)

    async def _serve(self, request: Any, sender: Any) -> None:
        try:
            call = self.read({tensor.name(): tensor.as_numpy() for tensor in request.inputs()})
            async with self._desk.serve(f"{call.content}\x1f{call.seed}", sender):
                responses = list(self.answer(call))
            self._note(request, call)
        except Exception as error:
            sender.send(pb.InferenceResponse(error=self._error(error)), flags=_FINAL)
        else:
            self._send(sender, request.requested_output_names(), responses)

    def _send(self, sender: Any, wanted: Iterable[str], responses: list[Tensors]) -> None:
        names = frozenset(wanted)
        for number, tensors in enumerate(responses, start=1):
            response = pb.InferenceResponse([pb.Tensor(name, value) for name, value in tensors.items() if name in names])
            sender.send(response, flags=_FINAL if number == len(responses) else 0)

    def _error(self, error: Exception) -> Any:
        match error:
            case Overloaded():
                code = pb.TritonError.UNAVAILABLE
            case Cancelled():
                self._figures.cancelled.increment(1)
                code = pb.TritonError.CANCELLED
            case Faulty():
                self._faults += 1
                code = (pb.TritonError.UNAVAILABLE, pb.TritonError.INTERNAL)[self._faults % 2]
            case ValueError():
                code = pb.TritonError.INVALID_ARG
            case _:
                code = pb.TritonError.INTERNAL
        return pb.TritonError(str(error) or type(error).__name__.lower(), code)

    def _note(self, request: Any, call: Call) -> None:
        if self.options.call_log:
            line = {"model": self.name, "request_id": request.request_id(), "seed": call.seed}
            # One write of a few short lines to a file opened for appending: the models' processes don't cut into each other's lines.
            lines = (json.dumps(line | {"content_sha256": sha256(text.encode()).hexdigest()}) + "\n" for text in self.asked(call))
            with open(self.options.call_log, "a", encoding="utf-8") as log:
                log.write("".join(lines))


def text_of(inputs: Tensors, name: str) -> str:
    """Read a string input. Raises ValueError if it is not there or not UTF-8."""
    if name not in inputs or not inputs[name].size:
        raise ValueError(f"the input {name} is empty")
    text: str = inputs[name].reshape(-1)[0].decode()
    return text


def texts_of(inputs: Tensors, name: str) -> tuple[str, ...]:
    """Read a list of strings; none where it is not given."""
    return tuple(one.decode() for one in inputs[name].reshape(-1)) if name in inputs else ()


def value_of(inputs: Tensors, name: str, default: Any) -> Any:
    """Read a single number or flag, or take the default."""
    return inputs[name].reshape(-1)[0].item() if name in inputs and inputs[name].size else default


def text_tensor(text: str, *, dims: int) -> Any:
    """Make a string tensor of one element."""
    return np.array([text.encode()], dtype=np.object_).reshape((1,) * dims)


def _leave_with_parent(parent: int) -> None:
    # Triton's stubs outlive a killed tritonserver; the supervisor ends them, unless it was killed as well.
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)
