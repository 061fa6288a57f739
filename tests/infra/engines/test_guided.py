"""The limit follows what a server tells of its load: one client or many, in a simulated queue."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.engines.capacity import MOST, START
from infra.engines.guided import Guided
from schemas.engine import ServerLoad
from tests.infra.engines.fleet import Fleet


@pytest.mark.parametrize("slots", [1, 8, 64, 256, 1024])
def test_guided_fills_every_slot_within_thirty_seconds_and_queues_little(slots: int) -> None:
    fleet = Fleet(slots, [0.0])
    fleet.run(60)
    assert fleet.share(since=30) > 0.99
    assert fleet.queue(since=30) < 0.1 + 2 / slots


@pytest.mark.parametrize(("slots", "mean_s"), [(64, 1.0), (256, 1.0), (256, 10.0), (1000, 3.0)])
def test_guided_shares_fairly_among_clients_that_came_at_different_times(slots: int, mean_s: float) -> None:
    fleet = Fleet(slots, [0.0, 10.0, 20.0, 30.0], mean_s=mean_s)
    since = 60 + 3 * mean_s
    fleet.run(since + 60 * max(1.0, mean_s / 3))
    assert fleet.fairness(since) > 0.95
    assert fleet.share(since) > 0.98
    assert fleet.queue(since) < 0.35


def test_guided_shares_fairly_among_eight_whose_limits_were_set_by_chance() -> None:
    fleet = Fleet(128, [0.0] * 8)
    for client, limit in zip(fleet.clients, [1, 2, 200, 5, 40, 16, 16, 90], strict=True):
        client.law.limit = limit
    fleet.run(100)
    assert fleet.fairness(since=40) > 0.95


def test_guided_follows_a_step_up_within_ten_seconds() -> None:
    fleet = Fleet(32, [0.0])
    fleet.run(60)
    fleet.slots = 256
    fleet.run(100)
    assert fleet.share(since=70) > 0.98


def test_guided_follows_a_step_down_as_soon_as_the_queue_drains() -> None:
    fleet = Fleet(256, [0.0, 0.0])
    fleet.run(60)
    fleet.slots = 32
    fleet.run(100)
    assert sum(client.law.limit for client in fleet.clients) < 48
    assert fleet.share(since=75) > 0.98
    assert fleet.queue(since=75) < 0.5


@pytest.mark.parametrize("room", [1, 4, 16])
def test_guided_lives_with_a_short_queue(room: int) -> None:
    fleet = Fleet(64, [0.0, 0.0], room=room)
    fleet.run(180)
    assert fleet.share(since=60) > 0.9
    assert fleet.refused / len(fleet.done) < 0.05


def test_guided_takes_over_from_one_that_left() -> None:
    fleet = Fleet(64, [0.0, 0.0])
    fleet.run(40)
    fleet.clients[0].begun = False
    fleet.run(80)
    assert fleet.share(since=55) > 0.98


def test_guided_learns_nothing_while_there_is_too_little_to_do() -> None:
    law = Guided()
    for waiting in (0, 50, 0):
        law.looked(ServerLoad(10, waiting), in_flight=3, full=False)
    assert law.limit == START


def test_guided_does_not_grow_into_a_full_cache() -> None:
    law = Guided()
    law.looked(ServerLoad(16, 0, cache=0.99), in_flight=16, full=True)
    assert law.limit == START


def test_guided_is_cut_once_for_a_burst_of_refusals() -> None:
    law = Guided(limit=100)
    for _ in range(50):
        law.refused(1.0, 0.5)
    assert law.limit == 85


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(0, 5000), st.floats(0, 5000), st.floats(0, 1), st.integers(0, 5000), st.booleans()), max_size=100))
def test_guided_stays_in_bounds_whatever_a_server_says(looks: list[tuple[float, float, float, int, bool]]) -> None:
    law = Guided()
    for number, (running, waiting, cache, in_flight, full) in enumerate(looks):
        law.looked(ServerLoad(running, waiting, cache), in_flight=in_flight, full=full)
        if cache < 0.1:
            law.refused(float(number), number - 0.5)
        assert 1 <= law.limit <= MOST
