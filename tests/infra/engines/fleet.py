"""Clients of one server in a simulated queue, whose clock is not ours: what the server does, and how evenly it serves them."""

import heapq
import math
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from infra.engines.guided import Guided
from schemas.engine import ServerLoad

LOOK_S = 0.5
TRANSIT_S = 0.01
"""Longest way to the server, and back."""


@dataclass
class Client:
    """Has more calls to make than it may."""

    law: Any = field(default_factory=Guided)
    in_flight: int = 0
    full: bool = False
    begun: bool = False


@dataclass(frozen=True)
class Seen:
    """The server at one moment."""

    at: float
    slots: int
    running: int
    waiting: int


class Fleet:
    """Clients of one server with slots, log-normal service times and perhaps a bounded queue."""

    def __init__(self, slots: int, begins: list[float], *, mean_s: float = 1.0, room: int | None = None, seed: int = 0) -> None:
        self.slots, self.mean_s, self.room = slots, mean_s, room
        self.clients = [Client() for _ in begins]
        self.now = 0.0
        self.seen: list[Seen] = []
        self.done: list[tuple[float, int]] = []
        self.refused = 0
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, str, Any]] = []
        self._waiting: deque[tuple[int, float]] = deque()
        self._running = 0
        for number, moment in enumerate(begins):
            self._later(moment, "begin", number)
            self._later(moment + self._random.uniform(0, LOOK_S), "look", number)

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, kind, what = heapq.heappop(self._events)
            getattr(self, f"_{kind}")(what)
        self.now = until

    def share(self, since: float) -> float:
        """Slots in service since then, of all."""
        return sum(one.running for one in self.seen if one.at >= since) / sum(one.slots for one in self.seen if one.at >= since)

    def queue(self, since: float) -> float:
        """Most calls that were seen to wait, as a share of the slots."""
        return max(one.waiting / one.slots for one in self.seen if one.at >= since)

    def fairness(self, since: float) -> float:
        """Jain's index of the answers that each client got."""
        answers = Counter(number for moment, number in self.done if moment >= since)
        shares = [answers[number] for number in range(len(self.clients))]
        return sum(shares) ** 2 / (len(shares) * sum(one**2 for one in shares))

    def _later(self, moment: float, kind: str, what: Any) -> None:
        heapq.heappush(self._events, (moment, self._random.getrandbits(60), kind, what))

    def _begin(self, number: int) -> None:
        self.clients[number].begun = True
        self._fill(number)

    def _look(self, number: int) -> None:
        client = self.clients[number]
        client.law.looked(ServerLoad(self._running, len(self._waiting)), in_flight=client.in_flight, full=client.full)
        client.full = client.in_flight >= client.law.limit
        self._fill(number)
        self.seen.append(Seen(self.now, self.slots, self._running, len(self._waiting)))
        self._later(self.now + LOOK_S * self._random.uniform(0.9, 1.1), "look", number)

    def _fill(self, number: int) -> None:
        client = self.clients[number]
        while client.begun and client.in_flight < client.law.limit:
            client.in_flight += 1
            self._later(self.now + self._random.uniform(0, TRANSIT_S), "arrive", (number, self.now))
        client.full = client.full or client.in_flight >= client.law.limit

    def _arrive(self, call: tuple[int, float]) -> None:
        if self._running >= self.slots and self.room is not None and len(self._waiting) >= self.room:
            self.refused += 1
            self._later(self.now + self._random.uniform(0, 0.25), "refuse", call)
        else:
            self._waiting.append(call)
            self._serve()

    def _refuse(self, call: tuple[int, float]) -> None:
        number, since = call
        self.clients[number].in_flight -= 1
        self.clients[number].law.refused(self.now, since)
        self._fill(number)

    def _serve(self) -> None:
        while self._waiting and self._running < self.slots:
            self._running += 1
            number, _ = self._waiting.popleft()
            self._later(self.now + self._random.lognormvariate(math.log(self.mean_s) - 0.5, 1.0), "end", number)

    def _end(self, number: int) -> None:
        self._running -= 1
        self._serve()
        self._later(self.now + self._random.uniform(0, TRANSIT_S), "come_back", number)

    def _come_back(self, number: int) -> None:
        self.clients[number].in_flight -= 1
        self.done.append((self.now, number))
        self._fill(number)
