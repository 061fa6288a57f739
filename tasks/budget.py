"""Whether another call may begin: a recipe's caps on what is spent, and the early stop of a run whose records come to nothing.

A stage's allowance is a value that travels to Dask workers; the gate that it opens in each process is asked before every call. At a cap no further
call begins; those at work are finished and journalled, so nothing paid for is lost.
"""

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import lru_cache, partial
from math import sqrt
from pathlib import Path

from infra.engines.receipt import Receipt
from infra.purse import NO_CAPS, Caps, Purse
from schemas.engine import Answer, Completion
from schemas.errors import BudgetReachedError, StoppedError, TooManyFailuresError
from schemas.spending import Price, Spent

WINDOW = 400
"""Outcomes on which failures are judged, the latest ones: a fault that begins late is not hidden by what went well before."""
LEAST = 64
"""Outcomes without which nothing is judged."""
_Z = 3.29
"""Standard errors to the bound: 1 in 2,000 by chance, at one look (one-sided)."""
_CAUSES = 3
_CAP_NAMES = {"calls": "calls", "tokens": "tokens", "seconds": "hours", "money": "money"}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one stage may spend."""

    purse: Path | None = None
    """None: nothing is capped, and nothing counted."""
    caps: Caps = NO_CAPS
    prices: tuple[tuple[str, Price], ...] = ()
    """Model card id to its price."""
    version: str = ""
    """Of the table of prices."""
    failures: float | None = None
    publish: bool = False
    """Whether records that could not be begun are dropped, and the rest goes on."""
    engine_share: float = 1.0
    """Of an engine's time, what one process has of it: processes that share an engine each see all of its time."""
    opened: str = ""
    """Names the process that opened the run: a Dask worker that outlives it begins the next one with a gate of its own."""

    @property
    def gate(self) -> "Gate":
        """Give the gate of this process."""
        return _gate(self)


UNLIMITED = Allowance()


@dataclass
class Window:
    """The latest outcomes of one technique at one stage."""

    outcomes: deque[str] = field(default_factory=lambda: deque(maxlen=WINDOW))
    """Reasons of failures; an empty one is a success."""
    failed: int = 0

    def add(self, reason: str) -> None:
        """Take an outcome in."""
        if len(self.outcomes) == WINDOW:
            self.failed -= bool(self.outcomes[0])
        self.outcomes.append(reason)
        self.failed += bool(reason)

    def surely_above(self, limit: float) -> bool:
        """Say whether the share of failures is above a limit beyond what chance may do."""
        return len(self.outcomes) >= LEAST and lower_bound(self.failed, len(self.outcomes)) > limit

    def causes(self) -> str:
        """Name the commonest reasons."""
        counted = Counter(reason for reason in self.outcomes if reason)
        return ", ".join(f"{reason} {count}" for reason, count in sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:_CAUSES])


def lower_bound(failed: int, of: int) -> float:
    """Bound a share from below, as Wilson (1927) does: the least share that makes what was seen no rarer than `_Z` standard errors."""
    share, z2 = failed / of, _Z * _Z
    return (share + z2 / (2 * of) - _Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of))) / (1 + z2 / of)


class Gate:
    """Asked before a call begins, told what it cost and what became of its record. One a process and stage."""

    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self._purse = Purse.open(allowance.purse) if allowance.purse else None
        self._prices = dict(allowance.prices)
        self._windows: dict[str, Window] = {}
        self._stop: StoppedError | None = None
        self._lock = threading.Lock()

    @property
    def publishes(self) -> bool:
        """Whether a stage goes on without the records that could not be begun."""
        return self.allowance.publish and isinstance(self._stop, BudgetReachedError)

    def receipt(self, calls: int = 1) -> Receipt:
        """Give what a call is admitted by, or a batch that counts as so many."""
        return Receipt(partial(self.admit, calls))

    def admit(self, calls: int = 1) -> None:
        """Let a call begin, or a batch of them. Raises StoppedError."""
        if self._stop is None and self._purse is not None and (reached := self._purse.admit(self.allowance.caps, calls)):
            self._stop = BudgetReachedError(_say_cap(reached, self.allowance.caps))
        if self._stop is not None:
            raise type(self._stop)(str(self._stop))

    def lost(self, receipt: Receipt, calls: int = 1) -> None:
        """Take in a call, or a batch of them, that came to nothing."""
        if receipt.admitted and self._purse is not None:
            self._purse.give_back(calls)

    def paid(self, model: str, answer: Answer, receipt: Receipt) -> None:
        """Take in what a call cost."""
        if self._purse is None:
            return
        cost = self.price(model, answer, receipt.engine_s)[1]
        counted = (answer.prompt_tokens, answer.completion_tokens) if isinstance(answer, Completion) else (0, 0)
        self._purse.add(prompt_tokens=counted[0], completion_tokens=counted[1], money=cost or 0.0)

    def price(self, model: str, answer: Answer, engine_s: float) -> tuple[float, float | None]:
        """Turn a call's share of its engine into GPU-seconds and money; None where the model has no price."""
        price, ours = self._prices.get(model), engine_s * self.allowance.engine_share
        return (ours, None) if price is None else (ours * price.gpus, price.of(answer, ours * price.gpus))

    def reuse(self, whose: tuple[str, str], model: str) -> Spent:
        """Count a call that was paid for earlier."""
        return Spent(*whose, model, self.allowance.version, reused=1, cost=0.0 if model in self._prices else None)

    def note(self, technique: str, reason: str) -> None:
        """Take in what became of a record: the reason why it came to nothing, or an empty text."""
        limit = self.allowance.failures
        if limit is None:
            return
        with self._lock:
            window = self._windows.setdefault(technique, Window())
            window.add(reason)
            if reason and self._stop is None and window.surely_above(limit):
                self._stop = TooManyFailuresError(_say_failures(technique, window, limit))

    def __del__(self) -> None:
        if getattr(self, "_purse", None) is not None:
            self._purse.close()  # type: ignore[union-attr]


OPEN = Gate(UNLIMITED)
"""Lets everything pass: for previews, and for tests."""


@lru_cache(maxsize=4)
def _gate(allowance: Allowance) -> Gate:
    return Gate(allowance)


def _say_cap(name: str, caps: Caps) -> str:
    cap = getattr(caps, name)
    shown = f"{cap / 3600:g}" if name == "seconds" else f"{cap:g}" if name == "money" else f"{cap:,}"
    return f"the budget's cap of {shown} {_CAP_NAMES[name]} is reached; calls that were at work are finished and kept: raise budget.{_CAP_NAMES[name]} to go on"


def _say_failures(technique: str, window: Window, limit: float) -> str:
    seen = len(window.outcomes)
    return (
        f"stopped early: of the last {seen} records of {technique}, {window.failed} came to nothing, surely more than {limit:.0%}; "
        f"the commonest causes: {window.causes()}. Mend the cause (gristmill preview shows rows), or set budget.failures"
    )
