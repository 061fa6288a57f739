"""What a search found, and what it does to a shard: copies become drops, each pointing at the record kept in its place.

A search leaves `found.json`, written last, and a file a partition beside it: its copies, by their row numbers.
"""

import bisect
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from infra.storage import storage_error, write_text
from infra.trees import remove_tree
from schemas.contract import arrow_schema
from schemas.identity import canonical_json, content_id
from schemas.records import Drop, record_json
from tasks.dedup.arrays import Records, read_range
from tasks.dedup.plan import Kind
from tasks.dedup.shards import format_ids

COPY = np.dtype(
    [
        ("row", "i8"),
        ("keeper_high", "u8"),
        ("keeper_low", "u8"),
        ("method", "u1"),  # a place in METHODS
        ("similarity", "f4"),  # near: the share of equal values in both signatures, or the true Jaccard similarity; semantic: the cosine
        ("earlier", "i4"),  # which of the releases keeps it; -1 where this run does
    ]
)
METHODS = ("exact", "near", "semantic")
EXACT, NEAR, SEMANTIC = range(3)
NOTE = "found.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")

_HOW = {
    "exact": "the same text, after normalisation, as",
    "near": "a similarity of {:.3f} to",
    "semantic": "an embedding with a cosine of {:.3f} to that of",
}


@dataclass(frozen=True, slots=True)
class Copies:
    """What was found in one shard."""

    records: Records
    """Of dtype COPY, in the order of rows; `row` is the place in the shard."""
    releases: tuple[str, ...] = ()

    @staticmethod
    def none() -> "Copies":
        """Of a shard without any."""
        return Copies(np.empty(0, COPY))

    @property
    def keepers(self) -> list[str]:
        """The ids of the records that are kept."""
        return [str(one) for one in format_ids(self.records["keeper_high"], self.records["keeper_low"]).to_pylist()]


@dataclass(frozen=True, slots=True)
class Parted:
    """A shard without its copies."""

    kept: pa.Table
    drops: pa.Table
    """`Drop` rows, by drop_id."""
    dropped: dict[str, int]
    """Drops by reason."""


def part_file(work: Path, part: int) -> Path:
    """Where a partition's copies are."""
    return work / f"found-{part:05}.npy"


def take_up(work: Path, *described: Any) -> bool:
    """Say whether this very search, told from any other by what describes it, is finished in `work`.

    Clears away what another search left, or this one before the machine was started anew: its scratch files are whole only since the boot that the note names.
    """
    boot = _BOOT.read_text().strip() if _BOOT.exists() else ""
    told, note = canonical_json([boot, *described]).decode(), work / "search.json"
    if not note.exists() or note.read_text(encoding="utf-8") != told:
        remove_tree(work)
        write_text(note, told)
    return (work / NOTE).exists()


def stamps(files: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Tell files from what they were: by name, size and time."""
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def note_found(work: Path, starts: Sequence[int], groups: Sequence[tuple[int, int]], releases: Sequence[str] = ()) -> None:
    """Say that a search is finished, and where each shard's copies are: `starts` are the shards' first rows, `groups` the partitions' shards."""
    write_text(work / NOTE, json.dumps({"starts": starts, "firsts": [first for first, _ in groups], "releases": releases}))


def read_copies(work: Path, shard: int) -> Copies:
    """Read what a search found in one of its shards, by the shard's place among them. Raises StorageError."""
    try:
        note = json.loads((work / NOTE).read_bytes())
    except OSError as error:
        raise storage_error(work / NOTE, error, "read") from error
    if not note["firsts"]:
        return Copies.none()
    part = bisect.bisect_right(note["firsts"], shard) - 1
    records = read_range(part_file(work, part), "row", note["starts"][shard], note["starts"][shard + 1])
    records["row"] -= note["starts"][shard]
    return Copies(records, tuple(note["releases"]))


def join_copies(*found: Copies) -> Copies:
    """Join what several searches found in one shard, each among what the ones before left; the first one's releases are meant."""
    records = np.concatenate([one.records for one in found])
    return Copies(records[np.argsort(records["row"])], found[0].releases)


def part_copies(table: pa.Table, copies: Copies, kind: Kind, *, stage: str) -> Parted:
    """Part a shard into the rows kept and the drops of its copies; of the rows, only the dropped ones become Python objects."""
    dropped = np.zeros(table.num_rows, np.bool_)
    dropped[copies.records["row"]] = True
    methods = [METHODS[method] for method in copies.records["method"]]
    why = zip(methods, copies.keepers, copies.records["similarity"].tolist(), copies.records["earlier"].tolist(), strict=True)
    rows = table.take(pa.array(copies.records["row"])).to_pylist()
    drops = [_drop(kind, row, stage, copies.releases, *reason) for row, reason in zip(rows, why, strict=True)]
    reasons = sorted(drop["reason"] for drop in drops)
    return Parted(table.filter(pa.array(~dropped)), _drop_table(drops), {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)})


def _drop(kind: Kind, row: Mapping[str, Any], stage: str, releases: Sequence[str], method: str, keeper: str, similarity: float, earlier: int) -> dict[str, Any]:
    reason, place = f"{method}_duplicate", keeper
    if earlier >= 0:
        reason, place = f"{method}_duplicate_of_release", f"{releases[earlier]}:{keeper}"
    record_id = row[f"{kind}_id"]
    return {
        "drop_id": content_id("drop", [stage, reason, kind, record_id, 0]),
        "stage": stage,
        "reason": reason,
        "detail": f"{_HOW[method].format(similarity)} {place}",
        "kind": kind,
        "record_id": record_id,
        "record": record_json(row),
        "points_to": place,
        "similarity": similarity,
    }


def _drop_table(drops: Sequence[dict[str, Any]]) -> pa.Table:
    """Lay drops out as columns, what they leave open by `Drop`'s defaults: a tenth of the time that making `Drop`s and rows of them takes."""
    ordered = sorted(drops, key=lambda drop: str(drop["drop_id"]))
    defaults = {field.name: field.default for field in dataclasses.fields(Drop)}
    schema = arrow_schema(Drop)
    given = {name: [drop[name] for drop in ordered] for name in (ordered[0] if ordered else ())}
    columns = [pa.array(given.get(field.name, [defaults[field.name]] * len(ordered)), field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)
