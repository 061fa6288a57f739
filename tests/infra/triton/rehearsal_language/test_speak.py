import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.triton.rehearsal_language.chat import last_user_text
from infra.triton.rehearsal_language.mathematics import solve
from infra.triton.rehearsal_language.speak import Asked, Said, Temper, finish, speak
from infra.triton.rehearsal_language.tokens import count_tokens
from tests.infra.triton.wire import a_prompt

CALM = Temper()
LIST = "Answer with a numbered list, one item a line."


def say(text: str, *, seed: int = 0, temper: Temper = CALM, max_tokens: int = 2000) -> str:
    return speak(Asked(a_prompt(text), max_tokens, seed=seed), temper).text


def items(text: str) -> list[str]:
    return re.findall(r"^\d+\. (.+)$", text, re.MULTILINE)


@pytest.mark.parametrize(
    "request_text",
    [
        "You plan a data set. Name {n} broad topics about the world.",
        'Name {n} subtopics of "Bird migration" that differ.',
        'Write {n} questions about "the economics of sourdough bread".',
        "Name {n} topics in mathematics for primary school.",
        'Write {n} math problems about "Percentages".',
    ],
    ids=["topics", "subtopics", "questions", "math topics", "math problems"],
)
@pytest.mark.parametrize("count", [1, 5, 20])
def test_speak_lists_as_many_different_items_as_asked_for(request_text: str, count: int) -> None:
    for seed in range(5):
        found = items(say(f"{request_text.format(n=count)} {LIST}", seed=seed))
        assert len(found) == count
        assert len(set(found)) == count


def test_speak_lists_hundreds_of_broad_topics() -> None:
    assert len(set(items(say(f"Name 500 broad topics. {LIST}", max_tokens=100_000)))) == 500


def test_speak_names_the_topic_in_subtopics_and_questions() -> None:
    assert all("bird migration" in item.lower() for item in items(say(f'Name 9 subtopics of "Bird migration". {LIST}')))
    assert all("bird migration" in item.lower() for item in items(say(f'Write 9 questions about "bird migration". {LIST}')))


def test_speak_gives_a_list_again_when_asked() -> None:
    first = f'Name 4 subtopics of "Tides and the moon". {LIST}'
    prompt = a_prompt(f"{first}\n<extra_id_1>Assistant\nSure, tides!\n<extra_id_1>User\nThat was no list. Give the list again, please.")
    assert len(items(speak(Asked(prompt, 500), CALM).text)) == 4


def test_speak_rewrites_a_question_into_a_longer_one_that_holds_it() -> None:
    question = "Why do volcanoes erupt?"
    rewritten = say(f"Rewrite this question so that it is more specific: <<<{question}>>>")
    assert rewritten.startswith(question)
    assert len(rewritten) > len(question)


def test_speak_plays_the_user() -> None:
    said = {say("Write the user's next message.\n<<<User: What is inflation?\nAssistant: Prices rise.>>>", seed=seed) for seed in range(10)}
    assert len(said) > 3
    assert any("inflation" in one for one in said)


def test_speak_completes_an_empty_user_turn_with_a_question() -> None:
    said = speak(Asked("<extra_id_0>System\n\n<extra_id_1>User\n", 100, stop=("<extra_id_1>",)), CALM)
    assert said.text.rstrip().endswith(("?", "."))
    assert said.stop_reason == "<extra_id_1>"


def test_speak_solves_the_problems_that_it_poses() -> None:
    for seed in range(40):
        (problem,) = items(say(f'Write 1 math problems about "anything". {LIST}', seed=seed))
        solution = solve(problem)
        assert solution is not None
        assert say(problem, seed=seed).endswith(f"The answer is {solution.answer}.")


def test_speak_is_wrong_at_the_wrong_rate() -> None:
    answers = [say("What is 30 * 4?", seed=seed, temper=Temper(wrong_rate=0.25)) for seed in range(400)]
    wrong = [answer for answer in answers if not answer.endswith("The answer is 120.")]
    assert 60 < len(wrong) < 140
    assert all(re.search(r"The answer is -?\d+\.$", answer) for answer in wrong)


@pytest.mark.parametrize(
    ("temper", "fault"),
    [
        (Temper(refusal_rate=1), re.compile(r"can't|cannot|unable|not able")),
        (Temper(malformed_rate=1), re.compile(r"")),
    ],
    ids=["refusal", "malformed"],
)
def test_speak_goes_wrong_in_every_answer_at_a_rate_of_one(temper: Temper, fault: re.Pattern[str]) -> None:
    for seed in range(20):
        text = say("Why do volcanoes erupt?", seed=seed, temper=temper)
        assert fault.search(text)
        assert text != say("Why do volcanoes erupt?", seed=seed)


def test_speak_deforms_lists_in_several_ways() -> None:
    temper = Temper(malformed_rate=1)
    texts = [say(f"Name 6 broad topics. {LIST}", seed=seed, temper=temper) for seed in range(60)]
    assert any(text.startswith("- ") for text in texts)
    assert any(text.startswith("[") for text in texts)
    assert any(len(items(text)) < 6 for text in texts)
    assert any(len(items(text)) > 6 for text in texts)


def test_speak_runs_into_max_tokens_at_the_truncation_rate() -> None:
    said = speak(Asked(a_prompt("Why do volcanoes erupt?"), 60), Temper(truncation_rate=1))
    assert (said.finish_reason, said.completion_tokens) == ("length", 60)


def test_speak_is_moved_by_seed_and_temperature_alone() -> None:
    asked = Asked(a_prompt("Why do volcanoes erupt?"), 300, temperature=0.7, seed=11)
    assert speak(asked, CALM) == speak(asked, CALM)
    texts = {speak(Asked(asked.prompt, 300, seed=seed), CALM).text for seed in range(50)}
    assert len(texts) == 50
    greedy = {speak(Asked(asked.prompt, 300, temperature=0, seed=seed), CALM).text for seed in range(5)}
    assert len(greedy) == 1


def test_speak_mentions_the_subject_of_the_question_in_most_answers() -> None:
    texts = [say("How do hydrologists measure groundwater?", seed=seed) for seed in range(100)]
    assert sum("groundwater" in text.lower() for text in texts) > 80


@given(st.text(max_size=400), st.integers(0, 2**63 - 1), st.integers(1, 50))
def test_speak_answers_anything_within_max_tokens(text: str, seed: int, most: int) -> None:
    said = speak(Asked(text, most, seed=seed), Temper(0, 0.2, 0.2, 0.1, 0.1))
    assert count_tokens(said.text) <= said.completion_tokens <= most


@pytest.mark.parametrize(
    ("stop", "most", "expected"),
    [
        ((), 99, Said("One two. Three four.", "stop", None, 1, 6)),
        (("Three",), 99, Said("One two. ", "stop", "Three", 1, 4)),
        (("absent", "two"), 99, Said("One ", "stop", "two", 1, 2)),
        (("<extra_id_1>",), 99, Said("One two. Three four.", "stop", "<extra_id_1>", 1, 7)),
        (("four",), 2, Said("One two", "length", None, 1, 2)),
    ],
    ids=["no stop", "stop", "first of two", "turn end", "too long"],
)
def test_finish_ends_a_text_where_it_should(stop: tuple[str, ...], most: int, expected: Said) -> None:
    assert finish("One two. Three four.", Asked("Go", most, stop=stop)) == expected


def test_prompts_rendered_for_tests_are_read_back() -> None:
    assert last_user_text(a_prompt("Why?", system="Be brief.")) == "Why?"
