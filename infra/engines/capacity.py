"""How many calls an endpoint should be given at once: found by trying, from its throughput and its refusals. Pure; no clock of its own.

What is sought is the lowest limit that gives the endpoint's best throughput. Below it slots stand idle; above it calls only wait in the server's queue
instead of ours. Latency alone can't tell the two apart: a model that batches in flight answers more slowly the more it is given, and rightly
so, as long as it gets more done in all. So throughput decides, by experiments on the running load:

    start-up   From 16, double after every round while a round brings at least 25 % more throughput (a doubling brings 100 % where slots are free,
               0 % where none are). A round is as many answers as the limit. A first disappointment is measured again at the same limit, because
               the answers of a round were partly asked for at the limit before. 16 to 1024 takes about seven latencies.
    steady     Three phases at the limit, then one experiment, alternately a quarter above and a fifth below. A phase lets as many answers pass as
               the limit (they belong to the limit before) and measures the next three times as many, 96 at least: with log-normal latencies
               of sigma 1 a mean of 96 is known to 13 %, of 384 to 7 %. The limit moves up if the experiment brought a quarter of the 25 % it could, and down
               only if it cost under 2 %: a limit somewhat too high costs nothing, one too low costs idle slots. A move that succeeded is
               tried again at once, so a step in capacity is followed. Where the throughput at one limit fell by two fifths, an experiment at the half
               follows at once: either slots were taken away, or answers have become longer, and only trying tells which.
    refusals   'Queue full' in an experiment ends it and doubles the wait for the next such one (up to 48 phases); otherwise it cuts the limit to 85 %.
               A deadline cuts to 70 %: it costs a whole answer. One cut a round: calls started before the last change don't count.

Phases in which the limit was not used to the full (too few calls to make) prove nothing and are measured again. So an idle endpoint keeps its limit.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Self

from schemas.errors import EngineFault

START = 16
MOST = 4096
_LEAST_START = 8
_STARTUP_GAIN = 1.25
_STEP = 1.25
_UP_SHARE = 0.25
"""Of what an experiment above could bring at most, how much it must bring."""
_DOWN_KEEPS = 0.98
_REFUSED = 0.85
_LATE = 0.70
_MEASURED_ROUNDS = 3
_LEAST_MEASURED = 96
_LAGS = 3
_FELL = 0.6
_DEEP_STEP = 2.0
_HOLDS = 3
_MOST_HOLDS = 48
_FULL_SHARE = 0.9
"""Of the answers in a phase, how many must have come while the limit was used to the full."""


class _Mode(Enum):
    STARTUP = "startup"
    HOLD = "hold"
    UP = "up"
    DOWN = "down"


@dataclass(slots=True)
class _Phase:
    """One measurement at one limit."""

    since: float
    settle: int
    """Answers still to let pass."""
    measure: int
    counted: int = 0
    full: int = 0
    measured_from: float = 0.0
    settled_at: float = 0.0
    """No answer before counts either."""
    least_s: float = 0.0
    """How long is measured at least."""

    def count(self, now: float, answers: int, *, full: bool) -> bool:
        """Take answers in; True when the phase is complete."""
        if self.settle > 0 or now < self.settled_at:
            self.settle -= answers
            self.measured_from = now
            return False
        self.counted += answers
        self.full += answers if full else 0
        return self.counted >= self.measure and now >= self.measured_from + self.least_s

    def rate(self, now: float) -> float | None:
        """Answers a second; None where the limit was not used to the full."""
        if self.full < _FULL_SHARE * self.counted:
            return None
        return self.counted / max(now - self.measured_from, 1e-9)


@dataclass(slots=True)
class Capacity:
    """The limit of one endpoint, moved by what its calls meet."""

    now: float
    """When this begins."""
    limit: int = START
    most: int = MOST
    sharers: int = 1
    """Processes that go by this limit, each (company.py)."""
    lag_s: float = 0.0
    """How long a change takes until it is in force at all of them. Their answers come in lots, so a phase is measured for several times as long."""
    _mode: _Mode = _Mode.STARTUP
    _base: int = 0
    _base_rate: float | None = None
    _again: bool = False
    """In start-up: the present round repeats one that disappointed."""
    _holds: int = 0
    """Phases since the last experiment."""
    _wait: int = _HOLDS
    _next: _Mode = _Mode.DOWN
    _deep: bool = False
    """Whether experiments below are at the half."""
    _phase: _Phase = field(init=False)

    def __post_init__(self) -> None:
        self._base = self.limit
        self._phase = _Phase(self.now, 0, self.limit, measured_from=self.now)

    @classmethod
    def holding(cls, now: float, limit: int) -> Self:
        """Begin at a limit known from elsewhere, without a start-up."""
        capacity = cls(now, limit)
        capacity._hold(now, limit)
        return capacity

    def scale(self, now: float, share: float) -> None:
        """Go on at a share of the limit, where others have come to use the endpoint by this limit, too; or at a multiple, where some have left."""
        self._base_rate, self._again = None, False
        limit = max(1, round(self._base * share))
        if self._mode is _Mode.STARTUP:
            self._base = max(limit, min(self.limit, _LEAST_START))  # rounds of fewer answers would end it by chance
            self._measure(now, self._base)
        else:
            self._hold(now, limit)

    def answered(self, now: float, *, full: bool, answers: int = 1) -> None:
        """Take in answers; `full` says whether the limit was used up when they came."""
        if not self._phase.count(now, answers, full=full):
            return
        rate = self._phase.rate(now)
        if rate is None:
            self._measure(now, self.limit)
        elif self._mode is _Mode.STARTUP:
            self._after_startup_round(now, rate)
        elif self._mode is _Mode.HOLD:
            self._after_hold(now, rate)
        else:
            self._after_experiment(now, rate)

    def failed(self, now: float, started: float, fault: EngineFault) -> None:
        """Take in a failure. Only a full queue and a missed deadline say something of capacity."""
        if fault not in (EngineFault.OVERLOADED, EngineFault.DEADLINE) or started < self._phase.since:
            return
        if self._mode is _Mode.UP and fault is EngineFault.OVERLOADED:
            self._wait = min(_MOST_HOLDS, 2 * self._wait)
            self._hold(now, self._base)
            return
        share = _REFUSED if fault is EngineFault.OVERLOADED else _LATE
        self._base_rate = None
        self._hold(now, int(self._base_of_cut() * share))

    def _base_of_cut(self) -> int:
        return self.limit if self._mode is _Mode.STARTUP else min(self.limit, self._base)

    def _after_startup_round(self, now: float, rate: float) -> None:
        if self._base_rate is None or rate >= _STARTUP_GAIN * self._base_rate:
            self._base, self._base_rate, self._again = self.limit, rate, False
            self._measure(now, 2 * self.limit, rounds=1, settled=True)
        elif not self._again:
            self._again = True
            self._measure(now, self.limit, rounds=1, settled=True)
        else:
            # What the doubled limit brought, in slots of the limit before: where the knee is.
            knee = round(self._base * rate / self._base_rate)
            self._base_rate = None
            self._hold(now, min(self.limit, max(self._base, knee)))

    def _after_hold(self, now: float, rate: float) -> None:
        self._deep = self._base_rate is not None and rate < _FELL * self._base_rate
        if self._deep:
            self._base_rate = rate
            self._experiment(now, _Mode.DOWN)
            return
        self._base_rate = rate if self._base_rate is None else (self._base_rate + rate) / 2
        self._holds += 1
        if self._holds < (self._wait if self._next is _Mode.UP else _HOLDS):
            self._measure(now, self.limit)
        else:
            self._experiment(now, self._next)

    def _after_experiment(self, now: float, rate: float) -> None:
        assert self._base_rate is not None
        gain, step = rate / self._base_rate, self.limit / self._base
        up = self._mode is _Mode.UP
        if gain >= (1 + _UP_SHARE * (step - 1) if up else _DOWN_KEEPS):
            self._base, self._base_rate, self._wait = self.limit, rate, _HOLDS
            self._experiment(now, self._mode)
        else:
            self._next = _Mode.DOWN if up else _Mode.UP
            self._hold(now, self._base)

    def _experiment(self, now: float, mode: _Mode) -> None:
        self._mode, self._next = mode, (_Mode.DOWN if mode is _Mode.UP else _Mode.UP)
        below = _DEEP_STEP if self._deep else _STEP
        step = max(self._base + 1, round(self._base * _STEP)) if mode is _Mode.UP else min(self._base - 1, round(self._base / below))
        if min(max(step, 1), self.most) == self._base:
            self._hold(now, self._base)
        else:
            self._measure(now, step)

    def _hold(self, now: float, limit: int) -> None:
        self._mode, self._holds = _Mode.HOLD, 0
        self._base = min(max(limit, 1), self.most)
        self._measure(now, self._base)

    def _measure(self, now: float, limit: int, *, rounds: int = _MEASURED_ROUNDS, settled: bool = False) -> None:
        self.limit = min(max(limit, 1), self.most)
        together = self.limit * self.sharers
        if self._mode is _Mode.STARTUP:
            self._phase = _Phase(now, 0, together, measured_from=now, settled_at=now + self.lag_s, least_s=_LAGS * self.lag_s)
        else:
            count = max(_LEAST_MEASURED, rounds * together)
            self._phase = _Phase(now, together, count, measured_from=now, settled_at=now + self.lag_s, least_s=_LAGS * self.lag_s)
