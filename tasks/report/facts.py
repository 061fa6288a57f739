"""What a report tells, gathered from a run's facts and Parquet files in bounded memory; nothing here is HTML."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.contract import arrow_schema
from schemas.records import Conversation
from schemas.run import StageReport
from tasks.release.accounts import Account, draw_accounts, find_account_faults
from tasks.release.card import loading_snippet
from tasks.release.inputs import DATA_SETS, ReleaseInputs
from tasks.release.obligations import Obligations, Usage, compute_obligations, known_licences
from tasks.release.quota import describe_quota
from tasks.release.spending import Bill, draw_bill
from tasks.report.samples import Samples, gather_samples
from tasks.report.scores import ScoreFacts, gather_scores
from tasks.validation.partitions import read_contracted


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """One data set's expectations."""

    data_set: str
    success: bool
    rows: int
    expectations: int
    findings: tuple[Mapping[str, Any], ...]
    """Those expectations that something failed, warnings included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """Everything on the page."""

    title: str
    name: str
    version: str
    """Empty while nothing is published."""
    run_id: str
    fingerprint: str
    status: str
    error: str | None
    rehearsal: bool
    started_at: str
    finished_at: str | None
    rows: Mapping[str, int]
    """Data set and split to rows; before publication, data set to rows made so far."""
    stages: tuple[StageReport, ...]
    accounts: tuple[Account, ...]
    account_faults: tuple[str, ...]
    scores: ScoreFacts
    samples: Samples
    models: tuple[Mapping[str, Any], ...]
    sources: tuple[Mapping[str, Any], ...]
    engines: Mapping[str, Mapping[str, Any]]
    obligations: Obligations
    checks: tuple[CheckSummary, ...]
    bill: Bill
    recipe_text: str
    loading: str
    """Code to read the release; empty while there is none."""
    quota: tuple[str, ...] = ()
    """Whether the number of rows that the recipe asks for came, a line a data set."""
    gaps: tuple[str, ...] = field(default=())
    """Files that could not be read, as may be after a crash."""


def gather_facts(inputs: ReleaseInputs, *, rows: Mapping[str, int] | None = None, usage: Usage | None = None) -> ReportFacts:
    """Gather a report's facts; a release under way hands in its counts, else they are taken from the parts. Files that can't be read become gaps."""
    gaps: list[str] = []
    readable = {name: _readable(paths, DATA_SETS[name], gaps) for name, paths in inputs.parts.items()}
    counted = usage or _count_usage(readable)
    made = dict(rows) if rows is not None else {name: sum(pq.read_metadata(path).num_rows for path in readable[name]) for name in readable}
    licences = {one.licence for one in counted.models} | {one.licence for one in counted.sources}
    quota = describe_quota(inputs, made) if inputs.version else None
    return ReportFacts(
        title=inputs.recipe.title or inputs.name,
        name=inputs.name,
        version=inputs.version,
        run_id=inputs.run_id,
        fingerprint=inputs.fingerprint,
        status="published" if inputs.version else inputs.status,
        error=inputs.error,
        rehearsal=inputs.rehearsal or counted.rehearsal,
        started_at=inputs.started_at,
        finished_at=inputs.finished_at,
        rows=made,
        stages=inputs.stages,
        accounts=draw_accounts(inputs.stages),
        account_faults=tuple(find_account_faults(inputs.stages)) if inputs.version else (),
        scores=gather_scores(_readable(inputs.scored, Conversation, gaps), readable),
        samples=gather_samples(readable),
        models=tuple({**use._asdict(), "rows": dict(sorted(seen.items()))} for use, seen in sorted(counted.models.items())),
        sources=tuple({**source._asdict(), "rows": dict(sorted(seen.items()))} for source, seen in sorted(counted.sources.items())),
        engines=inputs.engines,
        obligations=compute_obligations(known_licences(licences)),
        checks=tuple(_summarise(name, found) for name, found in inputs.expectations.items()),
        bill=draw_bill(inputs),
        recipe_text=inputs.recipe_text,
        loading=loading_snippet(inputs, made) if inputs.version else "",
        quota=tuple(quota["lines"]) if quota else (),
        gaps=tuple(gaps),
    )


def _summarise(data_set: str, found: Mapping[str, Any]) -> CheckSummary:
    results = found.get("expectations", ())
    findings = tuple(one for one in results if not one["success"])
    return CheckSummary(data_set, bool(found.get("success")), int(found.get("rows", 0)), len(results), findings)


def _readable(paths: Iterable[Path], record: type, gaps: list[str]) -> tuple[Path, ...]:
    """Leave out files that a crash has damaged or that another version wrote."""
    good = []
    for path in paths:
        try:
            if pq.read_schema(path).equals(arrow_schema(record), check_metadata=False):
                good.append(path)
            else:
                gaps.append(f"{path.name} in {path.parent} is not of the contract of {record.__name__}")
        except (OSError, pa.ArrowException) as error:
            gaps.append(f"{path.name} in {path.parent} can't be read: {error}")
    return tuple(good)


def _count_usage(parts: Mapping[str, Sequence[Path]]) -> Usage:
    usage = Usage()
    for name in parts:
        for table in _tables(parts[name], name):
            usage.count(table, DATA_SETS[name], name)
    return usage


def _tables(paths: Iterable[Path], data_set: str) -> Iterable[pa.Table]:
    return (read_contracted(path, DATA_SETS[data_set]) for path in paths)
