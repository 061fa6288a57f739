from dataclasses import replace

import pytest
from pydantic import ValidationError

from schemas.records import Conversation, Difficulty, Message
from tasks.catalogue import LoadedJudge
from tasks.judges import ground_truth, majority_vote
from tasks.sampled import judge_samples, rate_prompts
from tests.tasks.builders import a_conversation, a_prompt

VOTE = LoadedJudge("majority_vote", majority_vote.Options())


def votes(*answers: str, **options: object) -> list[Conversation]:
    samples = [a_conversation(text, sample_index=number) for number, text in enumerate(answers)]
    return majority_vote.convene(majority_vote.Options.model_validate(options), samples)


def references(answers: list[Conversation]) -> set[tuple[str, str] | None]:
    return {(one.reference.value, one.reference.origin) if one.reference else None for one in answers}


def test_the_majority_answer_becomes_the_reference_by_which_all_are_judged() -> None:
    judged = votes("It is 4.", "2 + 2 = 4", "The answer is 5", "So 4.0")
    assert references(judged) == {("4", "majority")}
    assert [one.verdict.passed for one in judged if one.verdict] == [True, True, False, True]
    assert all(one.verdict and one.verdict.detail.endswith("by 3 of 4 votes") for one in judged)


@pytest.mark.parametrize(
    ("answers", "options"),
    [
        (("4", "4", "5", "5"), {}),
        (("4", "4"), {}),
        (("4", "4", "none", "nothing"), {}),
        (("4", "4", "5", "6", "7"), {}),
        (("4", "4", "4"), {"categories": ("science",)}),
    ],
    ids=["tie", "too-few", "too-few-that-can-be-read", "no-share", "another-category"],
)
def test_a_vote_without_a_clear_winner_gives_no_reference(answers: tuple[str, ...], options: dict[str, object]) -> None:
    judged = votes(*answers, **options)
    assert references(judged) == {None}
    assert {one.verdict for one in judged} == {None}


def test_who_was_cut_off_has_no_vote_but_is_judged() -> None:
    samples = [a_conversation(text, sample_index=number) for number, text in enumerate(("4", "5", "5", "4 and", "5"))]
    samples[3] = replace(samples[3], finish_reason="length")
    judged = majority_vote.convene(majority_vote.Options(), samples)
    assert [one.verdict.passed for one in judged if one.verdict] == [False, True, True, False, True]
    assert "3 of 4 votes" in (judged[0].verdict.detail if judged[0].verdict else "")


def test_a_prompt_with_a_known_answer_has_no_vote() -> None:
    known = [a_conversation(text, prompt=a_prompt(reference="5"), sample_index=number) for number, text in enumerate("4445")]
    assert majority_vote.convene(majority_vote.Options(), known) == known


def test_a_dialogue_has_no_vote() -> None:
    talk = [
        replace(one, messages=(*one.messages, Message("user", "And?"), *one.messages[-1:])) for one in (a_conversation("4", sample_index=n) for n in range(4))
    ]
    assert majority_vote.convene(majority_vote.Options(), talk) == talk


def test_boxed_results_vote_by_their_mathematics() -> None:
    boxed = (r"So \boxed{\frac{1}{2}}.", r"\boxed{0.5}", r"\boxed{\frac12}", r"\boxed{2}", "One half.")
    judged = votes(*boxed, verifier="math_equivalence")
    assert [one.verdict.passed for one in judged if one.verdict][:4] == [True, True, True, False]


def test_prefer_speaks_for_votes_and_ground_truth_for_what_is_known() -> None:
    right, wrong = (next(one for one in votes("4", "4", "5") if one.verdict and one.verdict.passed is passed) for passed in (True, False))
    opinion = majority_vote.prefer(majority_vote.Options(), wrong, right)
    assert opinion is not None
    assert (opinion.chosen, opinion.rejected) == (right, wrong)
    assert ground_truth.prefer(ground_truth.Options(), wrong, right) is None
    assert majority_vote.prefer(majority_vote.Options(), right, right) is None


def test_a_verifier_that_reads_no_result_is_refused() -> None:
    with pytest.raises(ValidationError, match="final_number, math_equivalence"):
        majority_vote.Options(verifier="ifeval")


def test_judge_samples_notes_how_often_a_prompt_was_answered_rightly() -> None:
    prompt = a_prompt(reference="4")
    samples = [a_conversation(text, prompt=prompt, sample_index=number) for number, text in enumerate(("4", "4", "5", "no"))]
    judged = judge_samples(samples, ())
    assert {one.difficulty for one in judged} == {Difficulty(0.5, 4)}
    assert rate_prompts([prompt, a_prompt("Else?")], judged) == [replace(prompt, difficulty=Difficulty(0.5, 4)), a_prompt("Else?")]


def test_judge_samples_counts_votes_before_anything_is_filtered_out() -> None:
    judged = judge_samples([a_conversation(text, sample_index=number) for number, text in enumerate(("4", "4", "5"))], (VOTE,))
    assert {round(one.difficulty.pass_rate, 3) for one in judged if one.difficulty} == {0.667}
    assert judge_samples([a_conversation("Why not?")], (VOTE,))[0].difficulty is None
