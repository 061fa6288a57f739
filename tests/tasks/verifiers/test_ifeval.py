import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ifeval.kinds import KINDS
from tasks.verifiers.ifeval import verify

DATA = Path(os.environ.get("GRISTMILL_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


def expect(instruction: str, mode: str = "strict", **kwargs: Any) -> str:
    return json.dumps({"instruction_id_list": [instruction], "kwargs": [kwargs], "mode": mode})


@pytest.mark.parametrize(
    ("instruction", "kwargs", "good", "bad"),
    [
        ("keywords:existence", {"keywords": ["apple", "C++"]}, "An Apple in C++", "An apple"),
        ("keywords:frequency", {"relation": "less than", "keyword": "no", "frequency": 2}, "No.", "No, no."),
        ("keywords:forbidden_words", {"forbidden_words": ["rock"]}, "rocks", "a Rock."),
        ("keywords:letter_frequency", {"let_relation": "at least", "letter": "q", "let_frequency": 2}, "Qq", "q"),
        ("language:response_language", {"language": "de"}, "Das Wetter ist heute sehr schön, nicht wahr?", "The weather is lovely today, is it not?"),
        ("length_constraints:number_sentences", {"relation": "at least", "num_sentences": 2}, "One. Two.", "One."),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One\n***\nTwo\n***", "One\n***\n***\nTwo"),
        ("length_constraints:number_words", {"relation": "less than", "num_words": 3}, "two words", "now three words"),
        ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "So"}, "A\n\n'so, b", "So\n\nb"),
        ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] of [town]", "[name] of town"),
        ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP. P. S. More", "Bye.\nP.S. More"),
        ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n- two", "* one"),
        ("detectable_format:constrained_response", {}, "My answer is maybe.", "Maybe."),
        ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and **two**", "*one* and two"),
        ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2}, "Section 1\na\nSection 2\nb", "Section 1\na"),
        ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
        ("detectable_format:title", {}, "<<A song>>\nla", "<< >>\nla"),
        ("combination:two_responses", {}, "one\n******\ntwo", "one\n******\none"),
        ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi."}, "say hi.\nHi", "Hi"),
        ("startend:end_checker", {"end_phrase": "The end."}, 'So. "the END."', "The end. Not."),
        ("change_case:capital_word_frequency", {"capital_relation": "less than", "capital_frequency": 2}, "NASA", "NASA FBI"),
        ("change_case:english_capital", {}, "THE WEATHER IS LOVELY TODAY", "The weather is lovely today"),
        ("change_case:english_lowercase", {}, "the weather is lovely today", "The weather is lovely today"),
        ("punctuation:no_comma", {}, "one two", "one, two"),
        ("startend:quotation", {}, '"Hi"', '"Hi'),
    ],
)
def test_verify_tells_who_follows_an_instruction(instruction: str, kwargs: dict[str, Any], good: str, bad: str) -> None:
    assert verify(good, expect(instruction, **kwargs)).passed
    assert not verify(bad, expect(instruction, **kwargs)).passed


def test_verify_holds_the_result_of_each_instruction() -> None:
    verdict = verify("one, two", json.dumps({"instruction_id_list": ["punctuation:no_comma", "startend:end_checker"], "kwargs": [{}, {"end_phrase": "two"}]}))
    assert not verdict.passed
    assert [one["followed"] for one in json.loads(verdict.found or "")] == [False, True]
    assert verdict.detail == "strict: not followed: punctuation:no_comma"


def test_verify_reads_loosely_without_first_line_last_line_and_asterisks() -> None:
    reply = "Sure, here it is:\n**My words** end here.\nBye, now!"
    assert not verify(reply, expect("punctuation:no_comma")).passed
    assert verify(reply, expect("punctuation:no_comma", "loose")).passed
    assert not verify("", expect("punctuation:no_comma", "loose")).passed


@pytest.mark.parametrize(
    "expected",
    ["", "[]", expect("no:such"), json.dumps({"instruction_id_list": ["punctuation:no_comma"], "kwargs": []}), expect("startend:end_checker"),
     expect("keywords:frequency", relation="about", keyword="a", frequency=1), expect("startend:end_checker", end_phrase=3)],
)  # fmt: skip
def test_verify_says_that_a_reference_cannot_be_read(expected: str) -> None:
    verdict = verify("text", expected)
    assert (verdict.passed, verdict.found) == (False, None)
    assert verdict.detail.startswith("the reference")


@given(st.text())
def test_verify_never_raises_for_what_a_model_wrote(answer: str) -> None:
    for kind in ("combination:two_responses", "detectable_format:json_format", "detectable_format:title", "startend:quotation"):
        assert verify(answer, expect(kind, "loose")).found is not None


def test_kinds_are_all_twenty_five() -> None:
    assert len(KINDS) == 25


def recorded() -> Iterator[tuple[str, list[str], list[dict[str, Any]], str, list[bool]]]:
    paths = [DATA / "ifeval_responses_verdicts.jsonl.gz", DATA / "ifeval_crossed_verdicts.jsonl.gz"]
    if not all(path.exists() for path in paths):
        pytest.skip(f"no IFEval verdicts in {DATA}: set GRISTMILL_SHARED_DATA")
    for row in (json.loads(line) for path in paths for line in gzip.decompress(path.read_bytes()).splitlines()):
        one = "instruction_id" in row
        for mode in () if row.get("random_reference") else ("strict", "loose"):
            instructions = [row["instruction_id"]] if one else row["instruction_id_list"]
            yield row["response"], instructions, [row["kwargs"]] if one else row["kwargs"], mode, [row[mode]] if one else row[mode]


@pytest.mark.slow
def test_verify_agrees_with_the_reference_on_every_recorded_verdict() -> None:
    count, differing = 0, []
    for reply, instructions, kwargs, mode, reference in recorded():
        verdict = verify(reply, json.dumps({"instruction_id_list": instructions, "kwargs": kwargs, "mode": mode}))
        for told, recorded_one in zip(json.loads(verdict.found or ""), reference, strict=True):
            count += 1
            if told["followed"] != recorded_one:
                differing.append((told, mode, reply))
    assert not differing
    assert count == 2418
