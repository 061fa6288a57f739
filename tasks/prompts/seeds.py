"""Prompts from a file: any JSON lines, Parquet or CSV file of real prompts, with reference answers where there are any.

The whole file is checked before any work: a row that can't be read or has no prompt is told by its number. A prompt that the file
holds twice is made once; its copies become drops named `duplicate_seed`.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from schemas.engine import Sampling
from schemas.errors import RecipeError
from schemas.licences import find_licence
from schemas.recipe import Strict
from schemas.records import Lineage, Message, Messages, Reference, Source, WorkItem, drop_record, item_id, prompt_id
from tasks.craft.made import derive_prompt
from tasks.craft.seedfiles import Row, bad_row, find_seed_file, read_rows
from tasks.craft.turns import fault_in_turns
from tasks.discovery import find_module, suggest
from tasks.technique import Ask, Made, Opening, Step

NAME = "seeds"
SORTED_OUT = frozenset({"duplicate_seed"})

_SPEAKERS = {"human": "user", "gpt": "assistant", "bot": "assistant", "prompter": "user"}
"""Names that ShareGPT-like files give the roles."""

_FLAGS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "unsafe": True, "safe": False}


class Columns(Strict):
    """Which column of the file holds what. Give `prompt` or `messages`."""

    prompt: str | None = None
    """The user's request, a string."""
    messages: str | None = None
    """A list of turns instead, each with `role` and `content` (or `from` and `value`), the last by the user."""
    system: str | None = None
    """A system message."""
    reference: str | None = None
    """What is known of the right answer, in the verifier's form."""
    category: str | None = None
    """The prompt's category, in place of the one for all."""
    unsafe: str | None = None
    """A flag, true or false (also 1, 0, yes, no, unsafe, safe): a prompt flagged as unsafe serves for preferences alone."""
    id: str | None = None
    """The seed's name; default: its row number."""

    @model_validator(mode="after")
    def _has_one_prompt(self) -> "Columns":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either `prompt` or `messages`")
        return self


class Options(Strict):
    """Where the prompts are, and on what terms."""

    path: str
    """The file, relative to the recipe's folder: .jsonl, .jsonl.gz, .parquet, .csv or .csv.gz."""
    columns: Columns
    """Which column holds what."""
    source: str = Field(min_length=1)
    """The name of the data set, for the rows' provenance and the data card."""
    licence: str
    """Its licence by id; an unknown one is refused."""
    verifier: str | None = None
    """Name of the verifier that judges answers by the reference; goes with `columns.reference`."""
    limit: int | None = Field(None, ge=1)
    """Rows to read from the start; default: all."""
    category: str = Field("seeds", min_length=1)
    """The prompts' category in the release."""

    @field_validator("licence")
    @classmethod
    def _is_known(cls, licence: str) -> str:
        return find_licence(licence).id

    @model_validator(mode="after")
    def _has_verifier_with_reference(self) -> "Options":
        if (self.verifier is None) != (self.columns.reference is None):
            raise ValueError("`verifier` and `columns.reference` go together: give both or neither")
        if self.verifier is not None:
            find_module("verifiers", self.verifier)
        return self


@dataclass(frozen=True, slots=True)
class Seed:
    """One checked row."""

    row: int
    name: str
    messages: Messages
    reference: str | None
    category: str
    unsafe: bool = False


def files(options: Options, folder: Path) -> tuple[Path, ...]:
    """Name the files whose bytes are part of the run's identity."""
    return (find_seed_file(folder, options.path),)


def items(options: Options, folder: Path) -> int:
    """Check the whole file, and count its rows."""
    count = sum(1 for _ in _read_seeds(options, folder))
    if not count:
        raise RecipeError(f"{options.path} has no rows")
    return count


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each row, in order."""
    source = Source(options.source, options.licence)
    provenance = replace(opening.provenance, sources=(source,))
    first: dict[str, int] = {}
    for seed in _read_seeds(options, opening.folder):
        copy_of = first.setdefault(prompt_id(NAME, seed.messages), seed.row)
        told = {name: given for name, given in asdict(seed).items() if name != "unsafe"}
        value = json.dumps(told | {"copy_of": copy_of if copy_of != seed.row else None}, ensure_ascii=False)
        lineage = Lineage(seeds=(f"{options.source}:{seed.name}",), unsafe=seed.unsafe)
        yield WorkItem(item_id(NAME, 0, value, lineage), NAME, 0, value, lineage, provenance)


async def take_prompt(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Make a prompt of a row."""
    seed = json.loads(item.value)
    messages = tuple(Message(**turn) for turn in seed["messages"])
    if seed["copy_of"] is not None:
        detail = f"the same prompt as in row {seed['copy_of']} of {options.path}"
        drop = drop_record(item, stage="prompts", reason="duplicate_seed", detail=detail, points_to=prompt_id(NAME, messages))
        return Made(drops=(drop,))
    reference = Reference(options.verifier, seed["reference"]) if options.verifier else None
    return Made((derive_prompt(item, messages, category=seed["category"], reference=reference),))


def _read_seeds(options: Options, folder: Path) -> Iterator[Seed]:
    path = find_seed_file(folder, options.path)
    for row in islice(read_rows(path), options.limit):
        try:
            yield _read_seed(row, options)
        except ValueError as error:
            raise bad_row(path, row.number, str(error)) from error


def _read_seed(row: Row, options: Options) -> Seed:
    columns = options.columns
    _check_columns(row, columns)
    messages = _read_messages(row, columns)
    fault = fault_in_turns(messages, last="user")
    if fault:
        raise ValueError(fault)
    reference = _text(row, columns.reference) if columns.reference else None
    category = _text(row, columns.category) if columns.category else options.category
    name = _text(row, columns.id) if columns.id else str(row.number)
    return Seed(row.number, name, messages, reference, category, _flag(row, columns.unsafe) if columns.unsafe else False)


def _check_columns(row: Row, columns: Columns) -> None:
    there = tuple(row.values)
    for column in columns.model_dump(exclude_none=True).values():
        if column not in row.values:
            raise ValueError(f"no column {column!r}: {suggest(column, there)}")


def _read_messages(row: Row, columns: Columns) -> Messages:
    turns = (Message("user", _text(row, columns.prompt)),) if columns.prompt else tuple(map(_read_turn, _turns(row, columns)))
    return (Message("system", _text(row, columns.system)), *turns) if columns.system else turns


def _turns(row: Row, columns: Columns) -> list[Any]:
    value = row.values[columns.messages or ""]
    if isinstance(value, str):
        value = json.loads(value)
    if not isinstance(value, list):
        raise ValueError(f"column {columns.messages!r} holds no list of turns")
    return value


def _read_turn(turn: Any) -> Message:
    if not isinstance(turn, dict):
        raise ValueError(f"a turn is not an object with role and content but {turn!r:.80}")
    role = str(turn.get("role") or turn.get("from") or "")
    content = turn.get("content") or turn.get("value")
    if not isinstance(content, str):
        raise ValueError(f"a turn has no content: {turn!r:.80}")
    return Message(_SPEAKERS.get(role, role), content)


def _text(row: Row, column: str) -> str:
    value = row.values[column]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"column {column!r} is empty or no text (given: {value!r:.80})")
    return value.strip()


def _flag(row: Row, column: str) -> bool:
    said = str(row.values[column]).strip().lower()
    if said not in _FLAGS:
        raise ValueError(f"column {column!r} is no flag: {', '.join(_FLAGS)} are (given: {row.values[column]!r:.80})")
    return _FLAGS[said]


STEPS = (Step("take", take_prompt, lambda o: 1, lambda o: 0, lambda o: Sampling()),)
