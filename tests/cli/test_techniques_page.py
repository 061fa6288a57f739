from pathlib import Path

from cli.techniques_page import _SIZES, page, refreshed
from tasks.discovery import names

PAGE = Path(__file__).resolve().parents[2] / "docs" / "techniques.md"


def test_the_page_keeps_its_examples_when_it_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "techniques.md"
    path.write_text(page(lambda kind, name: f"user: {kind} {name}\n#### a heading" if name != "math" else ""), encoding="utf-8")
    assert refreshed(path) == path.read_text(encoding="utf-8")
    assert "user: prompts open_qa\n" in path.read_text(encoding="utf-8")
    assert refreshed(tmp_path / "none.md") == page(lambda kind, name: "")


def test_every_way_to_get_prompts_has_an_example() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in names("prompts"):
        assert "```text\n" in text.partition(f"\n### {name}\n")[2].partition("\n### ")[0], name


def test_sizes_are_of_techniques_that_there_are() -> None:
    assert set(_SIZES) <= {*names("prompts"), *names("responses")}
