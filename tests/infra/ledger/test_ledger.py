"""What the ledger promises, on SQLite and on PostgreSQL."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from infra.ledger import Ledger
from schemas.appraisal import AppraisalRecord, Share
from schemas.errors import AccountingError, LedgerError, NotFoundError
from schemas.run import ReleaseRecord, RunRecord, ShardReport, add_reports
from schemas.spending import Spent, add_spent

FINGERPRINT = "0123456789abcdef0123456789abcdef"
REPORT = ShardReport(rows_in=10, rows_out=7, dropped={"refused": 2, "too_short": 1}, calls=9, reused=1, prompt_tokens=2**33, completion_tokens=40, seconds=1.5)


def begin(ledger: Ledger, fingerprint: str = FINGERPRINT, **changes: Any) -> RunRecord:
    given: dict[str, Any] = {"name": "puzzles", "recipe": {"seed": 1, "prompts": ["ä"]}, "rehearsal": True, "fresh": False}
    return ledger.begin_run(fingerprint=fingerprint, **(given | changes))


def a_release(run: RunRecord, version: str = "v1", **changes: Any) -> ReleaseRecord:
    given: dict[str, Any] = {"path": "/releases/puzzles", "rows": {"sft/train": 91}, "manifest_sha256": "f" * 64, "published_at": "2026-01-01T00:00:00+00:00"}
    return ReleaseRecord(name="puzzles", version=version, run_id=run.run_id, **(given | changes))


def test_begin_run_starts_a_run_named_by_its_fingerprint(ledger: Ledger) -> None:
    run = begin(ledger)
    assert (run.run_id, run.attempt, run.status, run.recipe, run.rehearsal) == ("0123456789ab", 1, "running", {"seed": 1, "prompts": ["ä"]}, True)
    assert run.started_at.endswith("+00:00")
    assert ledger.run(run.run_id) == run


@pytest.mark.parametrize("status", ["running", "failed", "interrupted"])
def test_begin_run_takes_up_an_unfinished_run(ledger: Ledger, status: Any) -> None:
    first = begin(ledger)
    ledger.set_status(first.run_id, status, error="the disk was full")
    assert begin(ledger) == first


def test_begin_run_gives_a_finished_run_as_it_is(ledger: Ledger) -> None:
    run = begin(ledger)
    ledger.set_status(run.run_id, "finished")
    again = begin(ledger)
    assert (again.run_id, again.status) == (run.run_id, "finished")
    assert again.finished_at is not None


def test_begin_run_starts_a_new_attempt_when_fresh_and_takes_up_the_newest_later(ledger: Ledger) -> None:
    begin(ledger)
    second = begin(ledger, fresh=True)
    assert (second.run_id, second.attempt) == ("0123456789ab-2", 2)
    assert begin(ledger).run_id == second.run_id


def test_take_over_commits_stages_as_they_stand_elsewhere_at_no_cost(ledger: Ledger) -> None:
    old, new = begin(ledger), begin(ledger, "f" * 32)
    for stage in ("prompts/0-math/0-topics", "screen", "filter"):
        ledger.plan_stage(old.run_id, stage, 2)
        ledger.commit_shard(old.run_id, stage, 1, REPORT)
    for _ in range(2):
        ledger.take_over(new.run_id, old.run_id, {"prompts/0-math/0-topics", "screen"})
    assert [(one.stage, one.shards, one.committed) for one in ledger.stages(new.run_id)] == [("prompts/0-math/0-topics", 2, 1), ("screen", 2, 1)]
    assert ledger.committed(new.run_id, "screen") == {1: ShardReport(10, 7, {"refused": 2, "too_short": 1})}
    assert ledger.committed(old.run_id, "screen") == {1: REPORT}


def test_set_status_keeps_the_error_until_the_run_goes_on(ledger: Ledger) -> None:
    run = begin(ledger)
    ledger.set_status(run.run_id, "failed", error="no engine")
    assert (ledger.run(run.run_id).status, ledger.run(run.run_id).error) == ("failed", "no engine")
    assert begin(ledger).error is None


def test_run_is_found_by_the_beginning_of_its_id(ledger: Ledger) -> None:
    run = begin(ledger)
    assert ledger.run("0123") == run


def test_run_exact_id_wins_over_longer_ids(ledger: Ledger) -> None:
    run = begin(ledger)
    begin(ledger, fresh=True)
    assert ledger.run(run.run_id) == run


def test_set_status_stores_an_error_that_quotes_garbage(ledger: Ledger) -> None:
    run = begin(ledger)
    ledger.set_status(run.run_id, "failed", error="answered \0\ud800")
    assert ledger.run(run.run_id).error == r"answered \0\ud800"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("01", "several runs begin with '01': 0123456789ab, 01ffffffffff"),
        ("0123456789ba", "did you mean 0123456789ab"),
        ("puzzles", "did you mean 01ffffffffff or 0123456789ab"),
        ("%", "no run '%': see `gristmill runs list`"),
    ],
)
def test_run_not_found_says_what_is_near(ledger: Ledger, wanted: str, told: str) -> None:
    begin(ledger)
    begin(ledger, fingerprint="01" + "f" * 30)
    with pytest.raises(NotFoundError, match=told.replace("?", r"\?")):
        ledger.run(wanted)


def test_runs_lists_the_newest_first(ledger: Ledger) -> None:
    ids = [begin(ledger, fingerprint=f"{number:032x}"[::-1]).run_id for number in range(1, 5)]
    assert sorted(run.run_id for run in ledger.runs()) == sorted(ids)
    listed = [run.started_at for run in ledger.runs(limit=3)]
    assert listed == sorted(listed, reverse=True)
    assert len(listed) == 3


def test_commit_shard_commits_once(ledger: Ledger) -> None:
    run = begin(ledger)
    ledger.plan_stage(run.run_id, "prompts", 3)
    assert ledger.commit_shard(run.run_id, "prompts", 2, REPORT)
    assert not ledger.commit_shard(run.run_id, "prompts", 2, ShardReport(rows_in=1, rows_out=1))
    assert ledger.committed(run.run_id, "prompts") == {2: REPORT}


def test_commit_shard_refuses_accounts_that_do_not_close(ledger: Ledger) -> None:
    run = begin(ledger)
    ledger.plan_stage(run.run_id, "prompts", 1)
    with pytest.raises(AccountingError, match="10 in, 7 out, 2 dropped"):
        ledger.commit_shard(run.run_id, "prompts", 0, ShardReport(rows_in=10, rows_out=7, dropped={"refused": 2}))
    assert ledger.committed(run.run_id, "prompts") == {}


@pytest.mark.parametrize(("stage", "shard"), [("screen", 0), ("prompts", 1), ("prompts", -1)])
def test_commit_shard_refuses_what_was_not_planned(ledger: Ledger, stage: str, shard: int) -> None:
    run = begin(ledger)
    ledger.plan_stage(run.run_id, "prompts", 1)
    with pytest.raises(LedgerError, match=f"no shard {shard}"):
        ledger.commit_shard(run.run_id, stage, shard, REPORT)


def test_plan_stage_changes_only_while_nothing_is_committed(ledger: Ledger) -> None:
    run = begin(ledger)
    ledger.plan_stage(run.run_id, "prompts", 1)
    ledger.plan_stage(run.run_id, "prompts", 2)
    ledger.commit_shard(run.run_id, "prompts", 1, REPORT)
    ledger.plan_stage(run.run_id, "prompts", 2)
    with pytest.raises(LedgerError, match="1 of 2 shards committed and can't become 3"):
        ledger.plan_stage(run.run_id, "prompts", 3)


def test_stages_adds_up_shards_in_the_order_of_planning(ledger: Ledger) -> None:
    run = begin(ledger)
    for stage in ("prompts", "screen", "dedup"):
        ledger.plan_stage(run.run_id, stage, 2)
    for shard in (0, 1):
        ledger.commit_shard(run.run_id, "prompts", shard, REPORT)
    prompts, screen, dedup = ledger.stages(run.run_id)
    assert (prompts.stage, prompts.committed, prompts.total) == ("prompts", 2, add_reports(REPORT, REPORT))
    assert (screen.stage, screen.shards, screen.committed, dedup.stage) == ("screen", 2, 0, "dedup")


@pytest.mark.parametrize(
    "work",
    [
        lambda ledger: ledger.set_status("nobody", "failed"),
        lambda ledger: ledger.plan_stage("nobody", "prompts", 1),
        lambda ledger: ledger.note("nobody", "engines", []),
    ],
    ids=["set_status", "plan_stage", "note"],
)
def test_an_unknown_run_is_told(ledger: Ledger, work: Callable[[Ledger], None]) -> None:
    with pytest.raises(NotFoundError, match="no run 'nobody'"):
        work(ledger)


def test_next_version_hands_out_no_number_twice(ledger: Ledger) -> None:
    assert [ledger.next_version("puzzles"), ledger.next_version("puzzles"), ledger.next_version("other")] == ["v1", "v2", "v1"]


def test_next_version_is_kept_for_its_run(ledger: Ledger) -> None:
    run = begin(ledger)
    first = ledger.next_version("puzzles", run_id=run.run_id)
    assert ledger.next_version("puzzles") == "v2"
    assert ledger.next_version("puzzles", run_id=run.run_id) == first == "v1"


def test_record_release_finishes_its_run(ledger: Ledger) -> None:
    run = begin(ledger)
    ledger.record_release(a_release(run))
    after = ledger.run(run.run_id)
    assert (after.status, after.release) == ("finished", "puzzles/v1")
    assert after.finished_at is not None
    assert ledger.release("puzzles", "v1") == a_release(run)


def test_record_release_again_changes_nothing_and_another_one_is_refused(ledger: Ledger) -> None:
    run = begin(ledger)
    ledger.record_release(a_release(run))
    ledger.record_release(a_release(run))
    with pytest.raises(LedgerError, match="puzzles/v1 was published by run 0123456789ab: a release never changes"):
        ledger.record_release(a_release(run, manifest_sha256="0" * 64))
    assert ledger.releases() == [a_release(run)]


def test_release_gives_the_newest_version_by_number(ledger: Ledger) -> None:
    run = begin(ledger)
    for version in ("v9", "v10", "v2"):
        ledger.record_release(a_release(run, version))
    assert ledger.release("puzzles").version == "v10"
    assert [release.version for release in ledger.releases("puzzles")] == ["v10", "v9", "v2"]


@pytest.mark.parametrize(("name", "version", "told"), [("puzzle", None, "did you mean puzzles"), ("puzzles", "v7", "there is v1")])
def test_release_not_found_says_what_is_near(ledger: Ledger, name: str, version: str | None, told: str) -> None:
    ledger.record_release(a_release(begin(ledger)))
    with pytest.raises(NotFoundError, match=told):
        ledger.release(name, version)


def test_notes_keeps_the_last_value_of_each_key(ledger: Ledger) -> None:
    run = begin(ledger)
    ledger.note(run.run_id, "engines", [1])
    ledger.note(run.run_id, "engines", {"writer": {"kind": "triton/ensemble"}})
    ledger.note(run.run_id, "absent", None)
    assert ledger.notes(run.run_id) == {"absent": None, "engines": {"writer": {"kind": "triton/ensemble"}}}


def test_a_ledger_opened_again_knows_everything(ledger: Ledger, url: str) -> None:
    run = begin(ledger)
    ledger.plan_stage(run.run_id, "prompts", 1)
    ledger.commit_shard(run.run_id, "prompts", 0, REPORT)
    again = Ledger.open(url)
    assert again.run(run.run_id) == run
    assert again.committed(run.run_id, "prompts") == {0: REPORT}
    again.close()


def test_a_ledger_pickles_as_its_url(ledger: Ledger) -> None:
    run = begin(ledger)
    copy = pickle.loads(pickle.dumps(ledger))
    assert copy.run(run.run_id) == run
    copy.close()


def an_appraisal(unique: str, model: str = "some-reward", **changes: Any) -> AppraisalRecord:
    given: dict[str, Any] = {"pairs": 10, "won": 7, "lost": 1, "tied": 1, "dropped": {"too_long_to_score": 1}, "score": 0.7, "low": 0.4, "high": 0.9}
    told = {
        "appraised_at": f"2026-01-0{unique}T00:00:00+00:00",
        "rehearsal": True,
        "categories": {"all": Share(9, 7, 0.7, 0.4, 0.9)},
        "sections": {"Chat": 0.7},
    }
    return AppraisalRecord(unique, model, "1", "triton/reward", "+1*reward", "llmbar_pairs", "f" * 64, **(given | told | changes))


def test_appraisals_are_listed_newest_first_and_replaced_by_id(ledger: Ledger) -> None:
    first, second, other = an_appraisal("1"), an_appraisal("2"), an_appraisal("3", "other-reward")
    for one in (first, second, other):
        ledger.record_appraisal(one)
    assert ledger.appraisals() == [other, second, first]
    better = an_appraisal("1", score=0.8, appraised_at="2026-02-01T00:00:00+00:00")
    ledger.record_appraisal(better)
    assert ledger.appraisals("some-reward") == [better, second]


def test_spending_adds_up_over_shards_and_keeps_what_has_no_price(ledger: Ledger) -> None:
    run = ledger.begin_run(fingerprint="f" * 32, name="puzzles", recipe={}, rehearsal=False, fresh=False)
    ledger.plan_stage(run.run_id, "responses", 2)
    priced = Spent("answer", "responder", "m", "v1", calls=3, prompt_tokens=30, completion_tokens=9, gpu_seconds=1.5, cost=0.25)
    unpriced = Spent("answer", "user", "n", "v1", calls=1, gpu_seconds=0.5)
    for shard in range(2):
        report = ShardReport(3, 3, calls=4, spent=(priced, unpriced))
        assert ledger.commit_shard(run.run_id, "responses", shard, report)
        assert not ledger.commit_shard(run.run_id, "responses", shard, report)
    assert ledger.committed(run.run_id, "responses")[1].spent == (priced, unpriced)
    (stage,) = ledger.stages(run.run_id)
    assert stage.total.spent == add_spent([priced, unpriced] * 2)
    assert (stage.total.spent[0].calls, stage.total.spent[0].cost, stage.total.spent[1].cost) == (6, 0.5, None)
