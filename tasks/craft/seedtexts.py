"""Texts that techniques start from: documents or instructions out of one column of a file, or out of a folder of text files.

Source and licence go with every text into what is made of it. The whole of it is checked before any work.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from pydantic import Field, field_validator

from infra.reading import find_readable
from schemas.errors import RecipeError
from schemas.licences import find_licence
from schemas.recipe import Strict
from schemas.records import Lineage, Source, WorkItem, item_id
from tasks.craft.seedfiles import bad_row, find_seed_file, read_rows
from tasks.discovery import suggest
from tasks.technique import Opening

_SUFFIXES = (".md", ".txt")


class SeedTexts(Strict):
    """Where the texts are, and on what terms."""

    path: str = Field(min_length=1)
    """A file (.jsonl, .jsonl.gz, .parquet, .csv or .csv.gz) or a folder of .txt and .md files, relative to the recipe's folder."""
    column: str = "text"
    """The column that holds the text; of no meaning for a folder."""
    source: str = Field(min_length=1)
    """The name of the data set, for the rows' provenance and the data card."""
    licence: str = Field(min_length=1)
    """Its licence by id; an unknown one is refused."""
    limit: int | None = Field(None, ge=1)
    """Texts to read from the start; default: all."""

    @field_validator("licence")
    @classmethod
    def _is_known(cls, licence: str) -> str:
        return find_licence(licence).id


@dataclass(frozen=True, slots=True)
class SeedText:
    """One text."""

    name: str
    """Its row's number, or its file's name."""
    text: str


def text_files(seeds: SeedTexts, folder: Path) -> tuple[Path, ...]:
    """Name the files whose bytes are part of the run's identity. Raises RecipeError where there are none."""
    path = find_readable(folder, seeds.path)
    if not path.is_dir():
        return (find_seed_file(folder, seeds.path),)
    found = tuple(sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file()))
    for link in filter(Path.is_symlink, found):
        find_readable(folder, str(link))
    if not found:
        raise RecipeError(f"no texts in the folder {path}: known endings are {', '.join(_SUFFIXES)}")
    return found


def read_texts(seeds: SeedTexts, folder: Path) -> Iterator[SeedText]:
    """Read the texts in order. Raises RecipeError naming the first that is empty or can't be read."""
    path = find_readable(folder, seeds.path)
    texts = _read_folder(seeds, folder) if path.is_dir() else _read_file(seeds, path, folder)
    yield from islice(texts, seeds.limit)


def count_texts(seeds: SeedTexts, folder: Path) -> int:
    """Check all the texts, and count them. Raises RecipeError where there are none."""
    count = sum(1 for _ in read_texts(seeds, folder))
    if not count:
        raise RecipeError(f"{seeds.path} has no rows")
    return count


def text_items(technique: str, seeds: SeedTexts, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each text, in order."""
    for one in read_texts(seeds, opening.folder):
        yield seed_item(technique, seeds, opening, name=one.name, value=one.text)


def seed_item(technique: str, seeds: SeedTexts, opening: Opening, *, name: str, value: str) -> WorkItem:
    """Make a first item that carries its source."""
    lineage = Lineage(seeds=(f"{seeds.source}:{name}",))
    provenance = replace(opening.provenance, sources=(Source(seeds.source, seeds.licence),))
    return WorkItem(item_id(technique, 0, value, lineage), technique, 0, value, lineage, provenance)


def _read_file(seeds: SeedTexts, path: Path, folder: Path) -> Iterator[SeedText]:
    for row in read_rows(find_seed_file(folder, seeds.path)):
        if seeds.column not in row.values:
            raise bad_row(path, row.number, f"no column {seeds.column!r}: {suggest(seeds.column, tuple(row.values))}")
        value = row.values[seeds.column]
        if not isinstance(value, str) or not value.strip():
            raise bad_row(path, row.number, f"column {seeds.column!r} is empty or no text (given: {value!r:.80})")
        yield SeedText(str(row.number), value.strip())


def _read_folder(seeds: SeedTexts, folder: Path) -> Iterator[SeedText]:
    root = find_readable(folder, seeds.path)
    for file in text_files(seeds, folder):
        try:
            text = file.read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"can't read {file}: {error}") from error
        if not text:
            raise RecipeError(f"{file} is empty: take it out of the folder")
        yield SeedText(file.relative_to(root).as_posix(), text)
