"""Stage `validate`: Great Expectations over every partition of what is about to be published. On Dask.

A failed expectation publishes nothing: the failing rows are written to the run's validate/dropped, named in the error, and left out of
the ledger, so that the stage is done again when the run is taken up after a cure.
"""

import json
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from infra.storage import write_records, write_text
from schemas.records import Conversation, Drop, Preference, Prompt
from schemas.run import ShardReport
from tasks.progress import HUB
from tasks.release.inputs import prompts_folder
from tasks.run_state import Job, Run
from tasks.stages.fan_out import map_on_dask, stage_task
from tasks.tally import tally
from tasks.validation.partitions import (
    CheckResult,
    PartitionResult,
    merge_results,
    partition_parts,
    read_contracted,
    refuse_failures,
    split_failures,
    validate_partition,
)

RECORDS: dict[str, type] = {"prompts": Prompt, "sft": Conversation, "preferences": Preference}
"""What is validated, and where: data set to its class."""

Partition = tuple[str, tuple[Path, ...]]


@stage_task
def validate_rows(run: Run, shards: int) -> None:
    """Validate every partition. Raises ContractError naming what failed."""
    partitions = list_partitions(run, shards)
    committed = run.committed("validate", len(partitions))
    HUB.stage_begins("validate", shards=len(partitions), committed=committed)
    left = [number for number in range(len(partitions)) if number not in committed]
    work = partial(validate_shard, partitions=partitions, context_tokens=run.loaded.shortest_context())
    failed: list[PartitionResult] = []
    for number, report in map_on_dask(run, work, left, stage="validate") if left else ():
        if report.dropped:
            failed.append(read_result(run.folder.root, number))
            continue
        run.commit("validate", number, report)
        HUB.shard_done("validate", report)
    refuse_failures(failed)
    HUB.stage_ends("validate")


def list_partitions(run: Run, shards: int) -> tuple[Partition, ...]:
    """Cut what is to be published into partitions."""
    folders = {"prompts": prompts_folder(run.loaded.recipe)}
    folders |= {"sft": "pair/sft"} if run.loaded.recipe.sft else {}
    folders |= {"preferences": "pair/preferences"} if run.loaded.recipe.pairs else {}
    paths = {name: [run.folder.part(folder, shard) for shard in range(shards)] for name, folder in folders.items()}
    return tuple((name, group) for name, parts in paths.items() for group in partition_parts(parts))


def validate_shard(job: Job, number: int, *, partitions: tuple[Partition, ...], context_tokens: int) -> ShardReport:
    """Validate one partition, and write its result beside the data."""
    started = time.monotonic()
    name, paths = partitions[number]
    result = validate_partition(paths, RECORDS[name], context_tokens=context_tokens)
    drops = [drop for path in paths for drop in _failing_rows(path, RECORDS[name], context_tokens)] if result.failures else []
    write_records(job.folder.dropped("validate", number), drops, Drop)
    write_text(_result_path(job.folder.root, number), json.dumps({"data_set": name, **asdict(result)}))
    return ShardReport(result.rows, result.rows - len(drops), tally(drops), seconds=time.monotonic() - started)


def merged_results(root: Path) -> dict[str, dict[str, Any]]:
    """Join the partitions' results into one document a data set."""
    found: dict[str, list[PartitionResult]] = {}
    for path in sorted((root / "validate").glob("result-*.json")):
        raw = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(raw["data_set"], []).append(_to_result(raw))
    return {name: merge_results(results, RECORDS[name]) for name, results in found.items()}


def read_result(root: Path, number: int) -> PartitionResult:
    """Read back what a partition's validation found."""
    return _to_result(json.loads(_result_path(root, number).read_text(encoding="utf-8")))


def _failing_rows(path: Path, record: type, context_tokens: int) -> tuple[Drop, ...]:
    result = validate_partition(path, record, context_tokens=context_tokens)
    return split_failures(read_contracted(path, record), result, record).drops


def _result_path(root: Path, number: int) -> Path:
    return root / "validate" / f"result-{number:05d}.json"


def _to_result(raw: dict[str, Any]) -> PartitionResult:
    checks = tuple(CheckResult(**{**check, "rows": tuple(check["rows"]), "record_ids": tuple(check["record_ids"])}) for check in raw["checks"])
    return PartitionResult(raw["record"], raw["part"], raw["rows"], checks)
