import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.storage import write_records
from schemas.contract import from_table, to_table
from schemas.errors import StorageError
from schemas.recipe import DedupOptions, NearOptions
from schemas.records import Conversation, Drop, Prompt, drop_record
from tasks.dedup import Copies, find_copies, part_copies, read_copies
from tests.tasks.builders import a_conversation, a_prompt, rewarded
from tests.tasks.dedup.found import Copy, copies_in, files_of
from tests.tasks.dedup.reference import edited, similarity, some_text

if TYPE_CHECKING:
    from distributed import Client

DEFAULT = DedupOptions()
VERIFIED = DedupOptions(near=NearOptions(verify=True))


def copies_of(
    client: "Client",
    folder: Path,
    records: Sequence[Prompt] | Sequence[Conversation],
    options: DedupOptions = DEFAULT,
    *,
    cuts: Sequence[int] = (),
) -> dict[str, Copy]:
    """Search records laid out in shards that end at `cuts`."""
    record = Conversation if records and isinstance(records[0], Conversation) else Prompt
    bounds = [0, *sorted(cuts), len(records)]
    shards = [folder / f"part-{number:05}.parquet" for number in range(len(bounds) - 1)]
    for shard, start, stop in zip(shards, bounds, bounds[1:], strict=False):
        write_records(shard, records[start:stop], record)
    find_copies(client, shards, folder / "work", options, kind="conversation" if record is Conversation else "prompt")
    return copies_in(folder / "work", shards)


def id_of(record: Prompt | Conversation) -> str:
    return record.conversation_id if isinstance(record, Conversation) else record.prompt_id


def some_prompts(families: int = 12, copies: int = 2) -> list[Prompt]:
    """Unlike texts, each with near-copies and one copy in other case."""
    made = [a_prompt(some_text(family)) for family in range(families)]
    for family in range(0, families, 2):
        made += [a_prompt(edited(some_text(family), 2, seed)) for seed in range(copies)]
        made.append(a_prompt(some_text(family).upper()))
    return made


def test_find_copies_finds_near_and_exact_copies_and_names_the_keeper(two_workers: "Client", tmp_path: Path) -> None:
    text = some_text(1)
    original, shouted, near, other = (a_prompt(one) for one in (text, text.upper(), edited(text, 3), some_text(2)))
    found = copies_of(two_workers, tmp_path, [original, shouted, near, other], cuts=[2])
    keeper = min(id_of(one) for one in (original, shouted, near))
    assert set(found) == {id_of(one) for one in (original, shouted, near)} - {keeper}
    assert {copy.keeper_id for copy in found.values()} == {keeper}
    for one, copy in found.items():
        same = {one, keeper} == {id_of(original), id_of(shouted)}
        assert copy.method == ("exact" if same else "near")
        assert copy.similarity == pytest.approx(1 if same else similarity(text, edited(text, 3)), abs=0.15)


def test_read_copies_gives_a_shards_copies_by_their_places_in_it(two_workers: "Client", tmp_path: Path) -> None:
    prompts = some_prompts()
    found = copies_of(two_workers, tmp_path, prompts, cuts=[5, 20])
    for shard, first in enumerate((0, 5, 20)):
        copies = read_copies(tmp_path / "work", shard)
        places = copies.records["row"].tolist()
        assert places == sorted(places)
        assert [found[id_of(prompts[first + place])].keeper_id for place in places] == copies.keepers
    assert sum(len(read_copies(tmp_path / "work", shard).records) for shard in range(3)) == len(found)


def test_find_copies_keeps_the_best_scored_of_those_without_a_gate(two_workers: "Client", tmp_path: Path) -> None:
    text = some_text(3)
    answers = [a_conversation(edited(text, 2, seed), prompt=a_prompt(f"prompt {seed}")) for seed in range(4)]
    plain, better, gated = rewarded(answers[0], 1.5), rewarded(answers[1], 2.5), replace(rewarded(answers[2], 9.0), gate="below_reward")
    found = copies_of(two_workers, tmp_path, [plain, better, gated, answers[3]], cuts=[1])
    assert {one: copy.keeper_id for one, copy in found.items()} == {id_of(one): id_of(better) for one in (plain, gated, answers[3])}


def test_find_copies_prefers_a_score_to_none_and_else_the_least_id(two_workers: "Client", tmp_path: Path) -> None:
    text = some_text(4)
    answers = [a_conversation(text, prompt=a_prompt(f"prompt {number}")) for number in range(3)]
    ranked = sorted(answers, key=id_of)
    assert {copy.keeper_id for copy in copies_of(two_workers, tmp_path / "unscored", answers).values()} == {id_of(ranked[0])}
    scored = [ranked[0], ranked[1], rewarded(ranked[2], -5.0)]
    assert {copy.keeper_id for copy in copies_of(two_workers, tmp_path / "scored", scored).values()} == {id_of(ranked[2])}


def test_find_copies_leaves_alike_answers_to_one_prompt_but_not_equal_ones(two_workers: "Client", tmp_path: Path) -> None:
    text = some_text(5)
    twin, other = a_conversation(text, sample_index=0), a_conversation(edited(text, 1), sample_index=1)
    assert copies_of(two_workers, tmp_path / "alike", [twin, other]) == {}
    again = a_conversation(text.upper(), sample_index=2)
    found = copies_of(two_workers, tmp_path / "equal", [twin, other, again])
    assert {frozenset((one, copy.keeper_id)) for one, copy in found.items()} == {frozenset((id_of(twin), id_of(again)))}
    assert [copy.method for copy in found.values()] == ["exact"]


def test_find_copies_joins_alike_answers_to_one_prompt_through_another_prompts(two_workers: "Client", tmp_path: Path) -> None:
    text = some_text(6)
    twins = [a_conversation(edited(text, 1, seed), sample_index=seed) for seed in range(2)]
    bridge = a_conversation(text, prompt=a_prompt("another prompt"))
    assert len(copies_of(two_workers, tmp_path, [*twins, bridge])) == 2


@pytest.mark.parametrize(
    ("options", "methods"),
    [
        pytest.param(DedupOptions(exact=True, near=None), {"exact"}, id="exact only"),
        pytest.param(DedupOptions(exact=False), {"near"}, id="near only"),
        pytest.param(DedupOptions(exact=False, near=None), set(), id="neither"),
        pytest.param(DEFAULT, {"exact", "near"}, id="both"),
    ],
)
def test_find_copies_looks_for_what_the_recipe_asks(two_workers: "Client", tmp_path: Path, options: DedupOptions, methods: set[str]) -> None:
    found = copies_of(two_workers, tmp_path, some_prompts(), options, cuts=[7])
    assert {copy.method for copy in found.values()} == methods


def test_verified_copies_have_their_true_similarity_and_are_exactly_those_with_a_like(two_workers: "Client", tmp_path: Path) -> None:
    texts = [edited(some_text(family), edits, edits) for family in range(6) for edits in (0, 4, 8, 16)]
    prompts = {id_of(prompt): text for text in texts for prompt in [a_prompt(text)]}
    found = copies_of(two_workers, tmp_path, [a_prompt(text) for text in texts], VERIFIED, cuts=[9])
    assert found
    for one, copy in found.items():
        assert copy.similarity == pytest.approx(similarity(prompts[one], prompts[copy.keeper_id]), abs=1e-6)
    with_a_like = {id_of(a_prompt(one)) for one in texts for other in texts if one != other and similarity(one, other) >= 0.8}
    keepers = {copy.keeper_id for copy in found.values()}
    assert set(found) | keepers == with_a_like


def test_cjk_texts_are_compared_by_characters(two_workers: "Client", tmp_path: Path) -> None:
    rng = random.Random(0)
    text = "".join(chr(rng.randrange(0x4E00, 0x9FA0)) for _ in range(300))
    near, other = text[:150] + "新" + text[150:], text[::-1]
    found = copies_of(two_workers, tmp_path, [a_prompt(text), a_prompt(near), a_prompt(other)])
    assert {frozenset((one, copy.keeper_id)) for one, copy in found.items()} == {frozenset((id_of(a_prompt(text)), id_of(a_prompt(near))))}


def test_texts_without_a_word_are_copies_only_when_equal(two_workers: "Client", tmp_path: Path) -> None:
    blank, spaces, dots = a_prompt(" "), a_prompt("\n"), a_prompt("…")
    found = copies_of(two_workers, tmp_path, [blank, spaces, dots])
    assert {frozenset((one, copy.keeper_id)) for one, copy in found.items()} == {frozenset((id_of(blank), id_of(spaces)))}


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_copies_do_not_depend_on_order_or_shards(two_workers: "Client", tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    prompts = some_prompts(6)
    expected = copies_of(two_workers, tmp_path_factory.mktemp("plain"), prompts)
    shuffled = data.draw(st.permutations(prompts))
    cuts = data.draw(st.lists(st.integers(0, len(prompts)), max_size=5))
    assert copies_of(two_workers, tmp_path_factory.mktemp("shuffled"), shuffled, cuts=cuts) == expected


@pytest.mark.parametrize("options", [DEFAULT, VERIFIED], ids=["estimated", "verified"])
def test_one_worker_and_two_find_the_same(two_workers: "Client", one_worker: "Client", tmp_path: Path, options: DedupOptions) -> None:
    prompts = some_prompts(40, copies=3)
    written = []
    for name, client in (("one", one_worker), ("two", two_workers)):
        copies_of(client, tmp_path / name, prompts, options, cuts=[10, 30, 31, 70])
        written.append(copies_in(tmp_path / name / "work", sorted((tmp_path / name).glob("part-*.parquet"))))
    assert written[0] == written[1]


def test_a_large_cluster_of_equal_texts_is_one(two_workers: "Client", tmp_path: Path) -> None:
    text = some_text(8)
    answers = [a_conversation(edited(text, 1, seed % 3), prompt=a_prompt(f"p{seed}")) for seed in range(200)]
    found = copies_of(two_workers, tmp_path, answers, DedupOptions(exact=False), cuts=[60, 130])
    assert len(found) == 199
    assert len({copy.keeper_id for copy in found.values()}) == 1


def test_nothing_to_search_gives_no_copies(two_workers: "Client", tmp_path: Path) -> None:
    assert copies_of(two_workers, tmp_path / "no rows", []) == {}
    assert copies_of(two_workers, tmp_path / "one row", [a_prompt()], VERIFIED) == {}
    find_copies(two_workers, [], tmp_path / "no shards", DEFAULT, kind="prompt")
    assert len(read_copies(tmp_path / "no shards", 0).records) == 0


def test_a_finished_search_is_not_repeated_and_a_changed_one_is(two_workers: "Client", tmp_path: Path) -> None:
    first = copies_of(two_workers, tmp_path, some_prompts())
    shards, work = sorted(tmp_path.glob("part-*.parquet")), tmp_path / "work"
    before = files_of(work)
    find_copies(two_workers, shards, work, DEFAULT, kind="prompt")
    assert files_of(work) == before
    find_copies(two_workers, shards, work, DedupOptions(near=None), kind="prompt")
    assert 0 < len(copies_in(work, shards)) < len(first)
    assert not (work / "scratch").exists()


def test_a_missing_or_damaged_shard_is_named(two_workers: "Client", tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"absent\.parquet"):
        find_copies(two_workers, [tmp_path / "absent.parquet"], tmp_path / "work", DEFAULT, kind="prompt")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(StorageError, match=r"damaged\.parquet"):
        find_copies(two_workers, [tmp_path / "damaged.parquet"], tmp_path / "work", DEFAULT, kind="prompt")


def test_part_copies_parts_a_shard_into_kept_rows_and_drops_that_point_at_their_keepers(two_workers: "Client", tmp_path: Path) -> None:
    prompts = some_prompts()
    found = copies_of(two_workers, tmp_path, prompts)
    parted = part_copies(to_table(prompts, Prompt), read_copies(tmp_path / "work", 0), "prompt", stage="screen")
    assert parted.kept.equals(to_table([one for one in prompts if id_of(one) not in found], Prompt))
    drops = from_table(parted.drops, Drop)
    assert [drop.drop_id for drop in drops] == sorted(drop.drop_id for drop in drops)
    assert {drop.record_id: Copy(str(drop.points_to), drop.reason.removesuffix("_duplicate"), float(drop.similarity or 0)) for drop in drops} == found
    assert sum(parted.dropped.values()) == len(drops) == len(found)
    for drop in drops:
        one = next(one for one in prompts if id_of(one) == drop.record_id)
        assert drop == drop_record(one, stage="screen", reason=drop.reason, detail=drop.detail, points_to=drop.points_to, similarity=drop.similarity)


def test_part_copies_leaves_a_shard_without_copies_as_it_is() -> None:
    table = to_table([a_prompt("a")], Prompt)
    parted = part_copies(table, Copies.none(), "prompt", stage="screen")
    assert parted.kept.equals(table)
    assert parted.drops.num_rows == 0
    assert parted.dropped == {}
