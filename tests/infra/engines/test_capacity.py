"""The limit finds an endpoint's capacity: in a simulated queue, whose clock is not ours."""

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, field
from statistics import mean, median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.engines.capacity import MOST, START, Capacity
from schemas.errors import EngineFault

MEAN_S = 0.3


@dataclass
class Queue:
    """A server with slots, log-normal service times and perhaps a bounded queue, always offered as many calls as the limit allows."""

    slots: int
    sigma: float
    seed: int = 0
    room: int | None = None
    """Calls that may wait; None is no bound."""
    now: float = 0.0
    refused: int = 0
    done: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.law = Capacity(0.0)
        self._random = random.Random(self.seed)
        self._events: list[tuple[float, bool, float]] = []
        self._waiting: deque[float] = deque()
        self._busy = self._in_flight = 0

    def run(self, until: float) -> None:
        while self.now < until:
            while self._in_flight < self.law.limit:
                self._arrive()
            self.now, refused, since = heapq.heappop(self._events)
            full = self._in_flight >= self.law.limit
            self._in_flight -= 1
            if refused:
                self.refused += 1
                self.law.failed(self.now, since, EngineFault.OVERLOADED)
            else:
                self._busy -= 1
                self.done.append(self.now)
                self.law.answered(self.now, full=full)
                while self._waiting and self._busy < self.slots:
                    self._serve(self._waiting.popleft())

    def share(self, since: float) -> float:
        """Throughput from then to now, of the best possible."""
        return sum(moment >= since for moment in self.done) / (self.now - since) * MEAN_S / self.slots

    def _arrive(self) -> None:
        self._in_flight += 1
        if self._busy < self.slots:
            self._serve(self.now)
        elif self.room is None or len(self._waiting) < self.room:
            self._waiting.append(self.now)
        else:
            # A refused call is asked again after the retries' delay.
            heapq.heappush(self._events, (self.now + 0.25, True, self.now))

    def _serve(self, since: float) -> None:
        self._busy += 1
        seconds = self._random.lognormvariate(math.log(MEAN_S) - self.sigma**2 / 2, self.sigma)
        heapq.heappush(self._events, (self.now + seconds, False, since))


@pytest.mark.parametrize("slots", [4, 16, 64, 256])
@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_capacity_comes_within_a_tenth_of_the_best_throughput(slots: int, sigma: float) -> None:
    queue = Queue(slots, sigma)
    queue.run(120)
    assert queue.share(since=30) > 0.9


@pytest.mark.parametrize("slots", [1, 8, 64, 200])
def test_capacity_does_not_leave_most_calls_waiting_at_the_server(slots: int) -> None:
    queue = Queue(slots, 0.5)
    queue.run(240)
    assert queue.law.limit <= max(START + 4, 2 * slots)


def test_capacity_follows_a_step_up() -> None:
    queue = Queue(32, 0.5)
    queue.run(60)
    queue.slots = 128
    queue.run(180)
    assert queue.share(since=120) > 0.9


def test_capacity_follows_a_step_down() -> None:
    queues = [Queue(256, 0.5, seed) for seed in range(5)]
    for queue in queues:
        queue.run(60)
        queue.slots = 32
        queue.run(600)
        assert queue.share(since=120) > 0.9
    assert median(queue.law.limit for queue in queues) < 64


def test_capacity_lives_with_a_short_queue() -> None:
    queues = [Queue(64, 1.0, seed, room=16) for seed in range(3)]
    for queue in queues:
        queue.run(120)
    assert mean([queue.share(since=40) for queue in queues]) > 0.9
    assert mean([queue.refused / len(queue.done) for queue in queues]) < 0.05


def test_capacity_of_an_idle_endpoint_stays() -> None:
    law = Capacity(0.0)
    for moment in range(10_000):
        law.answered(float(moment), full=False)
    assert law.limit == START


@pytest.mark.parametrize(("fault", "least"), [(EngineFault.OVERLOADED, 0.8), (EngineFault.DEADLINE, 0.65)])
def test_capacity_is_cut_once_for_a_burst_of_failures(fault: EngineFault, least: float) -> None:
    law = Capacity(0.0, limit=100)
    for _ in range(50):
        law.failed(1.0, 0.5, fault)
    assert least * 100 < law.limit < 100


@pytest.mark.parametrize("fault", [fault for fault in EngineFault if fault not in (EngineFault.OVERLOADED, EngineFault.DEADLINE)])
def test_capacity_learns_nothing_from_other_faults(fault: EngineFault) -> None:
    law = Capacity(0.0)
    law.failed(1.0, 0.5, fault)
    assert law.limit == START


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from([None, *EngineFault]), st.booleans()), max_size=400))
def test_capacity_stays_in_bounds_whatever_happens(events: list[tuple[float, EngineFault | None, bool]]) -> None:
    law, now = Capacity(0.0), 0.0
    for seconds, fault, full in events:
        now += seconds
        if fault is None:
            law.answered(now, full=full)
        else:
            law.failed(now, max(0.0, now - 1), fault)
        assert 1 <= law.limit <= MOST
