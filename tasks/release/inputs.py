"""Everything that a release and a report are made from, as one value: from the ledger and the run's folder."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow.parquet as pq

from infra.ledger import Ledger
from infra.storage import RunFolder
from schemas.contract import arrow_schema
from schemas.errors import NotFoundError
from schemas.model_card import ModelCard, load_card
from schemas.recipe import Recipe
from schemas.records import Conversation, Drop, Preference, Prompt
from schemas.run import RunRecord, StageReport

DATA_SETS: Mapping[str, type] = MappingProxyType({"sft": Conversation, "preferences": Preference, "prompts": Prompt, "dropped": Drop})
"""Folder of a release to the class of its rows, in the order in which the card and the report name them."""

ENGINE_NOTE = "engine:"
"""Ledger notes of this beginning, then a card's id, hold what its engine told of itself."""
PRICES_NOTE = "prices"
"""Ledger note: version of each table of prices that a run used to its currency and digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseInputs:
    """A run's facts and files."""

    data: Path
    run_id: str
    fingerprint: str
    name: str
    version: str
    """Empty while the run has published nothing."""
    recipe: Recipe
    recipe_text: str
    """The recipe's file as given, comments and all."""
    rehearsal: bool
    cards: Mapping[str, ModelCard]
    """By the recipe's role."""
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What each card's engine told of itself, by card id."""
    ration: Mapping[str, Any] = field(default_factory=dict)
    """How the answering was rationed, where the recipe asks for a number of rows."""
    stages: tuple[StageReport, ...] = ()
    expectations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Data set to its merged validation document."""
    parts: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """Data set (see DATA_SETS) to its Parquet files; a data set that the recipe doesn't make is left out."""
    scored: tuple[Path, ...] = ()
    """Conversations as they were scored, before any filter: for the report's distributions."""
    descent: Mapping[str, Any] | None = None
    """The run or release that this one was made from, and how: a regrade, a requeue, or a generation of `iterate`."""
    prices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Version of each table of prices that the run used to its currency and digest."""
    started_at: str = ""
    finished_at: str | None = None
    status: str = "running"
    error: str | None = None


def read_inputs(ledger: Ledger, data: Path, run_id: str, *, cards: Path | None = None) -> ReleaseInputs:
    """Gather a run's facts, whatever state it is in. Raises NotFoundError where there is no such run."""
    record = ledger.run(run_id)
    folder = RunFolder(data, record.run_id)
    recipe = Recipe.model_validate(record.recipe)
    given = folder.root / "recipe.yaml"
    notes = ledger.notes(record.run_id)
    stages = tuple(ledger.stages(record.run_id))
    return ReleaseInputs(
        data=data,
        run_id=record.run_id,
        fingerprint=record.fingerprint,
        name=record.name,
        version=_version(record),
        recipe=recipe,
        recipe_text=given.read_text(encoding="utf-8") if given.exists() else "",
        rehearsal=record.rehearsal,
        cards=_find_cards(recipe, cards),
        engines={key.removeprefix(ENGINE_NOTE): value for key, value in notes.items() if key.startswith(ENGINE_NOTE)},
        ration=notes.get("ration", {}),
        stages=stages,
        parts=find_parts(folder, recipe, stages),
        scored=find_scored(folder),
        descent=notes.get("descent"),
        prices=notes.get(PRICES_NOTE, {}),
        started_at=record.started_at,
        finished_at=record.finished_at,
        status=record.status,
        error=record.error,
    )


def find_parts(folder: RunFolder, recipe: Recipe, stages: Sequence[StageReport]) -> dict[str, tuple[Path, ...]]:
    """Find what a run has made so far, by data set."""
    screened, rated = folder.parts("screen"), folder.parts(prompts_folder(recipe))
    # Rated ones are the same prompts, once all of them are there.
    written = rated if rated and len(rated) == len(screened) else screened
    written = written or [path for stage in stages for path in folder.parts(stage.stage) if stage.stage.startswith("prompts")]
    parts = {"prompts": _of_record(written, Prompt)}
    parts |= {"sft": tuple(folder.parts("pair/sft"))} if recipe.sft else {}
    parts |= {"preferences": tuple(folder.parts("pair/preferences"))} if recipe.pairs else {}
    # Of the stages in the ledger only: a stage's working folders may hold drops that are in its own dropped/ too.
    dropped = tuple(path for stage in stages for path in folder.dropped_parts(stage.stage))
    return {name: parts[name] for name in DATA_SETS if name in parts} | {"dropped": dropped}


def prompts_folder(recipe: Recipe) -> str:
    """Name the folder of the prompts as they are to be published."""
    return "filter/prompts" if recipe.redact else "score/prompts"


def find_scored(folder: RunFolder) -> tuple[Path, ...]:
    """Find the conversations as they were scored; where the recipe scores none, as they were answered."""
    return tuple(folder.parts("score") or folder.parts("responses"))


def _of_record(paths: Iterable[Path], record: type) -> tuple[Path, ...]:
    wanted = arrow_schema(record)
    return tuple(path for path in paths if pq.read_schema(path).equals(wanted, check_metadata=False))


def _version(record: RunRecord) -> str:
    return record.release.rpartition("/")[2] if record.release else ""


def _find_cards(recipe: Recipe, extra: Path | None) -> dict[str, ModelCard]:
    found: dict[str, ModelCard] = {}
    for role, name in recipe.models.items():
        try:
            found[role] = load_card(name, extra)
        except NotFoundError:
            continue  # A report on an old run must not need a card that has gone since.
    return found
