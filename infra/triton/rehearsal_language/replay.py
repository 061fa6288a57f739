"""Recorded answers, given instead of composed ones to the prompts that they belong to.

A file is JSON lines, plain or gzipped. A row is `{"prompt": …, "answers": […]}`, or `{"question": …, "solution": …}` with the rows of one question
being its answers in order of the file. A prompt's answers are handed out in the order in which its distinct seeds are first seen, round and
round: so n samples get the n recorded answers, and a call repeated with its seed gets its answer again.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Recorded = dict[str, list[str]]


class ReplayFileError(ValueError):
    """A replay file can't be read; the message names file and line."""


class Replay:
    """The recorded answers of some files, and which seed got which."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._given: dict[str, dict[int, int]] = {}

    def answer(self, prompt: str, seed: int) -> str | None:
        """Give the recorded answer to a user's text for a seed; None where none was recorded."""
        answers = self._recorded.get(prompt.strip())
        if not answers:
            return None
        given = self._given.setdefault(prompt.strip(), {})
        return answers[given.setdefault(seed, len(given)) % len(answers)]


def read_replays(paths: Iterable[Path]) -> Recorded:
    """Read recorded answers. Raises ReplayFileError."""
    recorded: Recorded = {}
    for path in paths:
        for number, line in enumerate(_lines(path), start=1):
            if line.strip():
                prompt, answers = _read_row(line, f"{path}, line {number}")
                recorded.setdefault(prompt.strip(), []).extend(answers)
    return recorded


def _lines(path: Path) -> Iterator[str]:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            yield from file
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise ReplayFileError(f"can't read the replay file {path}: {error}") from error


def _read_row(line: str, where: str) -> tuple[str, list[str]]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ReplayFileError(f"{where}: not JSON ({error})") from error
    match row:
        case {"prompt": str(prompt), "answers": [*answers]} if answers and all(isinstance(answer, str) for answer in answers):
            return prompt, answers
        case {"question": str(question), "solution": str(solution)}:
            return question, [solution]
    raise ReplayFileError(f'{where}: expected {{"prompt": text, "answers": [text, …]}} or {{"question": text, "solution": text}}')
