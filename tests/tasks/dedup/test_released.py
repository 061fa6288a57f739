"""Copies of an earlier release's rows, found by its signature index alone."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.storage import write_records
from schemas.contract import to_table
from schemas.errors import RecipeError
from schemas.recipe import DedupOptions, NearOptions
from schemas.records import Conversation, Prompt
from tasks.dedup import find_copies, part_copies, read_copies
from tasks.dedup.plan import Earlier
from tasks.dedup.released import find_indexes, write_indexes
from tests.tasks.builders import a_conversation, a_prompt, rewarded
from tests.tasks.dedup.found import copies_in
from tests.tasks.dedup.reference import edited, similarity, some_text

if TYPE_CHECKING:
    from distributed import Client

DEFAULT = DedupOptions()
BOTH = {"prompt": DEFAULT, "conversation": DEFAULT}


def a_release(folder: Path, prompts: list[Prompt], conversations: list[Conversation] | None = None) -> Path:
    """Lay out what an index is made of, then take the texts away."""
    write_records(folder / "prompts" / "train" / "part-00000.parquet", prompts[::2], Prompt)
    write_records(folder / "prompts" / "validation" / "part-00000.parquet", prompts[1::2], Prompt)
    if conversations:
        write_records(folder / "sft" / "train" / "part-00000.parquet", conversations, Conversation)
    write_indexes(folder, BOTH)  # type: ignore[arg-type]
    for text in (*folder.glob("prompts/*/*"), *folder.glob("sft/*/*")):
        text.unlink()
    return folder


def indexes(release: Path, options: DedupOptions = DEFAULT) -> list[Earlier]:
    return find_indexes(release, "old/v1", "prompt", options)


@pytest.mark.parametrize("options", [DEFAULT, DedupOptions(near=NearOptions(verify=True))], ids=["estimated", "verified"])
def test_copies_of_a_releases_rows_go_and_say_which_row_of_which_release(two_workers: "Client", tmp_path: Path, options: DedupOptions) -> None:
    old = [a_prompt(some_text(seed)) for seed in range(6)]
    same, near, new = a_prompt(some_text(0).upper()), a_prompt(edited(some_text(1), 3)), a_prompt(some_text(99))
    shard = tmp_path / "part-00000.parquet"
    write_records(shard, [near, new, same], Prompt)
    find_copies(two_workers, [shard], tmp_path / "work", options, kind="prompt", earlier=indexes(a_release(tmp_path / "old", old), options))
    parted = part_copies(to_table([near, new, same], Prompt), read_copies(tmp_path / "work", 0), "prompt", stage="screen")
    assert parted.kept["prompt_id"].to_pylist() == [new.prompt_id]
    drops = {drop["record_id"]: drop for drop in parted.drops.to_pylist()}
    assert {one: (drop["reason"], drop["points_to"]) for one, drop in drops.items()} == {
        same.prompt_id: ("exact_duplicate_of_release", f"old/v1:{old[0].prompt_id}"),
        near.prompt_id: ("near_duplicate_of_release", f"old/v1:{old[1].prompt_id}"),
    }
    assert drops[near.prompt_id]["similarity"] == pytest.approx(similarity(some_text(1), edited(some_text(1), 3)), abs=0.15)


def test_a_releases_row_is_kept_however_good_the_new_one_is(two_workers: "Client", tmp_path: Path) -> None:
    old = a_conversation(some_text(1))
    better = rewarded(a_conversation(edited(some_text(1), 2), prompt=a_prompt("another")), 9.0)
    release = a_release(tmp_path / "old", [a_prompt()], [old])
    shard = tmp_path / "part-00000.parquet"
    write_records(shard, [better], Conversation)
    earlier = find_indexes(release, "old/v1", "conversation", DEFAULT)
    find_copies(two_workers, [shard], tmp_path / "work", DEFAULT, kind="conversation", earlier=earlier)
    assert [copy.keeper_id for copy in copies_in(tmp_path / "work", [shard]).values()] == [old.conversation_id]


def test_an_index_is_small_and_the_same_for_the_same_rows(tmp_path: Path) -> None:
    prompts = [a_prompt(some_text(seed)) for seed in range(400)]
    one, other = (a_release(tmp_path / name, prompts) for name in ("one", "other"))
    written = [sorted((release / "index").iterdir()) for release in (one, other)]
    assert [file.name for file in written[0]] == ["minhash-prompts-00000.parquet", "minhash-prompts-00001.parquet"]
    assert [file.read_bytes() for file in written[0]] == [file.read_bytes() for file in written[1]]
    assert sum(file.stat().st_size for file in written[0]) < 400 * 300


@pytest.mark.parametrize("near", [NearOptions(permutations=64), NearOptions(shingle=3)], ids=["permutations", "shingle"])
def test_an_index_of_other_parameters_is_refused(tmp_path: Path, near: NearOptions) -> None:
    release = a_release(tmp_path / "old", [a_prompt(), a_prompt("b")])
    with pytest.raises(RecipeError, match=r"old/v1 was indexed with other parameters \((permutations 112 there, 64|shingle 5 there, 3) here"):
        indexes(release, DedupOptions(near=near))
    assert len(indexes(release, DedupOptions(near=None))) == 2


def test_a_release_without_an_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(RecipeError, match="carries no signature index"):
        indexes(tmp_path / "old")
