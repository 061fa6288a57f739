"""One endpoint's share of calls in flight: counts them, and asks how many there may be: Guided where the server tells how busy it is, else
Company, which goes by Capacity.

Waiting is not done here: see line.py. Everything runs on one event loop; there are no locks.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.engines.capacity import Capacity
from infra.engines.company import Company
from infra.engines.guided import Guided
from schemas.engine import Seat, ServerLoad
from schemas.errors import EngineFault


@dataclass(frozen=True, slots=True)
class Slot:
    """Leave to make one call."""

    since: float


class Limiter:
    """Hands out slots, never more than the limit.

    slot = limiter.take(); …; limiter.answered(slot) or limiter.failed(slot, fault, retry_after_s) or limiter.unused(slot)
    """

    def __init__(self, clock: Callable[[], float], capacity: Capacity | None = None) -> None:
        self._clock = clock
        self._company = Company(capacity or Capacity(clock()))
        self._guided: Guided | None = None
        self._was_full = False
        """Since the server, or the others who share it, were last looked at."""
        self._paused_until = float("-inf")
        self._listeners: deque[Callable[[], None]] = deque()
        self.in_flight = 0

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a line called whenever there may be room."""
        self._listeners.append(listener)

    def tell(self) -> None:
        """Call the lines, each time beginning with another, so that none gets all the room."""
        self._listeners.rotate(1)
        for listener in tuple(self._listeners):
            listener()

    @property
    def limit(self) -> int:
        """Most calls in flight, as of now."""
        return self._guided.limit if self._guided else self._company.limit

    @property
    def load(self) -> float:
        """Share of the limit in use."""
        return self.in_flight / self.limit

    @property
    def room(self) -> bool:
        """Whether one more call may be made now."""
        return self.in_flight < self.limit and self.pause_s <= 0

    @property
    def pause_s(self) -> float:
        """Seconds until the server wants to be asked again; 0 or less if it may be asked."""
        return self._paused_until - self._clock()

    def take(self) -> Slot:
        """Take a slot; only where there is room."""
        assert self.in_flight < self.limit
        self.in_flight += 1
        self._was_full = self._was_full or self.in_flight >= self.limit
        return Slot(self._clock())

    def looked(self, load: ServerLoad | None) -> None:
        """Take in what the server says of its load; None says that it doesn't, and experiments go on from where its word had led."""
        if load is None:
            if self._guided is not None:
                self._company = Company(Capacity.holding(self._clock(), self._guided.limit))
                self._guided = None
            return
        if self._guided is None:
            self._guided = Guided(self._company.limit)
        self._guided.looked(load, in_flight=self.in_flight, full=self._was_full)
        self._was_full = self.in_flight >= self.limit
        self.tell()

    @property
    def seat(self) -> Seat | None:
        """How this process is, for others who share the endpoint; None where the server tells its load, or no call is made."""
        return None if self._guided or not self.in_flight else self._company.seat(hungry=self._was_full)

    def met(self, seats: Sequence[Seat]) -> None:
        """Take in who shares the endpoint, this process among them."""
        self._company.met(self._clock(), seats)
        self._was_full = self.in_flight >= self.limit
        self.tell()

    def answered(self, slot: Slot) -> float:
        """Give a slot back after an answer; returns the call's seconds."""
        now = self._clock()
        full = self.in_flight >= self.limit
        self.in_flight -= 1
        if self._guided is None:
            self._company.answered(now, full=full)
        return now - slot.since

    def failed(self, slot: Slot, fault: EngineFault, retry_after_s: float | None = None) -> None:
        """Give a slot back after a failure."""
        now = self._clock()
        self.in_flight -= 1
        if self._guided is None:
            self._company.failed(now, slot.since, fault)
        elif fault is EngineFault.OVERLOADED:
            self._guided.refused(now, slot.since)
        if retry_after_s is not None and fault is EngineFault.OVERLOADED:
            self._paused_until = max(self._paused_until, now + min(retry_after_s, _LONGEST_PAUSE_S))

    def unused(self, slot: Slot) -> None:
        """Give a slot back of which nothing is learnt: its call was cancelled."""
        self.in_flight -= 1


_LONGEST_PAUSE_S = 300.0
"""A server that asks for hours (a daily quota) is asked again after five minutes: the retries' own bounds then end the call with a clear error."""
