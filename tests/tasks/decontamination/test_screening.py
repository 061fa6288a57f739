from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from infra.storage import write_records
from schemas.contract import arrow_schema, from_table, to_table
from schemas.records import Conversation, Message, Prompt
from tasks.decontamination.benchmarks import BenchmarkText
from tasks.decontamination.screening import drop_contaminated_conversations, drop_contaminated_prompts
from tests.tasks.builders import a_conversation, a_prompt

LEAKED = "Tom has three red apples and buys four green ones at the market on a rainy Monday morning."


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    path = tmp_path / "benchmarks.parquet"
    write_records(path, [BenchmarkText("sums:17", LEAKED, 13, False)], BenchmarkText)
    return path


def conversations(*answers: str, prompt: Prompt | None = None) -> Sequence[Conversation]:
    return [a_conversation(answer, prompt=prompt, sample_index=number) for number, answer in enumerate(answers)]


def test_contaminated_prompts_are_dropped_pointing_at_the_row(benchmarks: Path) -> None:
    clean, leaked = a_prompt("What is rust?"), a_prompt(f"Solve: {LEAKED}")
    kept, drops = drop_contaminated_prompts([leaked, clean], benchmarks)
    assert kept == [clean]
    assert [(drop.stage, drop.reason, drop.points_to, drop.record_id) for drop in drops] == [("screen", "contaminated", "sums:17", leaked.prompt_id)]
    assert (drops[0].benchmark, drops[0].similarity) == ("sums", None)
    assert drops[0].ngram == "Tom has three red apples and buys four green ones at the market"


def test_a_short_text_of_a_benchmark_is_a_hit_where_it_is_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "short.parquet"
    write_records(path, [BenchmarkText("sums:id:3", "What is 2 + 2?", 13, False)], BenchmarkText)
    kept, drops = drop_contaminated_prompts([a_prompt("what is 2 + 2"), a_prompt("What is 2 + 2, and why?")], path)
    assert [prompt.messages[0].content for prompt in kept] == ["What is 2 + 2, and why?"]
    assert [(drop.benchmark, drop.points_to, drop.ngram, drop.similarity) for drop in drops] == [("sums", "sums:id:3", "what is 2 + 2", 1.0)]


def test_every_turn_of_a_prompt_is_looked_at(benchmarks: Path) -> None:
    prompt = replace(a_prompt("Now?"), messages=(Message("system", LEAKED), Message("user", "Now?")))
    assert drop_contaminated_prompts([prompt], benchmarks)[0] == []


def test_contaminated_answers_are_dropped_in_their_order(benchmarks: Path) -> None:
    rows = conversations("It is four.", f"Consider this one. {LEAKED}", "It is five.")
    kept, drops = drop_contaminated_conversations(to_table(rows, Conversation), benchmarks)
    assert from_table(kept, Conversation) == [rows[0], rows[2]]
    assert kept.schema == arrow_schema(Conversation)
    assert [(drop.stage, drop.kind, drop.record_id) for drop in drops] == [("filter", "conversation", rows[1].conversation_id)]


def test_a_sliced_table_is_read_from_where_it_begins(benchmarks: Path) -> None:
    rows = conversations(LEAKED, "It is four.", LEAKED)
    kept, drops = drop_contaminated_conversations(to_table(rows, Conversation).slice(1), benchmarks)
    assert (from_table(kept, Conversation), [drop.record_id for drop in drops]) == ([rows[1]], [rows[2].conversation_id])


def test_the_prompt_of_a_conversation_is_no_reason_to_drop_it(benchmarks: Path) -> None:
    table = to_table(conversations("It is seven.", prompt=a_prompt(LEAKED)), Conversation)
    assert drop_contaminated_conversations(table, benchmarks) == (table, [])


def test_without_benchmarks_everything_stays() -> None:
    table = to_table(conversations(LEAKED), Conversation)
    assert drop_contaminated_conversations(table, None) == (table, [])
    assert drop_contaminated_prompts([a_prompt(LEAKED)], None) == ([a_prompt(LEAKED)], [])
