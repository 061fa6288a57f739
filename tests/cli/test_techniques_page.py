from pathlib import Path
from typing import get_args

import pytest

from cli.techniques_page import _HEADS, _SIZES, page, refreshed
from tasks.discovery import Kind, names

KINDS = [kind for kind in get_args(Kind) if kind != "filters"]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "techniques.md"


def test_the_page_keeps_its_examples_when_it_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "techniques.md"
    path.write_text(page(lambda kind, name: f"user: {kind} {name}\n#### a heading" if name != "math" else ""), encoding="utf-8")
    assert refreshed(path) == path.read_text(encoding="utf-8")
    assert "user: prompts open_qa\n" in path.read_text(encoding="utf-8")
    assert refreshed(tmp_path / "none.md") == page(lambda kind, name: "")


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in names(kind)])
def test_each_technique_judge_and_verifier_has_an_example_in_the_table_and_at_length(kind: Kind, name: str) -> None:
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {_HEADS[kind]}\n")[2].partition("\n## ")[0]
    (row,) = [line for line in section.splitlines() if line.startswith(f"| [{name}](#{name}) |")]
    assert row.endswith("` |")
    assert row.count(" | ") == (5 if kind in ("prompts", "responses") else 3)
    assert "```text\n" in section.partition(f"\n### {name}\n")[2].partition("\n### ")[0]


def test_sizes_are_of_techniques_that_there_are() -> None:
    assert set(_SIZES) <= {*names("prompts"), *names("responses")}
