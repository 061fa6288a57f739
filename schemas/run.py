"""A run's bookkeeping as values: what the ledger stores and the CLI and report show."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from schemas.spending import Spent, add_spent

RunStatus = Literal["running", "failed", "interrupted", "finished"]


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What one committed shard did. Counts of rows are of requested rows (see `Drop.rows`)."""

    rows_in: int
    rows_out: int
    dropped: dict[str, int] = field(default_factory=dict)
    """Rows by reason."""
    calls: int = 0
    """Engine calls made and paid for."""
    reused: int = 0
    """Calls answered from the journal or the call store."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Of the calls made, not of those reused."""
    seconds: float = 0.0
    spent: tuple[Spent, ...] = ()
    """The calls again, by technique, role and model."""

    @property
    def closes(self) -> bool:
        """Whether in == out + dropped."""
        return self.rows_in == self.rows_out + sum(self.dropped.values())


@dataclass(frozen=True, slots=True)
class StageReport:
    """All committed shards of one stage, added up. `rows_in` of a stage that multiplies rows is what was requested."""

    stage: str
    shards: int
    committed: int
    total: ShardReport


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as the ledger knows it."""

    run_id: str
    fingerprint: str
    attempt: int
    name: str
    recipe: dict[str, Any]
    status: RunStatus
    started_at: str
    """ISO 8601, UTC."""
    finished_at: str | None
    error: str | None
    release: str | None
    """name/version once published."""
    rehearsal: bool


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """One published release as the ledger knows it."""

    name: str
    version: str
    run_id: str
    path: str
    rows: dict[str, int]
    """Data set and split to rows, for example {"sft/train": 91}."""
    manifest_sha256: str
    published_at: str


def add_reports(*reports: ShardReport) -> ShardReport:
    """Add up shards."""
    dropped: dict[str, int] = {}
    for report in reports:
        for reason, rows in report.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + rows
    return ShardReport(
        rows_in=sum(one.rows_in for one in reports),
        rows_out=sum(one.rows_out for one in reports),
        dropped=dict(sorted(dropped.items())),
        calls=sum(one.calls for one in reports),
        reused=sum(one.reused for one in reports),
        prompt_tokens=sum(one.prompt_tokens for one in reports),
        completion_tokens=sum(one.completion_tokens for one in reports),
        seconds=sum(one.seconds for one in reports),
        spent=add_spent(spent for one in reports for spent in one.spent),
    )


def fold_steps(stages: Sequence[StageReport]) -> tuple[StageReport, ...]:
    """Join the steps of a stage (`prompts/0-open_qa/1-subtopics`) into one report of it.

    What a step puts out its successor takes in, in rows of what the stage as a whole makes; so of each chain of steps the first one's
    rows in, the last one's rows out and all drops count, and the sum closes as its parts do.
    """
    folded: dict[str, list[StageReport]] = {}
    for chain in step_chains(stages):
        folded.setdefault(chain[0].stage.partition("/")[0], []).append(_fold_chain(chain))
    return tuple(_add_stages(name, parts) for name, parts in folded.items())


def step_chains(stages: Sequence[StageReport]) -> tuple[tuple[StageReport, ...], ...]:
    """Group the steps that feed each other, in order; a stage without steps is a chain of its own."""
    chains: dict[str, list[StageReport]] = {}
    for one in stages:
        chains.setdefault(one.stage.rpartition("/")[0] or one.stage, []).append(one)
    return tuple(map(tuple, chains.values()))


def _fold_chain(steps: Sequence[StageReport]) -> StageReport:
    whole = _add_stages(steps[0].stage, steps)
    total = replace(whole.total, rows_in=steps[0].total.rows_in, rows_out=steps[-1].total.rows_out)
    return replace(whole, total=total)


def _add_stages(name: str, parts: Sequence[StageReport]) -> StageReport:
    total = add_reports(*(part.total for part in parts))
    return StageReport(name, sum(part.shards for part in parts), sum(part.committed for part in parts), total)
