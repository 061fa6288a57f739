import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.recipe import PairOptions, Recipe, SftOptions
from schemas.records import Conversation, Message
from tasks.catalogue import LoadedJudge
from tasks.judges import ground_truth, reward_margin
from tasks.pairing import leftovers, pair, select_sft, settle
from tests.tasks.builders import a_conversation, a_prompt, a_use, rewarded, verified

BY_TRUTH = LoadedJudge("ground_truth", ground_truth.Options())
BY_REWARD = LoadedJudge("reward_margin", reward_margin.Options(min_margin=0.5))
BOTH = (BY_TRUTH, BY_REWARD)
BEST_WORST = PairOptions(strategy="best_worst")
ALL = PairOptions(strategy="all")


def right(answer: str, reward: float = 0.0, sample_index: int = 0) -> Conversation:
    return rewarded(verified(a_conversation(answer, sample_index=sample_index), passed=True), reward)


def wrong(answer: str, reward: float = 0.0, sample_index: int = 0) -> Conversation:
    return rewarded(verified(a_conversation(answer, sample_index=sample_index), passed=False), reward)


def graded(answer: str, reward: float) -> Conversation:
    return rewarded(a_conversation(answer), reward)


def sides(preferences: tuple[object, ...]) -> list[tuple[str, str]]:
    return [(one.chosen[0].content, one.rejected[0].content) for one in preferences]  # type: ignore[attr-defined]


def a_recipe(**changes: object) -> Recipe:
    entry = [{"technique": "any"}]
    return Recipe.model_validate({"name": "r", "models": {}, "prompts": entry, "responses": entry, **changes})


def test_pair_puts_the_best_against_the_worst_by_reward() -> None:
    made = pair([graded("b", 2.0), graded("a", 3.0), graded("c", 1.0)], BEST_WORST, [BY_REWARD])
    assert sides(made) == [("a", "c")]
    assert (made[0].margin, made[0].judge) == (2.0, "reward_margin")


def test_pair_trusts_ground_truth_before_any_reward() -> None:
    made = pair([right("right", 1.0), wrong("wrong", 4.0), right("better", 3.0)], BEST_WORST, BOTH)
    assert sides(made) == [("better", "wrong")]
    assert (made[0].margin, made[0].judge) == (-1.0, "ground_truth")
    assert made[0].chosen_verdict is not None
    assert made[0].chosen_verdict.passed


def test_pair_takes_every_right_and_wrong_one_under_all() -> None:
    made = pair([right("r1"), right("r2"), wrong("w1"), wrong("w2")], ALL, [BY_TRUTH])
    assert sorted(sides(made)) == [("r1", "w1"), ("r1", "w2"), ("r2", "w1"), ("r2", "w2")]


def test_pair_keeps_the_widest_margins_where_pairs_are_limited() -> None:
    made = pair(
        [graded(name, reward) for name, reward in zip("abcd", (4.0, 3.0, 2.0, 1.0), strict=True)], PairOptions(strategy="all", per_prompt=2), [BY_REWARD]
    )
    assert sides(made)[0] == ("a", "d")
    assert len(made) == 2


@pytest.mark.parametrize("unfit", [{"gate": "refusal"}, {"finish_reason": "length"}], ids=["gated", "cut-off"])
def test_pair_never_chooses_an_unfit_answer_but_may_reject_it(unfit: dict[str, str]) -> None:
    high, low = graded("high", 4.0), graded("low", 1.0)
    assert pair([replace(high, **unfit), low], BEST_WORST, [BY_REWARD]) == ()  # type: ignore[arg-type]
    assert sides(pair([high, replace(low, **unfit)], BEST_WORST, [BY_REWARD])) == [("high", "low")]  # type: ignore[arg-type]


def test_pair_never_chooses_a_wrong_answer_by_reward() -> None:
    assert pair([wrong("w1", 4.0), wrong("w2", 1.0)], BEST_WORST, BOTH) == ()


def test_pair_puts_the_best_against_a_random_one_that_loses_to_it_always_the_same() -> None:
    answers = [graded(name, reward) for name, reward in zip("abcdef", (6.0, 5.0, 4.0, 3.0, 2.0, 1.0), strict=True)]
    made = pair(answers, PairOptions(strategy="best_random"), [BY_REWARD])
    assert sides(made)[0][0] == "a"
    assert sides(pair(answers[::-1], PairOptions(strategy="best_random"), [BY_REWARD])) == sides(made)
    several = sides(pair(answers, PairOptions(strategy="best_random", per_prompt=3), [BY_REWARD]))
    assert {chosen for chosen, _ in several} == {"a"}
    assert len({rejected for _, rejected in several}) == 3
    drawn = {sides(pair([graded(f"{n} best", 6.0), *answers[1:]], PairOptions(strategy="best_random"), [BY_REWARD]))[0][1] for n in range(40)}
    assert drawn == set("bcdef")


def test_pair_takes_margins_within_the_window() -> None:
    answers = [graded(name, reward) for name, reward in zip("abc", (4.0, 3.0, 1.0), strict=True)]
    window = PairOptions(strategy="margin_window", min_margin=1.5, max_margin=2.5)
    assert sides(pair(answers, window, [BY_REWARD])) == [("b", "c")]
    assert sides(pair([right("r", 3.0), wrong("w", 1.0), right("s")], window, [BY_TRUTH])) == [("r", "w")]
    assert pair([right("r"), wrong("w")], PairOptions(strategy="margin_window", max_margin=0.0), [BY_TRUTH]) != ()
    assert pair([verified(a_conversation("r"), passed=True), verified(a_conversation("w"), passed=False)], window, [BY_TRUTH]) == ()


def test_a_window_must_be_open_and_of_its_strategy() -> None:
    with pytest.raises(ValidationError, match=r"max_margin 1.0 is below min_margin 2.0"):
        PairOptions(strategy="margin_window", min_margin=2.0, max_margin=1.0)
    with pytest.raises(ValidationError, match="of the strategy margin_window, not of all"):
        PairOptions(strategy="all", min_margin=2.0)


def test_an_answer_with_its_reasoning_is_no_rival_of_one_without() -> None:
    thought = replace(graded("thought", 1.0), reasoning="First.")
    assert pair([thought, graded("plain", 4.0)], ALL, [BY_REWARD]) == ()
    assert [one.messages[-1].content for one in select_sft([thought, graded("plain", 4.0)], SftOptions(per_prompt=1))] == ["plain", "thought"]
    made = pair([thought, replace(graded("less", 0.0), reasoning="Second.")], ALL, [BY_REWARD])
    assert [(one.chosen_reasoning, one.rejected_reasoning) for one in made] == [("First.", "Second.")]


def test_pair_wants_a_margin() -> None:
    assert pair([graded("a", 2.0), graded("b", 2.4)], BEST_WORST, [BY_REWARD]) == ()
    assert pair([graded("a", 2.0), graded("b", 2.0)], BEST_WORST, [LoadedJudge("reward_margin", reward_margin.Options())]) == ()


def test_pair_makes_nothing_of_answers_that_nobody_scored_or_verified() -> None:
    assert pair([a_conversation("a"), a_conversation("b")], ALL, BOTH) == ()


def test_pair_never_pairs_equal_texts() -> None:
    assert pair([right("same", sample_index=0), wrong("same ", sample_index=1)], ALL, BOTH) == ()


def test_pair_compares_only_dialogues_that_differ_in_the_last_answer() -> None:
    def dialogue(middle: str, last: str, reward: float) -> Conversation:
        one = graded("first answer", reward)
        return replace(one, conversation_id=f"{middle}{last}", messages=(*one.messages, Message("user", middle), Message("assistant", last)))

    made = pair([dialogue("And so?", "good", 3.0), dialogue("And so?", "bad", 1.0), dialogue("Else?", "worse", 0.0)], ALL, [BY_REWARD])
    assert sides(made) == [("good", "bad")]
    assert [turn.content for turn in made[0].prompt] == ["What is 2 + 2?", "first answer", "And so?"]


def test_pair_merges_what_touched_both_sides() -> None:
    other = replace(graded("b", 1.0), provenance=replace(a_prompt().provenance, models=(a_use("responder", 7),)))
    made = pair([graded("a", 2.0), other], BEST_WORST, [BY_REWARD])
    assert {use.seed for use in made[0].provenance.models} == {0, 7}


def test_select_sft_prefers_right_answers_then_reward() -> None:
    answers = [wrong("wrong", 9.0), right("right", 1.0), right("better", 2.0), graded("unknown", 3.0)]
    chosen = select_sft(answers, SftOptions(per_prompt=3))
    assert [one.messages[-1].content for one in chosen] == ["better", "right", "unknown"]


def test_select_sft_selects_among_answers_of_one_technique() -> None:
    answers = [graded("a", 3.0), graded("b", 4.0), replace(graded("c", 1.0), response="dialogue"), replace(graded("d", 2.0), response="dialogue")]
    assert [one.messages[-1].content for one in select_sft(answers, SftOptions(per_prompt=1))] == ["b", "d"]


def test_select_sft_takes_wrong_answers_only_where_the_recipe_allows() -> None:
    answers = [wrong("wrong", 9.0), right("right", 1.0)]
    assert len(select_sft(answers, SftOptions(per_prompt=None))) == 1
    assert [one.messages[-1].content for one in select_sft(answers, SftOptions(per_prompt=None, require_correct=False))] == ["right", "wrong"]


@pytest.mark.parametrize("unfit", [{"gate": "refusal"}, {"finish_reason": "length"}], ids=["gated", "cut-off"])
def test_select_sft_never_takes_an_unfit_answer(unfit: dict[str, str]) -> None:
    assert select_sft([replace(right("a"), **unfit)], SftOptions(per_prompt=None, require_correct=False)) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (replace(graded("x", 2.0), gate="refusal"), "refusal"),
        (replace(graded("x", 2.0), finish_reason="length"), "truncated"),
        (wrong("x", 2.0), "wrong_answer"),
        (graded("x", 2.0), "not_selected"),
    ],
)
def test_leftovers_say_why(left: Conversation, reason: str) -> None:
    best = graded("best", 2.1)
    drops = leftovers([left, best], [best], [])
    assert [(drop.reason, drop.stage, drop.record_id) for drop in drops] == [(reason, "pair", left.conversation_id)]


def test_leftovers_of_a_prompt_without_any_pair_lack_contrast() -> None:
    told = [(drop.reason, drop.detail) for drop in leftovers([graded("a", 2.0), graded("b", 2.0), graded("c", 2.0)], [], [])]
    assert told == [("no_contrast", "reward: 2 tie")] * 3
    assert [drop.detail for drop in leftovers([graded("a", 2.0), graded("b", 2.1)], [], [])] == ["", ""]


def answers() -> st.SearchStrategy[list[Conversation]]:
    one = st.builds(
        lambda text, reward, passed, gate, finish, index: replace(
            rewarded(a_conversation(text, sample_index=index), reward)
            if passed is None
            else rewarded(verified(a_conversation(text, sample_index=index), passed=passed), reward),
            gate=gate,
            finish_reason=finish,
        ),
        st.sampled_from("abcdef"),
        st.sampled_from([0.0, 1.0, 2.0, 3.5]),
        st.sampled_from([None, True, False]),
        st.sampled_from([None, None, "refusal"]),
        st.sampled_from(["stop", "stop", "length"]),
        st.integers(0, 5),
    )
    return st.lists(one, max_size=8, unique_by=lambda conversation: conversation.conversation_id)


@given(
    answers(), st.randoms(), st.sampled_from(["best_worst", "best_random", "margin_window", "all"]), st.sampled_from([None, 1, 2]), st.booleans(), st.booleans()
)
def test_settle_accounts_for_every_answer_in_any_order(
    conversations: list[Conversation], chance: random.Random, strategy: str, most: int | None, with_sft: bool, with_pairs: bool
) -> None:
    recipe = a_recipe(pairs={"strategy": strategy, "per_prompt": most} if with_pairs else None, sft={"per_prompt": most} if with_sft else None)
    settled = settle(conversations, recipe, BOTH)
    used = {one.conversation_id for one in settled.sft} | {side for one in settled.preferences for side in (one.chosen_id, one.rejected_id)}
    dropped = [drop.record_id for drop in settled.drops]
    assert sorted([*used, *dropped]) == sorted(one.conversation_id for one in conversations)
    unfit = {one.conversation_id for one in conversations if one.gate or one.finish_reason == "length" or (one.verdict and not one.verdict.passed)}
    assert unfit.isdisjoint({one.chosen_id for one in settled.preferences} | {one.conversation_id for one in settled.sft})
    shuffled = chance.sample(conversations, len(conversations))
    assert settle(shuffled, recipe, BOTH) == settled
