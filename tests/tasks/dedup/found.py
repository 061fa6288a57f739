"""Reads a search's findings whole, by record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.storage import read_table
from tasks.dedup import METHODS, read_copies


@dataclass(frozen=True, slots=True)
class Copy:
    """Why a record goes."""

    keeper_id: str
    method: str
    similarity: float


def copies_in(work: Path, shards: Sequence[Path]) -> dict[str, Copy]:
    found = {}
    for number, shard in enumerate(shards):
        ids, copies = read_table(shard).column(0).to_pylist(), read_copies(work, number)
        for record, keeper in zip(copies.records, copies.keepers, strict=True):
            found[ids[record["row"]]] = Copy(keeper, METHODS[record["method"]], float(record["similarity"]))
    return found


def files_of(folder: Path) -> dict[Path, int]:
    """Each file, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
