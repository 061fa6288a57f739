"""One side of a comparison, read from a release or from a run in whatever state it is."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from infra.ledger import Ledger
from infra.settings import Settings
from infra.storage import read_table
from schemas.contract import arrow_schema
from schemas.errors import NotFoundError
from schemas.records import ATTRIBUTES
from tasks.release.accounts import draw_accounts
from tasks.release.inputs import DATA_SETS, ReleaseInputs, read_inputs
from tasks.release.manifest import read_manifest
from tasks.release.publish import find_release

NUMBERS = ("reward", *ATTRIBUTES)
"""What a score holds, in the order in which a comparison shows it."""


@dataclass(frozen=True, slots=True)
class Side:
    """A release's or a run's facts."""

    name: str
    counts: Mapping[str, int]
    """Rows by data set."""
    losses: Mapping[tuple[str, str], int]
    """(stage, reason) to rows."""
    requested: Mapping[str, int]
    """Unit (prompts, answers) to how many were asked for."""
    recipe: Mapping[str, Any]
    ids: Mapping[str, pl.Series]
    """Data set to the ids of its rows."""
    prompts: pl.Series
    """Ids of the prompts of its instruction data."""
    scores: pl.DataFrame
    """Of the instruction data: `prompt` and each of NUMBERS, null where it was not given."""


def read_side(wanted: str, settings: Settings) -> Side:
    """Read a release (name, name/version, folder) or a run (the beginning of its id). Raises NotFoundError naming both."""
    try:
        return _from_release(find_release(settings.data, wanted))
    except NotFoundError as no_release:
        try:
            with closing(Ledger.open(settings.ledger_url)) as ledger:
                return _from_run(read_inputs(ledger, settings.data, wanted, cards=settings.cards))
        except NotFoundError as no_run:
            raise NotFoundError(f"{no_release}; and {no_run}") from no_run


def _from_release(folder: Path) -> Side:
    manifest = read_manifest(folder)
    files = {name: sorted((folder / name).rglob("part-*.parquet")) for name in DATA_SETS}
    losses = {(loss["stage"], loss["reason"]): loss["rows"] for account in manifest["accounts"] for loss in account["losses"]}
    requested = {account["unit"]: account["requested"] for account in manifest["accounts"]}
    return _side(f"{manifest['name']}/{manifest['version']}", files, losses, requested, manifest["recipe"])


def _from_run(inputs: ReleaseInputs) -> Side:
    accounts = draw_accounts(inputs.stages)
    losses = {(loss.stage, loss.reason): loss.rows for account in accounts for loss in account.losses}
    requested = {account.unit: account.requested for account in accounts}
    return _side(f"run {inputs.run_id}", inputs.parts, losses, requested, inputs.recipe.model_dump(mode="json"))


def _side(
    name: str,
    files: Mapping[str, Sequence[Path]],
    losses: Mapping[tuple[str, str], int],
    requested: Mapping[str, int],
    recipe: Mapping[str, Any],
) -> Side:
    ids = {data_set: _ids(data_set, files.get(data_set, ())) for data_set in DATA_SETS}
    scores = _scores(files.get("sft", ()))
    counts = {data_set: len(one) for data_set, one in ids.items()}
    return Side(name, counts, losses, requested, recipe, ids, scores["prompt"].unique(), scores)


def _ids(data_set: str, paths: Iterable[Path]) -> pl.Series:
    column = arrow_schema(DATA_SETS[data_set]).names[0]
    parts = [read_table(path, [column])[column] for path in paths]
    return pl.Series(data_set, pa.chunked_array([chunk for part in parts for chunk in part.chunks], pa.string()), dtype=pl.String)


def _scores(paths: Iterable[Path]) -> pl.DataFrame:
    frames = [_score_frame(read_table(path, ["prompt_id", "scores"])) for path in paths]
    return pl.concat(frames) if frames else pl.DataFrame(schema={"prompt": pl.String} | dict.fromkeys(NUMBERS, pl.Float64))


def _score_frame(table: pa.Table) -> pl.DataFrame:
    columns = {"prompt": table["prompt_id"]} | {name: pc.struct_field(table["scores"], name) for name in NUMBERS}
    return pl.DataFrame(pa.table(columns)).with_columns(pl.col(NUMBERS).cast(pl.Float64))
