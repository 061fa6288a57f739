"""Conservation of rows: of what was requested, how much was published, and what became of the rest.

A run's stages fall into chapters, each with its own unit: prompts are asked for and screened; each prompt asks for answers, which are
scored, filtered, freed from copies and paired; rows are validated and published. Within a chapter nothing may vanish.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from schemas.errors import AccountingError
from schemas.run import ShardReport, StageReport, fold_steps, step_chains

CHAPTERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "prompts": ("prompts", "screen"),
        "answers": ("responses", "score", "filter", "dedup", "pair"),
    }
)
"""Unit to the stages through which that unit passes."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows that one stage dropped for one reason."""

    stage: str
    reason: str
    rows: int

    @property
    def kind(self) -> str:
        """`deduplicated`, `contaminated` or `dropped`: how the report groups it."""
        if self.stage == "dedup" or "duplicate" in self.reason:
            return "deduplicated"
        return "contaminated" if self.reason.startswith("contaminat") else "dropped"


@dataclass(frozen=True, slots=True)
class Account:
    """One chapter's balance."""

    unit: str
    stages: tuple[StageReport, ...]
    requested: int
    kept: int
    losses: tuple[Loss, ...]
    """In the order of stages, then the largest first."""

    def lost(self, kind: str) -> int:
        """Add up the losses of a kind."""
        return sum(loss.rows for loss in self.losses if loss.kind == kind)

    @property
    def pending(self) -> int:
        """Rows of which nothing is known yet: 0 once every stage is done."""
        return self.requested - self.kept - sum(loss.rows for loss in self.losses)

    @property
    def closes(self) -> bool:
        """Whether requested = kept + losses."""
        return self.pending == 0


def draw_accounts(stages: Sequence[StageReport]) -> tuple[Account, ...]:
    """Balance each chapter of which a stage was reported."""
    by_name = {one.stage: one for one in fold_steps(stages)}
    found = ((unit, tuple(by_name[name] for name in names if name in by_name)) for unit, names in CHAPTERS.items())
    return tuple(_balance(unit, chapter) for unit, chapter in found if chapter)


def find_account_faults(stages: Sequence[StageReport]) -> list[str]:
    """Say where rows went missing: a stage that doesn't close, or one that got other rows than the one before gave."""
    faults = [f"stage {one.stage}: {one.total.rows_in} in, {_outcome(one.total)}" for one in stages if not one.total.closes]
    chains = [(account.unit, account.stages) for account in draw_accounts(stages)]
    chains += [("rows", steps) for steps in step_chains(stages)]
    for unit, chain in chains:
        for before, after in itertools.pairwise(chain):
            if before.total.rows_out != after.total.rows_in:
                faults.append(f"{before.total.rows_out} {unit} left stage {before.stage}, {after.total.rows_in} came to stage {after.stage}")
    return faults


def refuse_account_faults(stages: Sequence[StageReport], dropped: Mapping[tuple[str, str], int]) -> None:
    """Raise AccountingError unless the stages close and the dropped rows on disk are those that they reported."""
    faults = find_account_faults(stages) + compare_drops(stages, dropped)
    if faults:
        raise AccountingError("\n".join(["the accounts of rows do not close; nothing was published:", *(f"  {fault}" for fault in faults)]))


def compare_drops(stages: Sequence[StageReport], dropped: Mapping[tuple[str, str], int]) -> list[str]:
    """Compare the drops reported with the drops written, by stage and reason."""
    told = {(one.stage, reason): rows for one in fold_steps(stages) for reason, rows in one.total.dropped.items() if rows}
    kept = {key: rows for key, rows in dropped.items() if rows}
    return [
        f"stage {stage} reported {told.get((stage, reason), 0)} rows dropped as {reason}, {kept.get((stage, reason), 0)} are in dropped/"
        for stage, reason in sorted(told.keys() | kept.keys())
        if told.get((stage, reason), 0) != kept.get((stage, reason), 0)
    ]


def _balance(unit: str, chapter: tuple[StageReport, ...]) -> Account:
    losses = [Loss(one.stage, reason, rows) for one in chapter for reason, rows in sorted(one.total.dropped.items(), key=_largest) if rows]
    return Account(unit, chapter, chapter[0].total.rows_in, chapter[-1].total.rows_out, tuple(losses))


def _largest(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _outcome(total: ShardReport) -> str:
    return f"{total.rows_out} out and {sum(total.dropped.values())} dropped"
