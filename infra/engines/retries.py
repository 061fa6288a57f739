"""Which failed calls are made again, how often, and after how long: one table by fault. A call is made again with the same seed."""

import random
from collections import Counter
from dataclasses import dataclass, field

from infra.engines.circuit import SICK
from schemas.engine import Answer, Completion
from schemas.errors import EngineError, EngineFault

ATTEMPTS = {
    # Not bounded by number: the circuit spaces the attempts, and the line gives up after its patience.
    EngineFault.UNREACHABLE: 1000,
    # The limiter has cut by then; other clients may need minutes to let go.
    EngineFault.OVERLOADED: 64,
    EngineFault.UNHEALTHY: 8,
    EngineFault.CANCELLED: 8,
    # Each costs up to the whole deadline.
    EngineFault.DEADLINE: 3,
    # With the same seed the same garbage is likely, unless it was made on the way.
    EngineFault.GARBLED: 3,
    # A sick GPU gives NaN once; a conversation that overflows the model gives it always.
    EngineFault.UNGRADED: 2,
}
"""Attempts that may end so before the call fails; of faults not named here, one."""

EMPTY = 3
"""Empty answers before one is believed: servers in trouble give them, models hardly ever, and they cost next to nothing."""

_FIRST_S = 0.25
_LONGEST_S = 20.0


@dataclass(slots=True)
class Failures:
    """The failed attempts of one call."""

    last: EngineError | None = None
    counts: Counter[EngineFault] = field(default_factory=Counter)
    empty: int = 0

    def believe(self, answer: Answer) -> bool:
        """Say whether an answer is taken as it came."""
        if not isinstance(answer, Completion) or answer.text.strip():
            return True
        self.empty += 1
        return self.empty >= EMPTY

    def add(self, error: EngineError) -> None:
        """Take in a failed attempt. Raises EngineError if there should be no other."""
        self.last = error
        self.counts[error.fault] += 1
        if self.counts[error.fault] >= ATTEMPTS.get(error.fault, 1):
            raise self._sum_up(error) from error

    def delay_s(self, *, other_replica: bool) -> float:
        """Say how long to wait: full jitter under a doubling bound (Brooker 2015); at once where another replica can be asked."""
        last = self.last
        if last is None:
            return 0.0
        if last.retry_after_s is not None:
            return 0.0  # the endpoint itself is paused for as long as the server asked
        if other_replica and last.fault in SICK:
            return 0.0
        return random.uniform(0, min(_LONGEST_S, _FIRST_S * 2 ** min(self.counts[last.fault], 10)))

    def _sum_up(self, last: EngineError) -> EngineError:
        """Make one error of them: the one whose fault was met once too often, with how often each was met."""
        attempts = self.counts.total()
        if attempts == 1:
            return last
        met = ", ".join(f"{count} {fault.value}" for fault, count in self.counts.most_common())
        return EngineError(f"{last} (after {attempts} attempts: {met})", fault=last.fault, retry_after_s=last.retry_after_s)
