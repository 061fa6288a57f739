"""The desk that a call passes: queue, slot, service time, fault. One per served model; all of it on one event loop's thread."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from infra.triton.options import RehearsalOptions
from infra.triton.rehearsal_language.draw import Draw

_FIRST_CHECK_S = 0.1
"""As TensorRT-LLM's models look whether a caller has gone (cancellation_check_period_ms); short calls don't look."""
_LONGEST_CHECK_S = 1.0
"""Each look is a message to the server's process, so a long call looks less and less often: at 256 slots, ten a second each would take half a core."""


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


class Slots:
    """Places for calls in service, first come, first served; their number may change at any time."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return sum(not one.done() for one in self._waiting)

    @property
    def full(self) -> bool:
        """Whether a call that comes now must wait."""
        return self.taken >= self.number

    async def take(self) -> None:
        """Wait for a slot and take it."""
        if not self.full and not self._waiting:
            self.taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """Let a slot go."""
        self.taken -= 1
        self._let_in()

    def resize(self, number: int) -> None:
        """Have so many from now on; calls in service beyond that are served to their end."""
        self.number = number
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and not self.full:
            turn = self._waiting.popleft()
            if not turn.done():
                self.taken += 1
                turn.set_result(None)


class Desk:
    """Slots and a queue before them."""

    def __init__(self, options: RehearsalOptions, on_peak: Callable[[int], None]) -> None:
        self._options = options
        self.slots = Slots(options.slots)
        self._on_peak = on_peak
        self._peak = self._attempts = 0

    @asynccontextmanager
    async def serve(self, content: str, sender: Sender) -> AsyncIterator[None]:
        """Wait for a slot, and hold it for the call's service time and the block. Raises Overloaded, Faulty, Cancelled."""
        self._attempts += 1
        draw = Draw(self._options.seed, "desk", self._attempts)
        await self._enter()
        try:
            await self._work(Draw(self._options.seed, "latency", content), sender)
            if draw.chance(self._options.fault_rate):
                raise Faulty("a fault of the rehearsal model, asked for by fault_rate")
            yield
        finally:
            self.slots.give_back()

    async def _enter(self) -> None:
        if self.slots.full and 0 < self._options.queue <= self.slots.waiting:
            raise Overloaded("Exceeds maximum queue size")
        await self.slots.take()
        if self.slots.taken > self._peak:
            self._peak = self.slots.taken
            self._on_peak(self._peak)

    async def _work(self, draw: Draw, sender: Sender) -> None:
        loop = asyncio.get_running_loop()
        # Until a moment, not for a number of naps: each nap ends a little late, and the service time would grow by it.
        until = loop.time() + self._options.latency_s * math.exp(self._options.latency_sigma * draw.noise())
        nap = _FIRST_CHECK_S
        while (left := until - loop.time()) > nap:
            await asyncio.sleep(nap)
            nap = min(2 * nap, _LONGEST_CHECK_S)
            if sender.is_cancelled():
                raise Cancelled
        if left > 0:
            await asyncio.sleep(left)
