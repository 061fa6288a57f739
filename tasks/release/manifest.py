"""A release's manifest: what is in it, byte by byte, and how it came about; and the check that it still is.

`manifest.json` is written last of a release's files and names all the others with their checksums.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.storage import sha256_file, storage_error
from schemas.contract import arrow_schema
from schemas.errors import NotFoundError
from schemas.identity import content_id, stable_share
from schemas.run import ReleaseRecord
from tasks.release.inputs import DATA_SETS

FORMAT = "gristmill-release/1"
MANIFEST = "manifest.json"
SPLIT_SETS = ("sft", "preferences", "prompts")
"""Data sets that have a train and a validation split."""

_LIBRARIES = ("gristmill", "pyarrow", "polars", "prefect", "distributed", "great-expectations", "tritonclient", "numpy", "pandas", "pydantic", "sqlalchemy")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as the manifest says."""

    file: str
    what: str


def describe_files(folder: Path) -> list[dict[str, Any]]:
    """List every file but the manifest, with size, checksum and, of Parquet, rows and schema."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return [_describe_file(folder, path) for path in paths]


def describe_schemas(data_sets: Iterable[str]) -> dict[str, Any]:
    """Write out the contract of each data set."""
    return {name: _describe_schema(DATA_SETS[name]) for name in data_sets}


def schema_digest(schema: pa.Schema) -> str:
    """Name a schema by its fields, types and what may be null."""
    return content_id("schema", [[field.name, str(field.type), field.nullable] for field in schema])


def library_versions() -> dict[str, str]:
    """Say which versions of the libraries that matter are installed."""
    return {name: found for name in _LIBRARIES if (found := _version_of(name))}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a release's manifest. Raises NotFoundError where there is none, StorageError where it can't be read."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"no release at {folder}: it has no {MANIFEST}") from error
    except OSError as error:
        raise storage_error(path, error, "read") from error
    except ValueError as error:
        raise NotFoundError(f"{path} is not JSON ({error}): this is not a release, or it is damaged") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise NotFoundError(f"{path} is not of the format {FORMAT}: this is not a release, or one of another version of Gristmill")
    return manifest


def release_record(folder: Path) -> ReleaseRecord:
    """Describe a release as the ledger keeps it."""
    manifest = read_manifest(folder)
    return ReleaseRecord(
        manifest["name"],
        manifest["version"],
        manifest["run_id"],
        str(folder),
        manifest["rows"],
        sha256_file(folder / MANIFEST),
        manifest["created_at"],
    )


def verify_release(folder: Path) -> list[Fault]:
    """Read a whole release again and list everything that is not as its manifest says: bytes, rows, schemas, ids, splits, accounts."""
    manifest = read_manifest(folder)
    listed = {one["path"]: one for one in manifest["files"]}
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    faults = [Fault(name, "is missing") for name in sorted(listed.keys() - present)]
    faults += [Fault(name, "is not in the manifest") for name in sorted(present - listed.keys())]
    damaged = [fault for name in sorted(listed.keys() & present) for fault in _compare_file(folder / name, listed[name])]
    if faults or damaged:
        return [*faults, *damaged]
    return [fault for data_set in manifest["schemas"] for fault in _check_rows(folder, data_set, manifest)] + list(_check_counts(manifest, listed))


def _describe_file(folder: Path, path: Path) -> dict[str, Any]:
    about: dict[str, Any] = {"path": str(path.relative_to(folder)), "bytes": path.stat().st_size, "sha256": sha256_file(path)}
    if path.suffix == ".parquet":
        about |= {"rows": pq.read_metadata(path).num_rows, "schema": schema_digest(pq.read_schema(path))}
    return about


def _describe_schema(record: type) -> dict[str, Any]:
    schema = arrow_schema(record)
    fields = [{"name": field.name, "type": str(field.type), "nullable": field.nullable} for field in schema]
    return {"record": record.__name__, "digest": schema_digest(schema), "fields": fields}


def _version_of(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _compare_file(path: Path, listed: Mapping[str, Any]) -> Iterator[Fault]:
    name = str(listed["path"])
    size = path.stat().st_size
    if size != listed["bytes"]:
        yield Fault(name, f"has {size} bytes, not {listed['bytes']}")
    elif sha256_file(path) != listed["sha256"]:
        yield Fault(name, "has another checksum: its bytes were changed")


def _check_rows(folder: Path, data_set: str, manifest: Mapping[str, Any]) -> Iterator[Fault]:
    """Check schema, order and uniqueness of ids (one follows from the other), and that every row is in its own split."""
    record = DATA_SETS[data_set]
    ids, share = arrow_schema(record).names[0], manifest["recipe"]["release"]["validation"]
    for split in ("train", "validation") if data_set in SPLIT_SETS else ("",):
        last = ""
        for path in sorted((folder / data_set / split).glob("part-*.parquet")):
            name = str(path.relative_to(folder))
            if not pq.read_schema(path).equals(arrow_schema(record), check_metadata=False):
                yield Fault(name, f"hasn't the schema of {record.__name__}")
                continue
            columns = [ids, "prompt_id"] if split and ids != "prompt_id" else [ids]
            for batch in pq.ParquetFile(path).iter_batches(columns=columns):
                found = batch.column(ids).to_pylist()
                yield from (
                    Fault(name, f"{ids} {one} is repeated or out of order") for before, one in zip([last, *found], found, strict=False) if one <= before
                )
                last = found[-1] if found else last
                yield from _check_split(name, split, batch, share)


def _check_split(name: str, split: str, batch: pa.RecordBatch, share: float) -> Iterator[Fault]:
    if not split:
        return
    for prompt in pc.unique(batch.column("prompt_id")).to_pylist():
        if (stable_share(prompt) < share) != (split == "validation"):
            yield Fault(name, f"prompt {prompt} belongs to the other split")


def _check_counts(manifest: Mapping[str, Any], listed: Mapping[str, Mapping[str, Any]]) -> Iterator[Fault]:
    for name, rows in manifest["rows"].items():
        found = sum(one.get("rows", 0) for path, one in listed.items() if path.rpartition("/")[0] == name)
        if found != rows:
            yield Fault(name, f"holds {found} rows, not {rows}")
    for account in manifest["accounts"]:
        lost = sum(loss["rows"] for loss in account["losses"])
        if account["requested"] != account["kept"] + lost:
            yield Fault(MANIFEST, f"the account of {account['unit']} does not close: {account['requested']} requested, {account['kept']} kept, {lost} lost")
