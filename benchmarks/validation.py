"""What validation costs: `python -m benchmarks.validation [--rows 400000] [--workers 2]`: seconds a million rows, by data set.

Partitions of 50,000 rows are checked by the stage's own work on Dask's worker processes, after a first partition of a few rows, whose time
holds Great Expectations' import; then once more on one worker alone. Rows are conversations of about 1.5 KB, pairs of them, and prompts, all good.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

SAMPLE = 2_000
"""Rows made one by one; the others are these under other ids."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What validating a data set took."""

    name: str
    rows: int
    first_s: float
    seconds: float
    peak: int

    @property
    def a_million(self) -> float:
        """Seconds for a million rows."""
        return self.seconds / self.rows * 1e6


def main() -> None:
    arguments = parse()
    for workers in sorted({arguments.workers, 1}, reverse=True):
        with tempfile.TemporaryDirectory() as folder:
            found = [measure(Path(folder), name, arguments.rows, workers) for name in ("sft", "preferences", "prompts")]
        print(f"{workers} workers, partitions of 50,000 rows")
        for one in found:
            print(
                f"  {one.name:<12} {one.rows:,} rows in {one.seconds:.1f} s: {one.a_million:.1f} s a million rows;"
                f" first partition {one.first_s:.1f} s; workers' peak {one.peak / 2**20:,.0f} MiB"
            )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def measure(folder: Path, name: str, rows: int, workers: int) -> Measured:
    from benchmarks.memory import watch_descendants
    from infra.cluster import map_tasks, open_cluster
    from infra.settings import Settings
    from infra.storage import RunFolder, read_records, write_table
    from schemas.records import Drop
    from tasks.rollout import Cast
    from tasks.run_state import Job
    from tasks.stages.validate import validate_shard
    from tasks.validation.partitions import PARTITION_ROWS

    settings = Settings(data=folder, dask_workers=workers)
    job = Job(RunFolder(folder, name), settings, {}, Cast({}, {}, 0))
    sample = make_sample(name)
    sizes = [10 * workers, *[PARTITION_ROWS] * max(1, rows // PARTITION_ROWS)]
    for number, size in enumerate(sizes):
        write_table(job.folder.part("in", number), many(sample, size))
    partitions = tuple((name, (job.folder.part("in", number),)) for number in range(len(sizes)))
    work = partial(validate_shard, job, partitions=partitions, context_tokens=4096)
    with watch_descendants() as peak, open_cluster(settings) as client:
        begun = time.perf_counter()
        client.run(partial(work, 0))  # on every worker
        first = time.perf_counter() - begun
        begun = time.perf_counter()
        reports = dict(map_tasks(client, work, range(1, len(sizes))))
        seconds = time.perf_counter() - begun
    if any(report.dropped for report in reports.values()):
        sys.exit(f"rows failed: {json.dumps([drop.reason for drop in read_records(job.folder.dropped('validate', 1), Drop)][:3])}")
    return Measured(name, sum(report.rows_in for report in reports.values()), first, seconds, peak.rss)


def many(sample: pa.Table, rows: int) -> pa.Table:
    """Repeat rows under ids of their own."""
    table = pa.concat_tables([sample] * -(-rows // len(sample))).slice(0, rows).combine_chunks()
    ids = pa.array([f"{number:032x}" for number in range(rows)], pa.string())
    return table.set_column(0, table.schema.field(0), ids)


def make_sample(name: str) -> pa.Table:
    from schemas.contract import to_table
    from schemas.records import Conversation, Preference, Prompt

    match name:
        case "sft":
            return to_table((a_conversation(number, "good") for number in range(SAMPLE)), Conversation)
        case "prompts":
            return to_table((a_prompt(number) for number in range(SAMPLE)), Prompt)
    return to_table((a_pair(number) for number in range(SAMPLE)), Preference)


def a_prompt(number: int) -> Any:
    from schemas.records import Lineage, Message, ModelUse, Prompt, Provenance, prompt_id

    asked = (Message("user", f"How would you explain the number {number} to a class of ten-year-olds, and what would you have them do with it?"),)
    made = Provenance("bench", False, (ModelUse("writer", "some-model", "1", "apache-2.0", "triton/ensemble", 512, 1.0, 0.9, None, number),))
    return Prompt(prompt_id("open_qa", asked), "open_qa", "open_qa", asked, None, Lineage(topics=("numbers", str(number))), made)


def a_conversation(number: int, kind: str) -> Any:
    from schemas.records import Conversation, Message, Scores, conversation_id

    prompt = a_prompt(number)
    answer = f"A {kind} answer about {number}. " + "Begin with what they can see and touch, and let them count it in twos, in threes and in fives. " * 13
    messages = (*prompt.messages, Message("assistant", answer))
    return Conversation(
        conversation_id=conversation_id(prompt.prompt_id, "answer", 0, messages),
        prompt_id=prompt.prompt_id,
        technique="open_qa",
        category="open_qa",
        response="answer",
        sample_index=0,
        prompt_turns=1,
        messages=messages,
        finish_reason="stop",
        finish_reason_inferred=False,
        prompt_tokens=30,
        completion_tokens=330,
        tokens_inferred=True,
        scores=Scores(3.5, "+1*helpfulness", 3.5, 3.0, 4.0, 1.5, 2.0),
        verdict=None,
        reference=None,
        lineage=prompt.lineage,
        provenance=prompt.provenance,
    )


def a_pair(number: int) -> Any:
    from dataclasses import replace

    from schemas.recipe import PairOptions
    from schemas.records import Scores
    from tasks.catalogue import LoadedJudge
    from tasks.discovery import options_of
    from tasks.pairing import pair

    better, worse = a_conversation(number, "good"), a_conversation(number, "hasty")
    judge = LoadedJudge("reward_margin", options_of("judges", "reward_margin")())
    return pair([better, replace(worse, scores=Scores(1.0, "+1*helpfulness", 1.0, 1.0, 1.0, 1.0, 1.0))], PairOptions(), [judge])[0]


if __name__ == "__main__":
    main()
