"""Publishes a release: all of it at once or nothing, immutable, and the same bytes of data however the run was cut.

A release is built in a hidden folder on this host's disk, beside its place where that is there, too: made durable, and renamed into its place; `latest` moves
last. On an object store it is uploaded, its manifest last: a release is what has a manifest. A crash at any moment leaves at most that hidden
folder, or objects that no manifest names, which the next attempt clears away. Rows are in the order of their ids, so neither the number of
shards nor of workers shows in the files.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from infra import locks
from infra.shared import local_root, place
from infra.storage import PUBLISHED, storage_error, write_table, write_text
from infra.trees import point, pointed, reveal_tree
from schemas.errors import AccountingError, NotFoundError, StorageError
from schemas.identity import stable_share
from schemas.records import Drop
from schemas.run import ReleaseRecord
from tasks.dedup.released import write_indexes
from tasks.grading import reduction_of
from tasks.release.accounts import Account, draw_accounts, refuse_account_faults
from tasks.release.card import pretty_json, write_card, write_notice
from tasks.release.inputs import DATA_SETS, ReleaseInputs
from tasks.release.manifest import FORMAT, MANIFEST, SPLIT_SETS, describe_files, describe_schemas, library_versions, read_manifest, release_record
from tasks.release.obligations import Obligations, Usage, compute_obligations
from tasks.release.quota import describe_quota
from tasks.release.record_ids import count_distinct_ids
from tasks.release.sets import count_sets
from tasks.release.sorted_rows import sorted_rows
from tasks.release.spending import spending_json
from tasks.report import ReportFacts, gather_facts, write_report
from tasks.report.scores import length_json

SPILL = ".spill"


def publish_release(inputs: ReleaseInputs) -> ReleaseRecord:
    """Publish a run's validated parts; a release that this run has published already is returned as it is.

    Raises AccountingError or ContractError where rows don't add up, StorageError where the disk refuses or another run holds the version.
    """
    home = inputs.data.absolute() / "releases" / inputs.name
    here, final = local_root(home), home / inputs.version
    partial = here / f".{inputs.version}.partial-{inputs.run_id}"
    with _sole_publisher(here):
        if (final / MANIFEST).exists():
            _refuse_foreign(final, inputs)
        else:
            _clear_partials(here)
            _build_or_clear(inputs, partial)
            reveal_tree(partial, final, last=MANIFEST)
        _point_latest(home, inputs.version)
        return release_record(final)


def find_release(data: Path, wanted: str) -> Path:
    """Find a release by path, by name/version, or by name (its latest). Raises NotFoundError."""
    given = place(wanted)
    if (given / MANIFEST).is_file():
        return given
    name, _, version = wanted.strip("/").partition("/")
    home = data / "releases" / name
    folder = home / ((pointed(home / "latest") if version in ("", "latest") else None) or version or "latest")
    if (folder / MANIFEST).is_file():
        return folder.resolve()
    known = [f"{one.name}/{one.version}" for one in list_releases(data)]
    there = f"there are {', '.join(known[:8])}" if known else "there are none yet: publish one with gristmill run recipes/rehearsal.yaml"
    raise NotFoundError(f"no release {wanted!r} in {data / 'releases'}: {there}")


def list_releases(data: Path, name: str | None = None) -> list[ReleaseRecord]:
    """List the releases in a data folder, the newest first."""
    found = (release_record(path.parent) for path in (data / "releases").glob(f"{name or '*'}/[!.]*/{MANIFEST}") if not path.parent.is_symlink())
    return sorted(found, key=lambda one: (one.published_at, one.name, one.version), reverse=True)


@dataclass
class _Building:
    """What is known of a release while it is built."""

    folder: Path
    inputs: ReleaseInputs
    usage: Usage = field(default_factory=Usage)
    rows: dict[str, int] = field(default_factory=dict)
    drops: dict[tuple[str, str], int] = field(default_factory=dict)
    sets: dict[str, int] = field(default_factory=dict)
    """Prompts of each data set, and those in both."""


@contextmanager
def _sole_publisher(home: Path) -> Iterator[None]:
    """Let one process at a time publish under a name; the lock ends with the process, however it ends."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with open(home / ".lock", "ab") as file, locks.held(file.fileno(), wait=True):
            yield
    except OSError as error:
        raise storage_error(home, error) from error


def _refuse_foreign(final: Path, inputs: ReleaseInputs) -> None:
    held = read_manifest(final)["run_id"]
    if held != inputs.run_id:
        raise StorageError(f"{final} was published by run {held}: a release never changes; publish run {inputs.run_id} as another version")


def _clear_partials(home: Path) -> None:
    for litter in home.glob(".*.partial-*"):
        shutil.rmtree(litter)


def _build_or_clear(inputs: ReleaseInputs, partial: Path) -> None:
    try:
        _build(_Building(partial, inputs))
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _build(building: _Building) -> None:
    for data_set, paths in building.inputs.parts.items():
        _write_data_set(building, data_set, paths)
    shutil.rmtree(building.folder / SPILL, ignore_errors=True)
    refuse_account_faults(building.inputs.stages, building.drops)
    accounts = draw_accounts(building.inputs.stages)
    _refuse_lost_answers(building, accounts)
    building.sets = count_sets(building.inputs)
    obligations = compute_obligations(building.usage.licences())
    created = datetime.now(UTC).isoformat(timespec="seconds")
    rehearsal = building.inputs.rehearsal or building.usage.rehearsal
    building.inputs = replace(building.inputs, rehearsal=rehearsal, finished_at=created)
    recipe = building.inputs.recipe
    write_indexes(building.folder, {"prompt": recipe.screen.dedup, "conversation": recipe.dedup})
    facts = gather_facts(building.inputs, rows=building.rows, usage=building.usage)
    _write_documents(building, obligations, accounts, facts)
    manifest = _manifest(building, obligations, accounts, created) | {"length": length_json(facts.scores)}
    write_text(building.folder / MANIFEST, pretty_json(manifest))


def _write_data_set(building: _Building, data_set: str, paths: tuple[Path, ...]) -> None:
    record, rows_per_file = DATA_SETS[data_set], building.inputs.recipe.release.rows_per_file
    splits = [f"{data_set}/train", f"{data_set}/validation"] if data_set in SPLIT_SETS else [data_set]
    writers = {split: _SplitWriter(building.folder / split, rows_per_file) for split in splits}
    for table in sorted_rows(paths, record, spill=building.folder / SPILL):
        building.usage.count(table, record, data_set)
        for split, part in _part_splits(table, splits, building.inputs.recipe.release.validation):
            writers[split].add(part)
        if record is Drop:
            _count_drops(table, building.drops)
    building.rows |= {split: writer.close() for split, writer in writers.items()}


def _part_splits(table: pa.Table, splits: list[str], share: float) -> Iterator[tuple[str, pa.Table]]:
    """Part rows by their prompt, so that no prompt is in two splits, of this release or of a later one."""
    if len(splits) == 1:
        yield splits[0], table
        return
    prompts = table.column("prompt_id")
    held_out = pa.array([one for one in pc.unique(prompts).to_pylist() if stable_share(one) < share], pa.string())
    mask = pc.is_in(prompts, value_set=held_out)
    yield splits[0], table.filter(pc.invert(mask))
    yield splits[1], table.filter(mask)


class _SplitWriter:
    """Cuts a stream of tables into files of exactly `rows` rows; a split without rows gets no file, as `datasets` refuses an empty one."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._folder = folder
        self._rows = rows
        self._pending: list[pa.Table] = []
        self._written = 0
        self._files = 0

    def add(self, table: pa.Table) -> None:
        """Take rows, and write every file that is now full."""
        self._pending.append(table)
        if sum(one.num_rows for one in self._pending) < self._rows:
            return
        whole = pa.concat_tables(self._pending)
        full = whole.num_rows - whole.num_rows % self._rows
        for start in range(0, full, self._rows):
            self._write(whole.slice(start, self._rows))
        self._pending = [whole.slice(full)]

    def close(self) -> int:
        """Write what is left, and say how many rows there were."""
        left = pa.concat_tables(self._pending) if self._pending else None
        if left is not None and left.num_rows:
            self._write(left)
        return self._written

    def _write(self, table: pa.Table) -> None:
        write_table(self._folder / f"part-{self._files:05d}.parquet", table, **PUBLISHED)
        self._written += table.num_rows
        self._files += 1


def _count_drops(table: pa.Table, drops: dict[tuple[str, str], int]) -> None:
    for row in table.group_by(["stage", "reason"]).aggregate([("rows", "sum")]).to_pylist():
        key = (row["stage"], row["reason"])
        drops[key] = drops.get(key, 0) + row["rows_sum"]


def _refuse_lost_answers(building: _Building, accounts: tuple[Account, ...]) -> None:
    """Count the answers that stand in the published files, and compare with what the pair stage says it let through."""
    kept = next((account.kept for account in accounts if account.unit == "answers" and account.stages[-1].stage == "pair"), None)
    if kept is None or any(stage == "validate" for stage, _ in building.drops):
        return
    parts = building.inputs.parts
    columns = [(path, "conversation_id") for path in parts.get("sft", ())]
    columns += [(path, side) for path in parts.get("preferences", ()) for side in ("chosen_id", "rejected_id")]
    published = count_distinct_ids(columns) if columns else 0
    if published != kept:
        raise AccountingError(f"stage pair let {kept} answers through, but {published} stand in the files to publish; nothing was published")


def _write_documents(building: _Building, obligations: Obligations, accounts: tuple[Account, ...], facts: ReportFacts) -> None:
    inputs, folder = building.inputs, building.folder
    for data_set, found in inputs.expectations.items():
        write_text(folder / "expectations" / f"{data_set}.json", pretty_json(found))
    write_text(folder / "recipe.yaml", inputs.recipe_text)
    write_text(folder / "NOTICE", write_notice(inputs, building.usage, obligations))
    write_text(folder / "README.md", write_card(inputs, building.rows, building.usage, obligations, accounts))
    write_text(folder / "report.html", write_report(facts))


def _manifest(building: _Building, obligations: Obligations, accounts: tuple[Account, ...], created: str) -> dict[str, Any]:
    inputs = building.inputs
    return {
        "format": FORMAT,
        "name": inputs.name,
        "version": inputs.version,
        "title": inputs.recipe.title,
        "rehearsal": inputs.rehearsal,
        "run_id": inputs.run_id,
        "fingerprint": inputs.fingerprint,
        "descent": inputs.descent,
        "started_at": inputs.started_at,
        "created_at": created,
        "rows": building.rows,
        "quota": describe_quota(inputs, building.rows),
        "sets": building.sets,
        "accounts": [_account_json(account) for account in accounts],
        "obligations": obligations.to_json(),
        "reduction": _reduction_json(inputs),
        "models": [{**use._asdict(), "rows": dict(sorted(rows.items()))} for use, rows in sorted(building.usage.models.items())],
        "sources": [{**source._asdict(), "rows": dict(sorted(rows.items()))} for source, rows in sorted(building.usage.sources.items())],
        "cards": {role: _card_json(card) for role, card in inputs.cards.items()},
        "engines": {card: _engine_json(facts) for card, facts in inputs.engines.items()},
        "stages": [_stage_json(stage) for stage in inputs.stages],
        "spending": spending_json(inputs),
        "expectations": {name: found.get("success") for name, found in inputs.expectations.items()},
        "schemas": describe_schemas(inputs.parts),
        "recipe": inputs.recipe.model_dump(mode="json"),
        "libraries": library_versions(),
        "files": describe_files(building.folder),
    }


def _reduction_json(inputs: ReleaseInputs) -> dict[str, Any] | None:
    """Say how attributes became one number, and whose choice that was."""
    if inputs.recipe.score is None or "reward" not in inputs.cards:
        return None
    return reduction_of(inputs.recipe.score, inputs.cards["reward"]).to_json()


def _account_json(account: Account) -> dict[str, Any]:
    losses = [{"stage": loss.stage, "reason": loss.reason, "kind": loss.kind, "rows": loss.rows} for loss in account.losses]
    return {"unit": account.unit, "requested": account.requested, "kept": account.kept, "losses": losses, "closes": account.closes}


def _card_json(card: Any) -> dict[str, Any]:
    return {name: getattr(card, name) for name in ("id", "title", "role", "revision", "licence", "context_tokens", "rehearsal", "source")}


def _engine_json(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Leave addresses out: they are of this machine's settings, and releases travel."""
    return {name: value for name, value in facts.items() if name != "address"}


def _stage_json(stage: Any) -> Mapping[str, Any]:
    total = stage.total
    return {
        "stage": stage.stage,
        "shards": stage.shards,
        **{name: getattr(total, name) for name in ("rows_in", "rows_out", "dropped", "calls", "reused", "prompt_tokens", "completion_tokens")},
        "seconds": round(total.seconds, 3),
    }


def _point_latest(home: Path, version: str) -> None:
    """Point `latest` at the newest version that is published, never back from one; looked at again afterwards, as another host may publish, too."""
    while True:
        newest = max([version, *(path.parent.name for path in home.glob(f"[!.]*/{MANIFEST}") if not path.parent.is_symlink())], key=_age)
        held = pointed(home / "latest")
        if held is not None and _age(held) >= _age(newest):
            return
        point(home / "latest", newest)


def _age(version: str) -> tuple[int, str]:
    digits = version.removeprefix("v")
    return (int(digits), "") if digits.isdecimal() else (0, version)
