"""When to leave an endpoint alone: after three failures in a row it gets one probing call at a time, at growing intervals, until one succeeds."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.errors import EngineFault

SICK = frozenset({EngineFault.UNREACHABLE, EngineFault.DEADLINE, EngineFault.UNHEALTHY})
"""Faults that say something of the endpoint's health. A full queue does not: that is the limiter's."""

_OPENS_AFTER = 3
_FIRST_S = 0.5
_LONGEST_S = 15.0


@dataclass(slots=True)
class Circuit:
    """Closed: calls pass. Open: none. Half open: one probe."""

    clock: Callable[[], float]
    failures: int = 0
    """In a row."""
    sick_since: float | None = None
    """The first of them."""
    _retry_at: float | None = None
    _interval_s: float = _FIRST_S
    _probing: bool = False

    @property
    def passes(self) -> bool:
        """Whether a call may be made now."""
        return self._retry_at is None or (not self._probing and self.clock() >= self._retry_at)

    @property
    def open_s(self) -> float | None:
        """Seconds until the next probe; None while closed."""
        return None if self._retry_at is None else max(0.0, self._retry_at - self.clock())

    @property
    def sick_s(self) -> float:
        """How long nothing has succeeded, while it is open; else 0."""
        return 0.0 if self._retry_at is None or self.sick_since is None else self.clock() - self.sick_since

    def enter(self) -> None:
        """Let a call pass."""
        self._probing = self._retry_at is not None

    def leave(self) -> None:
        """Note that a call ended without saying anything of health."""
        self._probing = False

    def succeeded(self) -> None:
        """Note an answer: any answer closes the circuit."""
        self.failures, self.sick_since, self._retry_at, self._interval_s, self._probing = 0, None, None, _FIRST_S, False

    def failed(self, fault: EngineFault) -> None:
        """Note a failure."""
        if fault not in SICK:
            self.leave()
            return
        now = self.clock()
        self.failures += 1
        self.sick_since = now if self.sick_since is None else self.sick_since
        if self._retry_at is None and self.failures >= _OPENS_AFTER:
            self._retry_at = now + self._interval_s
        elif self._probing:
            self._interval_s = min(_LONGEST_S, 2 * self._interval_s)
            self._retry_at = now + self._interval_s
            self._probing = False
