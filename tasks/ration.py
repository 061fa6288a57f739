"""Exactly N rows: how far the answering goes, and which rows are kept where it went a little too far.

Prompts are answered in rounds, each a run of shards from the first on. After a round everything up to the pairs is made of what there is, and
the rows are counted; if they don't suffice, the yield so far says how many shards more to answer. A shard is a slice of the id space, so each is a fair
sample of all techniques. What is decided is a function of the rows alone: a run killed anywhere decides the same again.
(docs/decisions/exact-rows.md)
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from infra.storage import RunFolder, read_table, write_text
from schemas.records import Conversation, Drop, drop_record
from tasks.pairing import Settlement

SPARED_REASON = "not_needed"
SPARED = "there are as many rows as were asked for without it"
_DECISION = "ration.json"
_SURPLUS = 1.05
"""A round aims a little above what is missing, or the last rows would take a round each."""


@dataclass(frozen=True, slots=True)
class Round:
    """What there was after so many shards had been answered."""

    shards: int
    rows: Mapping[str, int]
    """Data set to rows made so far."""


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """The last id of each data set that is published; None: all are."""

    sft: str | None = None
    preferences: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How a run's rows were rationed."""

    shards: int
    """Of the run."""
    answered: int
    """Shards whose prompts were answered; the others were spared."""
    rounds: tuple[Round, ...]
    cutoffs: Cutoffs = field(default_factory=Cutoffs)


def first_shards(wanted: Mapping[str, int], prompts: Mapping[str, float], *, shards: int) -> int:
    """Say how many shards the first round answers: as many as would do if every prompt that is for a data set gave it a row."""
    shares = [rows / max(1.0, prompts[name]) for name, rows in wanted.items()]
    return max(1, min(shards, math.ceil(max(shares) * shards)))


def next_shards(wanted: Mapping[str, int], last: Round, *, shards: int) -> int | None:
    """Say up to which shard to answer next, going by the yield so far; None where there are enough rows or no more shards."""
    short = {name: rows for name, rows in wanted.items() if last.rows.get(name, 0) < rows}
    if not short or last.shards >= shards:
        return None
    yields = [rows * _SURPLUS / max(last.rows.get(name, 0), 0.5) for name, rows in short.items()]
    return min(shards, max(last.shards + 1, math.ceil(last.shards * max(yields))))


def find_cutoff(paths: Sequence[Path], column: str, wanted: int) -> str | None:
    """Find the id of the last row to keep, in the order of ids, which are hashes and so favour nothing; None where all are kept."""
    ids = pa.chunked_array([chunk for path in paths for chunk in read_table(path, columns=[column]).column(0).chunks], pa.string())
    if len(ids) <= wanted:
        return None
    lowest = pc.select_k_unstable(pa.table({"id": ids}), k=wanted, sort_keys=[("id", "ascending")])
    last: str = ids[lowest[wanted - 1].as_py()].as_py()
    return last


def trim(settled: Settlement, conversations: Sequence[Conversation], cutoffs: Cutoffs) -> Settlement:
    """Take out what is beyond the cutoffs; an answer that stands nowhere any more becomes a drop named `over_quota`."""
    sft = tuple(one for one in settled.sft if cutoffs.sft is None or one.conversation_id <= cutoffs.sft)
    preferences = tuple(one for one in settled.preferences if cutoffs.preferences is None or one.preference_id <= cutoffs.preferences)
    lost = _used(settled) - _used(Settlement(sft, preferences, ()))
    drops = tuple(_over(one) for one in sorted(conversations, key=lambda one: one.conversation_id) if one.conversation_id in lost)
    return Settlement(sft, preferences, (*settled.drops, *drops))


def is_spared(folder: RunFolder, shard: int) -> bool:
    """Say whether a shard's prompts go unanswered."""
    decision = read_decision(folder)
    return decision is not None and shard >= decision.answered


def read_cutoffs(folder: RunFolder) -> Cutoffs:
    """Read where the rows end; nowhere, where the recipe asks for no number of them."""
    decision = read_decision(folder)
    return decision.cutoffs if decision else Cutoffs()


def read_decision(folder: RunFolder) -> Decision | None:
    """Read what was decided for a run; None while nothing is."""
    path = folder.root / _DECISION
    if not path.exists():
        return None
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    rounds = tuple(Round(one["shards"], one["rows"]) for one in told["rounds"])
    return Decision(told["shards"], told["answered"], rounds, Cutoffs(**told["cutoffs"]))


def keep_decision(folder: RunFolder, decision: Decision) -> None:
    """Write a decision down, once and for all."""
    write_text(folder.root / _DECISION, json.dumps(asdict(decision)))


def _used(settled: Settlement) -> set[str]:
    return {one.conversation_id for one in settled.sft} | {side for one in settled.preferences for side in (one.chosen_id, one.rejected_id)}


def _over(one: Conversation) -> Drop:
    return drop_record(one, stage="pair", reason="over_quota", detail="the recipe asks for fewer rows than there are")
