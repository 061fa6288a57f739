"""Several processes share a server that tells nothing of its load: fairly, and without a long queue there; in a simulated one, whose clock is not ours."""

from collections.abc import Sequence

import pytest

from infra.engines.capacity import START, Capacity
from infra.engines.company import MEET_S, Company
from infra.engines.limiter import Limiter
from schemas.engine import Seat, ServerLoad
from schemas.errors import EngineFault
from tests.infra.engines.fleet import Fleet, Seen

GONE_S = 5.0


class Companions(Fleet):
    """A fleet whose server tells nothing, and whose clients meet, unless they are strangers."""

    strangers = False

    def __init__(self, slots: int, begins: list[float], *, mean_s: float = 1.0, room: int | None = None, seed: int = 0) -> None:
        super().__init__(slots, begins, mean_s=mean_s, room=room, seed=seed)
        self.laws = [Company(Capacity(moment)) for moment in begins]
        for client, law in zip(self.clients, self.laws, strict=True):
            client.law = law
        self.left: set[int] = set()
        self._table: dict[int, tuple[float, Seat]] = {}

    def limits(self) -> list[int]:
        return [law.limit for number, law in enumerate(self.laws) if number not in self.left]

    def leave(self, number: int) -> None:
        """Have a client make no further call."""
        self.left.add(number)

    def _look(self, number: int) -> None:
        client = self.clients[number]
        if client.begun and number not in self.left:
            self._table[number] = (self.now, self.laws[number].seat(hungry=client.full))
            self.laws[number].met(
                self.now, [self._table[number][1]] if self.strangers else [seat for _, (at, seat) in sorted(self._table.items()) if at > self.now - GONE_S]
            )
            client.full = client.in_flight >= client.law.limit
            self._fill(number)
        self.seen.append(Seen(self.now, self.slots, self._running, len(self._waiting)))
        self._later(self.now + MEET_S * self._random.uniform(0.9, 1.1), "look", number)

    def _fill(self, number: int) -> None:
        if number not in self.left:
            super()._fill(number)

    def _refuse(self, call: tuple[int, float]) -> None:
        number, since = call
        self.clients[number].in_flight -= 1
        self.laws[number].failed(self.now, since, EngineFault.OVERLOADED)
        self._fill(number)

    def _come_back(self, number: int) -> None:
        client = self.clients[number]
        self.laws[number].answered(self.now, full=client.in_flight >= client.law.limit)
        super()._come_back(number)

    def mean_queue(self, since: float) -> float:
        """Calls that waited at the server, as a share of its slots."""
        waited = [one.waiting / one.slots for one in self.seen if one.at >= since]
        return sum(waited) / len(waited)


def seats(*given: Seat) -> Sequence[Seat]:
    return given


@pytest.mark.parametrize(
    ("slots", "begins", "mean_s"),
    [(64, [0, 8, 16, 24], 1.0), (64, [0, 0, 0, 0], 1.0), (256, [0, 8, 16, 24], 2.0), (64, [0, 8], 1.0)],
    ids=["four, one after the other", "four at once", "256 slots", "two"],
)
def test_companions_fill_the_slots_fairly_and_queue_little(slots: int, begins: list[float], mean_s: float) -> None:
    for seed in range(2):
        fleet = Companions(slots, begins, mean_s=mean_s, seed=seed)
        fleet.run(240)
        assert fleet.fairness(since=60) > 0.99
        assert fleet.share(since=120) > 0.9
        assert fleet.mean_queue(since=120) < 1


def test_strangers_would_not() -> None:
    fleet = Companions(64, [0, 8, 16, 24])
    fleet.strangers = True
    fleet.run(240)
    assert fleet.fairness(since=120) < 0.9
    assert fleet.mean_queue(since=120) > 4


def test_companions_share_a_server_that_refuses() -> None:
    fleet = Companions(64, [0, 8, 16, 24], room=16)
    fleet.run(300)
    assert fleet.fairness(since=60) > 0.99
    assert fleet.share(since=120) > 0.9
    assert fleet.refused < 0.1 * len(fleet.done)


def test_companions_take_over_what_one_leaves_the_leader_too() -> None:
    fleet = Companions(64, [0, 8, 16, 24])
    fleet.run(120)
    fleet.leave(0)
    fleet.run(300)
    assert fleet.share(since=200) > 0.9
    assert max(fleet.limits()) - min(fleet.limits()) <= 0.5 * max(fleet.limits())  # one may not have heard of the last change yet


@pytest.mark.parametrize(("before", "after"), [(128, 32), (32, 128)], ids=["down", "up"])
def test_companions_follow_a_step(before: int, after: int) -> None:
    fleet = Companions(before, [0, 5, 10])
    fleet.run(120)
    fleet.slots = after
    fleet.run(600)
    assert fleet.share(since=300) > 0.9
    assert fleet.mean_queue(since=480) < 2.5
    assert fleet.fairness(since=120) > 0.99


def test_who_has_enough_to_do_leads_and_the_others_take_its_limit() -> None:
    first, second = Company(Capacity(0.0)), Company(Capacity(0.0, limit=40))
    table = seats(first.seat(hungry=False), second.seat(hungry=True))
    first.met(1.0, table)
    second.met(1.0, table)
    assert first.limit == 40
    assert second.limit == 20  # of what it had alone, its half


def test_an_endpoint_that_tells_its_load_has_no_seat_nor_has_an_idle_one() -> None:
    limiter = Limiter(lambda: 0.0)
    assert limiter.seat is None
    slot = limiter.take()
    assert limiter.seat is not None
    assert limiter.seat.limit == START
    limiter.looked(ServerLoad(1, 0))
    assert limiter.seat is None
    limiter.unused(slot)
