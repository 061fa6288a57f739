"""Counters of one process's engine calls, for the live display and the report."""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.engine import Answer, Completion
from schemas.errors import EngineFault

LATENCY_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Upper bounds of the buckets that latencies are counted in: from a small model's grade to a 340B's longest answer."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment."""

    in_flight: int
    waiting: int
    """Calls in our own queue."""
    limit: int
    """Of all endpoints together."""
    calls: int
    """Answered."""
    failures: Mapping[EngineFault, int]
    """Failed attempts, by fault; most of them were made good by a retry."""
    retries: int
    prompt_tokens: int
    completion_tokens: int
    latency_s: float
    """Sum over the answered calls, without the time in our own queue."""
    latencies: tuple[int, ...] = ()
    """Answered calls by their seconds: one count a bucket of LATENCY_S, and one for what took longer."""

    @property
    def mean_latency_s(self) -> float:
        """Seconds of one answered call."""
        return self.latency_s / self.calls if self.calls else 0.0


class Meter:
    """Counts; `read()` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = self._waiting = self._limit = self._calls = self._retries = 0
        self._prompt_tokens = self._completion_tokens = 0
        self._latency_s = 0.0
        self._latencies = [0] * (len(LATENCY_S) + 1)
        self._failures: Counter[EngineFault] = Counter()

    def read(self) -> Reading:
        """Take a reading."""
        with self._lock:
            return Reading(
                in_flight=self._in_flight,
                waiting=self._waiting,
                limit=self._limit,
                calls=self._calls,
                failures=dict(self._failures),
                retries=self._retries,
                prompt_tokens=self._prompt_tokens,
                completion_tokens=self._completion_tokens,
                latency_s=self._latency_s,
                latencies=tuple(self._latencies),
            )

    def queued(self) -> None:
        """Count a call that waits for a slot."""
        with self._lock:
            self._waiting += 1

    def unqueued(self) -> None:
        """Count a call out of the queue."""
        with self._lock:
            self._waiting -= 1

    def started(self, limit: int) -> None:
        """Count an attempt in, and note the endpoints' limit."""
        with self._lock:
            self._in_flight += 1
            self._limit = limit

    def ended(self) -> None:
        """Count an attempt out, however it ended."""
        with self._lock:
            self._in_flight -= 1

    def answered(self, answer: Answer, seconds: float) -> None:
        """Count an answer."""
        with self._lock:
            self._calls += 1
            self._latency_s += seconds
            self._latencies[bisect_left(LATENCY_S, seconds)] += 1
            if isinstance(answer, Completion):
                self._prompt_tokens += answer.prompt_tokens
                self._completion_tokens += answer.completion_tokens

    def failed(self, fault: EngineFault) -> None:
        """Count a failed attempt."""
        with self._lock:
            self._failures[fault] += 1

    def retried(self) -> None:
        """Count an attempt that follows a failed one."""
        with self._lock:
            self._retries += 1
