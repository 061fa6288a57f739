"""Lists of words that a recipe names by file: read when the recipe is loaded, they travel to workers with their words.

One word or phrase a line, in any case; blank lines and what begins with `#` are passed over.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

from infra.reading import find_readable
from schemas.errors import RecipeError

_NO_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class WordList:
    """A list of words; as text it is its file's name, so that drops say which list it was."""

    name: str
    words: tuple[str, ...]
    """Lower-case, words of a phrase parted by single spaces, sorted, no repeats."""

    def __str__(self) -> str:
        return self.name


def read_word_list(folder: Path, name: str) -> WordList:
    """Read a list beside the recipe. Raises RecipeError where there is none, or it is empty."""
    path = find_readable(folder, name)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise RecipeError(f"no list of words at {path}: paths are relative to the recipe's folder") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"can't read the list of words {path}: {error}") from error
    plain = {_NO_WORD.sub(" ", line.lower()).strip() for line in lines if not line.lstrip().startswith("#")}
    words = tuple(sorted(plain - {""}))
    if not words:
        raise RecipeError(f"the list of words {path} is empty: give one word a line")
    return WordList(name, words)


def _load(value: Any, info: ValidationInfo) -> Any:
    folder = (info.context or {}).get("folder", Path())
    return read_word_list(folder, value) if isinstance(value, str) else value


WordFile = Annotated[WordList, BeforeValidator(_load)]
"""An option that names such a file; it is read while the option is checked, `context` naming the recipe's folder."""
