"""A recipe reads what is in its own folder, and where a setting lets it; nothing else, by whatever path."""

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.reading import find_readable
from schemas.errors import RecipeError
from schemas.recipe import BenchmarkOptions
from tasks.craft.seedfiles import find_seed_file
from tasks.craft.seedtexts import SeedTexts, text_files
from tasks.decontamination.benchmarks import benchmark_file
from tasks.wordlists import read_word_list


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A recipe's folder, with a file of its own, and beside it one that is none of its business."""
    (tmp_path / "recipes" / "seeds").mkdir(parents=True)
    (tmp_path / "recipes" / "seeds" / "rows.jsonl").write_text('{"text": "mine"}\n', encoding="utf-8")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "rows.jsonl").write_text('{"text": "not yours"}\n', encoding="utf-8")
    (tmp_path / "private" / "words.txt").write_text("secret\n", encoding="utf-8")
    return tmp_path / "recipes"


def ways_out(home: Path) -> dict[str, str]:
    (home / "link").symlink_to(home.parent / "private")
    (home / "seeds" / "link.jsonl").symlink_to(home.parent / "private" / "rows.jsonl")
    (home.parent / "recipes-of-others").mkdir()
    return {
        "parent": "../private/rows.jsonl",
        "parent of a folder that is not there": "absent/../../private/rows.jsonl",
        "absolute": str(home.parent / "private" / "rows.jsonl"),
        "linked folder": "link/rows.jsonl",
        "linked file": "seeds/link.jsonl",
        "folder of a like name": "../recipes-of-others/rows.jsonl",
        "home": "/root/.bashrc",
        "not a path": "rows\0.jsonl",
    }


def test_find_readable_lets_nothing_out_of_the_recipes_folder(home: Path) -> None:
    for way, name in ways_out(home).items():
        with pytest.raises(RecipeError, match=r"GRISTMILL_READ_PATHS|can't follow"):
            pytest.fail(f"{way}: {find_readable(home, name)}")


def test_find_readable_gives_what_is_the_recipes_own(home: Path) -> None:
    (home / "again.jsonl").symlink_to("seeds/rows.jsonl")
    assert find_readable(home, "seeds/rows.jsonl") == find_readable(home, "again.jsonl") == find_readable(home, "./seeds/../seeds/rows.jsonl")


def test_find_readable_says_what_would_allow_it(home: Path) -> None:
    with pytest.raises(RecipeError) as told:
        find_readable(home, "../private/rows.jsonl")
    assert f"GRISTMILL_READ_PATHS={home.parent / 'private'}" in str(told.value)


def test_find_readable_takes_the_folders_of_the_setting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_READ_PATHS", f"/nowhere:{home.parent / 'private'}")
    assert find_readable(home, "../private/rows.jsonl").name == "rows.jsonl"
    with pytest.raises(RecipeError):
        find_readable(home, "/etc/passwd")


def test_everything_that_a_recipe_names_by_path_is_held_to_it(home: Path) -> None:
    ways_out(home)
    readers: list[Callable[[], object]] = [
        lambda: find_seed_file(home, "../private/rows.jsonl"),
        lambda: text_files(SeedTexts(path="../private", source="x", licence="cc0-1.0"), home),
        lambda: text_files(SeedTexts(path="seeds/link.jsonl", source="x", licence="cc0-1.0"), home),
        lambda: read_word_list(home, "link/words.txt"),
        lambda: benchmark_file(BenchmarkOptions(path="link/rows.jsonl", columns=("text",)), home),
    ]
    for read in readers:
        with pytest.raises(RecipeError, match="out of the folders"):
            read()


def test_a_link_inside_a_folder_of_texts_is_held_to_it(home: Path) -> None:
    (home / "texts").mkdir()
    (home / "texts" / "one.txt").write_text("mine", encoding="utf-8")
    (home / "texts" / "two.txt").symlink_to(home.parent / "private" / "words.txt")
    with pytest.raises(RecipeError, match=r"words\.txt, out of the folders"):
        text_files(SeedTexts(path="texts", source="x", licence="cc0-1.0"), home)
