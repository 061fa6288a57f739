"""The desk that a call passes: queue, slot, service time, fault. One per served model; all of it on one event loop's thread."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from infra.triton.options import RehearsalOptions
from infra.triton.rehearsal_language.draw import Draw

_CANCEL_CHECK_S = 0.1
"""As TensorRT-LLM's models do (cancellation_check_period_ms); each check is a message to the server's process, so short calls make none."""


class Overloaded(Exception):  # noqa: N818
    """The queue is full."""


class Faulty(Exception):  # noqa: N818
    """A fault that was asked for; asked again, the call may pass."""


class Cancelled(Exception):  # noqa: N818
    """Nobody waits for the answer any more."""


class Sender(Protocol):
    """What the desk needs of Triton's response sender."""

    def is_cancelled(self) -> bool:
        """Say whether the client has gone."""
        ...


class Desk:
    """Slots and a queue before them."""

    def __init__(self, options: RehearsalOptions, on_peak: Callable[[int], None]) -> None:
        self._options = options
        self._free = asyncio.Semaphore(options.slots)
        self._on_peak = on_peak
        self._waiting = self._serving = self._peak = self._attempts = 0

    @asynccontextmanager
    async def serve(self, content: str, sender: Sender) -> AsyncIterator[None]:
        """Wait for a slot, and hold it for the call's service time and the block. Raises Overloaded, Faulty, Cancelled."""
        self._attempts += 1
        draw = Draw(self._options.seed, "desk", self._attempts)
        await self._enter(sender)
        try:
            await self._work(Draw(self._options.seed, "latency", content), sender)
            if draw.chance(self._options.fault_rate):
                raise Faulty("a fault of the rehearsal model, asked for by fault_rate")
            yield
        finally:
            self._serving -= 1
            self._free.release()

    async def _enter(self, sender: Sender) -> None:
        queued = self._free.locked()
        if queued and 0 < self._options.queue <= self._waiting:
            raise Overloaded("Exceeds maximum queue size")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        self._serving += 1
        if self._serving > self._peak:
            self._peak = self._serving
            self._on_peak(self._peak)

    async def _work(self, draw: Draw, sender: Sender) -> None:
        left = self._options.latency_s * math.exp(self._options.latency_sigma * draw.noise())
        while left > _CANCEL_CHECK_S:
            await asyncio.sleep(_CANCEL_CHECK_S)
            left -= _CANCEL_CHECK_S
            if sender.is_cancelled():
                raise Cancelled
        if left > 0:
            await asyncio.sleep(left)
