"""Reports add up, and a stage's steps fold into one that closes."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.run import ShardReport, StageReport, add_reports, fold_steps


def a_step(name: str, rows_in: int, lost: int) -> StageReport:
    return StageReport(name, 1, 1, ShardReport(rows_in, rows_in - lost, {"lost": lost} if lost else {}, calls=1))


def test_add_reports_adds_drops_by_reason() -> None:
    total = add_reports(ShardReport(3, 1, {"a": 2}), ShardReport(4, 1, {"a": 1, "b": 2}, calls=5))
    assert (total.rows_in, total.rows_out, total.dropped, total.calls) == (7, 2, {"a": 3, "b": 2}, 5)
    assert total.closes


def test_fold_steps_leaves_plain_stages_alone() -> None:
    stages = (a_step("screen", 9, 2), a_step("responses", 7, 0))
    assert fold_steps(stages) == stages


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=3))
def test_fold_steps_closes_when_each_step_does(chains: list[list[int]]) -> None:
    stages, kept = [], 0
    for number, losses in enumerate(chains):
        rows = 100
        for step, lost in enumerate(losses):
            stages.append(a_step(f"prompts/{number}-x/{step}-y", rows, lost))
            rows -= lost
        kept += rows
    (folded,) = fold_steps(stages)
    assert folded.stage == "prompts"
    assert folded.total.rows_in == 100 * len(chains)
    assert folded.total.rows_out == kept
    assert folded.total.closes
