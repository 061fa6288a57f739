import pytest

from tasks.stages.prompts import items_a_shard


@pytest.mark.parametrize(
    ("shard_records", "yields", "items"),
    [(256, 1, 256), (256, 64, 256), (256, 2_000, 8), (256, 40_000, 1), (1, 10, 1)],
    ids=["plain", "many-outputs", "a-colony", "a-huge-colony", "one-by-one"],
)
def test_a_shard_has_fewer_items_where_each_yields_many_outputs(shard_records: int, yields: int, items: int) -> None:
    assert items_a_shard(shard_records, yields) == items
