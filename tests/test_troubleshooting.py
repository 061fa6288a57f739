"""docs/troubleshooting.md names every error that a user can meet, and quotes messages that the code has."""

import ast
import re
from pathlib import Path

import pytest

from schemas.errors import EngineFault, GristmillError

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def tree(kind: type[GristmillError] = GristmillError) -> list[type[GristmillError]]:
    """List the kinds of errors that schemas/errors.py has."""
    return [kind, *(one for child in kind.__subclasses__() if child.__module__ == "schemas.errors" for one in tree(child))]


def strings() -> str:
    """All text that the code could print, placeholders of f-strings left out."""
    found: list[str] = []
    for folder in ("cli", "tasks", "infra", "schemas"):
        for path in (ROOT / folder).rglob("*.py"):
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            found += ["".join(_text(one) for one in node.values) for node in nodes if isinstance(node, ast.JoinedStr)]
            found += [_text(node) for node in nodes if isinstance(node, ast.Constant)]
    return "\n".join(found)


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "…"


def quoted() -> list[str]:
    """Messages are what stands in backticks in a table's first column, and in backticks before a colon at a paragraph's beginning."""
    cells = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
    return [one for one in [*cells, *re.findall(r"^`([^`]{20,})`", PAGE, re.MULTILINE)] if one not in set(EngineFault)]


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_page_has_a_chapter_on_every_error_with_its_exit_code(kind: type[GristmillError]) -> None:
    assert re.search(rf"^##+ {kind.__name__} \(exit code {kind.exit_code}\)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("fault", EngineFault)
def test_page_says_what_to_do_about_every_fault_of_an_engine(fault: EngineFault) -> None:
    assert len(re.findall(rf"^\| `{fault}` \| .+ \| .+ \|$", PAGE, re.MULTILINE)) == 1


def test_page_quotes_messages_that_the_code_has() -> None:
    text = strings()
    pieces = [(message, piece.strip(" :;(),")) for message in quoted() for piece in message.split("…")]

    assert len(quoted()) > 40
    assert [pair for pair in pieces if len(pair[1]) > 3 and pair[1] not in text] == []
