"""The rehearsal model as judge, asked in the factory's own words and read by the factory's own parsers."""

from collections import Counter
from dataclasses import replace

from infra.triton.rehearsal_language.speak import Asked, Temper, speak
from tasks.craft.verdicts import read_ratings, read_verdict
from tasks.judges.llm_pairwise import request_verdict
from tasks.judges.rubric import CRITERIA, request_ratings
from tests.tasks.builders import a_conversation, a_prompt

GOOD = a_conversation("There are 6 x 7 = 42 eggs in the boxes, as each of the 6 boxes holds 7 eggs. The answer is 42.", prompt=a_prompt("What is 6 * 7?"))
POOR = replace(GOOD, conversation_id="0" * 32, messages=(*GOOD.messages[:-1], replace(GOOD.messages[-1], content="It depends on many things.")))


def said(request: str, temper: Temper, seed: int = 0) -> str:
    return speak(Asked(f"<extra_id_1>User\n{request}\n<extra_id_1>Assistant\n", 512, seed=seed), temper).text


def test_an_honest_judge_prefers_the_better_answer_in_either_place() -> None:
    for seed in range(20):
        assert read_verdict(said(request_verdict(GOOD, POOR), Temper(), seed)) == "first"
        assert read_verdict(said(request_verdict(POOR, GOOD), Temper(), seed)) == "second"


def test_a_biased_judge_prefers_what_it_reads_first_in_both_orders() -> None:
    biased = Temper(biased_rate=1.0)
    assert [read_verdict(said(request_verdict(*order), biased)) for order in ((GOOD, POOR), (POOR, GOOD))] == ["first", "first"]


def test_a_judge_is_unreadable_at_the_malformed_rate() -> None:
    told = Counter(read_verdict(said(request_verdict(GOOD, POOR), Temper(malformed_rate=0.5), seed)) for seed in range(100))
    assert set(told) == {"first", None}
    assert 30 < told[None] < 70


def test_ratings_follow_the_answers_and_leave_one_out_at_the_malformed_rate() -> None:
    request = request_ratings((POOR, GOOD), CRITERIA)
    low, high = read_ratings(said(request, Temper()), 2, low=1, high=10) or (0, 0)
    assert high - low >= 1
    assert any(read_ratings(said(request, Temper(malformed_rate=0.5), seed), 2, low=1, high=10) is None for seed in range(20))


def test_thoughts_come_where_the_system_message_switches_them_on() -> None:
    def asked(system: str) -> str:
        return speak(Asked(f"<extra_id_0>System\n{system}\n<extra_id_1>User\nWhy do bees dance?\n<extra_id_1>Assistant\n", 512), Temper()).text

    assert asked("detailed thinking on").startswith("<think>\n")
    assert "</think>\n\n" in asked("detailed thinking on")
    assert "think>" not in asked("detailed thinking off")
