"""One replica of one card: its engine, its limiter (which it may share with another card's) and its circuit."""

import asyncio
from dataclasses import dataclass, field

from infra.engines.circuit import Circuit
from infra.engines.limiter import Limiter, Slot
from infra.engines.receipt import Busy
from schemas.engine import Engine
from schemas.errors import EngineFault


@dataclass(slots=True, eq=False)
class Endpoint:
    """Takes calls while its limiter has room and its circuit lets them pass. Belongs to one event loop."""

    name: str
    engine: Engine
    limiter: Limiter
    circuit: Circuit
    busy: Busy = field(default_factory=Busy)
    _alarm: asyncio.TimerHandle | None = None

    @property
    def ready(self) -> bool:
        """Whether a call may be made now."""
        return self.limiter.room and self.circuit.passes

    def take(self) -> Slot:
        """Take a slot; only where ready."""
        self.circuit.enter()
        return self.limiter.take()

    def answered(self, slot: Slot) -> float:
        """Note an answer; returns the call's seconds."""
        self.circuit.succeeded()
        seconds = self.limiter.answered(slot)
        self._tell()
        return seconds

    def failed(self, slot: Slot, fault: EngineFault, retry_after_s: float | None) -> None:
        """Note a failure."""
        self.circuit.failed(fault)
        self.limiter.failed(slot, fault, retry_after_s)
        self._tell()

    def unused(self, slot: Slot) -> None:
        """Note a call that was cancelled."""
        self.circuit.leave()
        self.limiter.unused(slot)
        self._tell()

    def _tell(self) -> None:
        self.limiter.tell()
        wait = max(self.circuit.open_s or 0.0, self.limiter.pause_s)
        if wait > 0 and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(wait + _AFTER_S, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self._tell()


_AFTER_S = 0.001
"""Clocks have a resolution: a moment later the wait is surely over."""
