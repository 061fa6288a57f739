"""What one call is admitted by, and what it took of its engine."""

from collections.abc import Callable
from dataclasses import dataclass


def _freely() -> None:
    return None


@dataclass(slots=True)
class Receipt:
    """Handed in with a call, filled in while it is made."""

    admit: Callable[[], None] = _freely
    """Asked once, when the call has its first slot and would begin; what it raises ends the call without an attempt."""
    admitted: bool = False
    attempts: int = 0
    engine_s: float = 0.0
    """Its share of the engine's working time, over all its attempts."""


@dataclass(slots=True)
class Busy:
    """Shares an engine's working time out among the calls at work side by side: with n of them, each has 1/n of every moment.

    So the shares of all calls add up to the time in which any was at work, whatever the batch. One running sum serves all calls (as virtual time does in
    processor sharing): a call's share is how far it rose while the call was at work.
    """

    _at_work: int = 0
    _shared_s: float = 0.0
    _since: float = 0.0

    def enter(self, now: float) -> float:
        """Begin a call; give what `leave` wants."""
        self._move(now)
        self._at_work += 1
        return self._shared_s

    def leave(self, now: float, entered: float) -> float:
        """End a call; give its share in seconds."""
        self._move(now)
        self._at_work -= 1
        return self._shared_s - entered

    def _move(self, now: float) -> None:
        if self._at_work:
            self._shared_s += (now - self._since) / self._at_work
        self._since = now
