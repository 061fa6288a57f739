from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.storage import RunFolder, write_records
from schemas.recipe import SplitOptions
from schemas.records import Conversation, Lineage
from tasks.pairing import Settlement, settle
from tasks.purposes import purpose_of, share_of
from tasks.ration import Cutoffs, Decision, Round, find_cutoff, first_shards, is_spared, keep_decision, next_shards, read_cutoffs, read_decision, trim
from tests.tasks.builders import a_conversation, a_prompt, rewarded
from tests.tasks.test_pairing import BY_REWARD, a_recipe

SFT = {"sft": 100}


@given(st.integers(1, 10_000), st.integers(1, 5_000), st.integers(1, 300), st.floats(0, 3))
def test_rounds_come_to_an_end_with_enough_rows_or_no_shards_left(wanted: int, prompts: int, shards: int, rows_a_prompt: float) -> None:
    upto: int | None = first_shards({"sft": wanted}, {"sft": float(prompts)}, shards=shards)
    seen = []
    while upto is not None:
        assert 1 <= upto <= shards
        seen.append(upto)
        made = int(upto / shards * prompts * rows_a_prompt)
        upto = next_shards({"sft": wanted}, Round(upto, {"sft": made}), shards=shards)
    assert seen == sorted(set(seen))
    assert made >= wanted or seen[-1] == shards


def test_the_first_round_answers_no_more_than_could_do() -> None:
    assert first_shards(SFT, {"sft": 1000.0}, shards=50) == 5
    assert first_shards({"sft": 100, "preferences": 100}, {"sft": 1000.0, "preferences": 250.0}, shards=50) == 20


def test_a_round_goes_by_the_worst_yield_and_a_little_above() -> None:
    assert next_shards(SFT, Round(10, {"sft": 100}), shards=50) is None
    assert next_shards(SFT, Round(10, {"sft": 50}), shards=50) == 21
    assert next_shards({"sft": 10, "preferences": 10}, Round(10, {"sft": 9, "preferences": 5}), shards=50) == 21
    assert next_shards(SFT, Round(10, {"sft": 0}), shards=50) == 50
    assert next_shards(SFT, Round(50, {"sft": 1}), shards=50) is None


def test_a_cutoff_keeps_exactly_so_many_rows(tmp_path: Path) -> None:
    rows = [a_conversation(f"answer {number}", sample_index=number) for number in range(30)]
    paths = [tmp_path / f"{number}.parquet" for number in range(3)]
    for number, path in enumerate(paths):
        write_records(path, rows[number::3], Conversation)
    cutoff = find_cutoff(paths, "conversation_id", 7)
    assert sum(one.conversation_id <= str(cutoff) for one in rows) == 7
    assert find_cutoff(paths, "conversation_id", 30) is None
    assert find_cutoff([], "conversation_id", 1) is None


def test_what_is_beyond_the_cutoffs_becomes_a_drop_unless_it_stands_elsewhere() -> None:
    answers = [rewarded(a_conversation(f"answer {number}", sample_index=number), float(number)) for number in range(3)]
    whole = settle(answers, a_recipe(), (BY_REWARD,))
    assert (len(whole.sft), len(whole.preferences), len(whole.drops)) == (1, 1, 1)
    assert trim(whole, answers, Cutoffs()) == whole
    no_pairs = trim(whole, answers, Cutoffs(preferences=""))
    assert (len(no_pairs.sft), no_pairs.preferences) == (1, ())
    assert sorted(drop.reason for drop in no_pairs.drops) == ["not_selected", "over_quota"]
    nothing = trim(whole, answers, Cutoffs("", ""))
    assert len(nothing.drops) == len(answers)
    assert nothing == Settlement((), (), nothing.drops)


def test_a_decision_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "run")
    assert (read_decision(folder), is_spared(folder, 99), read_cutoffs(folder)) == (None, False, Cutoffs())
    decision = Decision(9, 4, (Round(2, {"sft": 3}), Round(4, {"sft": 8})), Cutoffs(sft="abc"))
    keep_decision(folder, decision)
    assert read_decision(folder) == decision
    assert [is_spared(folder, shard) for shard in (3, 4, 8)] == [False, True, True]
    assert read_cutoffs(folder) == Cutoffs(sft="abc")


def test_prompts_fall_into_two_sets_by_stable_hash() -> None:
    split = SplitOptions(preference_share=0.3)
    prompts = [a_prompt(f"Question {number}?") for number in range(2000)]
    found = [purpose_of(one, split) for one in prompts]
    assert found == [purpose_of(one, split) for one in prompts]
    assert 0.26 < found.count("preferences") / len(prompts) < 0.34
    assert set(found) == {"sft", "preferences"}


@pytest.mark.parametrize("purpose", ["sft", "preferences"])
def test_a_technique_may_be_for_one_set_alone(purpose: str) -> None:
    split = SplitOptions.model_validate({purpose: ["seeds"]})
    prompts = [a_prompt(f"Question {number}?") for number in range(200)]
    assert {purpose_of(one, split) for one in prompts} == {purpose}
    assert {purpose_of(replace(one, technique="math"), split) for one in prompts} == {"sft", "preferences"}
    assert [share_of(asked, "seeds", split) for asked in (purpose, None)] == [1.0, 1.0]
    assert share_of("sft", "seeds", split) + share_of("preferences", "seeds", split) == 1.0


@pytest.mark.parametrize("split", [None, SplitOptions(preference_share=0.01), SplitOptions(sft=("seeds",))])
def test_unsafe_prompts_are_for_preferences_alone(split: SplitOptions | None) -> None:
    prompts = [a_prompt(f"Question {number}?") for number in range(200)]
    assert {purpose_of(replace(one, lineage=Lineage(unsafe=True)), split) for one in prompts} == {"preferences"}
    assert purpose_of(prompts[0], None) == "both"


def test_a_prompt_is_settled_for_its_own_set_alone() -> None:
    prompts = [a_prompt(f"Question {number}?") for number in range(40)]
    recipe = a_recipe(split={"preference_share": 0.5})
    sets: dict[str, set[str]] = {"sft": set(), "preferences": set()}
    for prompt in prompts:
        answers = [rewarded(a_conversation(f"answer {number}", prompt=prompt, sample_index=number), float(number)) for number in range(2)]
        settled = settle(answers, recipe, (BY_REWARD,))
        sets["sft"] |= {one.prompt_id for one in settled.sft}
        sets["preferences"] |= {one.prompt_id for one in settled.preferences}
        assert len(settled.drops) + len({one.conversation_id for one in settled.sft}) + 2 * len(settled.preferences) == 2
    assert all(sets.values())
    assert not sets["sft"] & sets["preferences"]
    assert sets["sft"] | sets["preferences"] == {one.prompt_id for one in prompts}
    flagged = replace(prompts[0], lineage=Lineage(unsafe=True))
    assert settle([a_conversation(prompt=flagged)], a_recipe(), (BY_REWARD,)).sft == ()
