from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from schemas.recipe import DiversityOptions
from schemas.records import Lineage
from tasks.diversity import Stop, cell_of, crowded, keep_stops, read_stops, stopped_before, waves

OPTIONS = DiversityOptions(mark=0.5, least=4)


@given(st.integers(0, 500), st.integers(2, 20))
def test_waves_cover_all_shards_and_grow(shards: int, count: int) -> None:
    found = list(waves(shards, count))
    assert found == sorted(set(found))
    assert found[-1:] == ([shards] if shards else [])
    assert len(found) <= count


def test_a_cell_beyond_the_mark_is_crowded_and_a_small_one_is_left_alone() -> None:
    written = [(("a",), number < 3) for number in range(4)] + [(("b",), number < 2) for number in range(4)] + [(("c",), True)] * 3
    assert crowded(written, OPTIONS) == {("a",)}
    assert crowded([], OPTIONS) == frozenset()


def test_a_decision_holds_for_the_shards_after_it(tmp_path: Path) -> None:
    path = tmp_path / "stopped.json"
    assert read_stops(path) == ()
    stops = (Stop(2, frozenset({("a", "x")})), Stop(4, frozenset({("b", "y"), ("a", "x")})))
    keep_stops(path, stops)
    assert read_stops(path) == stops
    assert [stopped_before(stops, shard) for shard in (1, 2, 4)] == [frozenset(), {("a", "x")}, {("a", "x"), ("b", "y")}]


def test_a_cell_is_as_deep_as_wanted() -> None:
    lineage = Lineage(topics=("mathematics", "angles", "right angles"))
    assert [cell_of(lineage, depth) for depth in (0, 1, 2)] == [(), ("mathematics",), ("mathematics", "angles")]
