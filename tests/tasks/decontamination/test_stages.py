"""The two stages that keep benchmarks out, a shard at a time, as a worker runs them."""

from pathlib import Path

from infra.settings import Settings
from infra.storage import RunFolder, read_records, write_records, write_table
from schemas.contract import to_table
from schemas.records import Conversation, Drop, Prompt
from tasks.catalogue import LoadedFilter
from tasks.decontamination.benchmarks import BenchmarkText
from tasks.dedup.found import note_found
from tasks.rollout import Cast
from tasks.run_state import Job
from tasks.stages.filter import filter_shard
from tasks.stages.screen import screen_shard
from tests.tasks.builders import a_conversation, a_prompt

LEAKED = "Tom has three red apples and buys four green ones at the market on a rainy Monday morning."


def a_job(folder: Path) -> Job:
    return Job(RunFolder(folder, "run"), Settings(data=folder), {}, Cast({}, {}, 0))


def kept_benchmarks(folder: Path) -> Path:
    write_records(folder / "benchmarks.parquet", [BenchmarkText("sums:17", LEAKED, 13, False)], BenchmarkText)
    return folder / "benchmarks.parquet"


def test_a_contaminated_prompt_is_gone_before_it_is_answered(tmp_path: Path) -> None:
    job = a_job(tmp_path)
    clean, leaked = a_prompt("What is rust?"), a_prompt(f"Solve: {LEAKED}")
    write_records(job.folder.part("screen/in", 0), [clean, leaked], Prompt)
    write_records(job.folder.dropped("screen/in", 0), [], Drop)
    note_found(job.folder.root / "screen" / "work", [0], [])
    report = screen_shard(job, 0, longest=1000, benchmarks=kept_benchmarks(tmp_path))
    assert read_records(job.folder.part("screen", 0), Prompt) == [clean]
    assert [drop.points_to for drop in read_records(job.folder.dropped("screen", 0), Drop)] == ["sums:17"]
    assert (report.rows_in, report.rows_out, report.dropped) == (2, 1, {"contaminated": 1})


def test_a_contaminated_answer_is_told_from_one_that_a_filter_hits(tmp_path: Path) -> None:
    job = a_job(tmp_path)
    rows = [a_conversation(answer, sample_index=number) for number, answer in enumerate(("It is a fine day.", LEAKED, "No."))]
    write_table(job.folder.part("score", 0), to_table(rows, Conversation))
    filters = (LoadedFilter("too_short", {"words": 2}, bars_row=True),)
    report = filter_shard(job, 0, filters=filters, benchmarks=kept_benchmarks(tmp_path))
    assert read_records(job.folder.part("filter", 0), Conversation) == rows[:1]
    assert report.dropped == {"contaminated": 1, "too_short": 1}
    drops = read_records(job.folder.dropped("filter", 0), Drop)
    assert [drop.drop_id for drop in drops] == sorted(drop.drop_id for drop in drops)
