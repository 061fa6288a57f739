"""Batches take shards from one queue, each shard once; the window widens while engines have room."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.engines.meter import Meter, Reading
from tasks.stages.window import MOST_TIMES, ShardQueue, Window

BUSY = replace(Meter().read(), in_flight=64, waiting=40, limit=64)
STARVED = replace(BUSY, waiting=10)
OVERFULL = replace(BUSY, waiting=200)


@given(st.integers(0, 2000), st.integers(1, 300))
def test_batches_take_every_shard_once(shards: int, most: int) -> None:
    batches = ShardQueue(range(shards)).batches(most)
    assert len(batches) <= most
    assert [shard for batch in batches for shard in batch.shards()] == list(range(shards))


def test_batches_are_single_shards_where_these_are_few() -> None:
    assert [(batch.size, batch.name) for batch in ShardQueue([3, 5]).batches(200)] == [(1, "1 of 2"), (1, "2 of 2")]
    assert ShardQueue(range(10_000)).batches(200)[7].name == "8 of 200, 50 shards each"


def test_batch_goes_on_with_the_shard_that_failed() -> None:
    (batch,) = ShardQueue([4, 5, 6]).batches(1)
    seen = []

    def work(*, fail_at: int) -> None:
        for shard in batch.shards():
            seen.append(shard)
            if shard == fail_at:
                raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        work(fail_at=5)
    work(fail_at=-1)
    assert seen == [4, 5, 5, 6]


def test_batches_share_the_last_shards() -> None:
    first, second = (batch.shards() for batch in ShardQueue(range(6)).batches(2))
    assert [next(first), next(second), next(second), next(first), next(second)] == [0, 1, 2, 3, 4]


def test_closed_queue_lets_no_further_shard_begin() -> None:
    queue = ShardQueue(range(10))
    shards = queue.batches(1)[0].shards()
    assert next(shards) == 0
    queue.close()
    assert list(shards) == []


@pytest.mark.parametrize(("readings", "size"), [([BUSY] * 9, 4), ([STARVED] * 3, 7), ([STARVED] * 99, 4 * MOST_TIMES), ([STARVED, STARVED, OVERFULL], 5)])
def test_window_widens_before_slots_stand_empty(readings: list[Reading], size: int) -> None:
    coming = iter(readings)
    window = Window(4, lambda: next(coming))
    for _ in readings:
        window.look()
    assert window.size == size
