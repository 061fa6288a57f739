import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from infra.triton.rehearsal_language.speak import Temper
from schemas.records import Conversation, Drop, Prompt
from tasks.craft.made import as_request
from tasks.craft.rewrites import REWRITES
from tasks.prompts import rephrase
from tasks.responses.rewrite import Options, respond
from tasks.technique import Opening
from tests.tasks.builders import A_RUN, ScriptedAsk, a_completion, a_prompt, answering
from tests.tasks.rehearsal import RehearsalAsk

LINE = "A canal rises slowly through nine locks, and each of them has a keeper who knows its age and its faults by heart."


def a_request(kind: str, text: str = LINE) -> Prompt:
    return replace(a_prompt(), technique="rephrase", messages=as_request(REWRITES[kind].ask(text)))


def rewritten(prompt: Prompt, ask: ScriptedAsk) -> Conversation | Drop:
    return asyncio.run(respond(prompt, 0, Options(), ask))


def test_rewrite_asks_word_for_word_what_the_prompt_asks() -> None:
    prompt = a_request("distil")
    ask = answering("The text, shortened:\nA canal rises.")
    made = rewritten(prompt, ask)
    assert isinstance(made, Conversation)
    assert ask.asked[0][2] == prompt.messages
    assert (made.messages[-1].content, made.response, made.finish_reason) == ("A canal rises.", "rewrite", "stop")


def test_rewrite_takes_long_encyclopaedic_prompts_segment_by_segment_and_joins_them() -> None:
    text = "\n".join([f"{number}. {LINE}" for number in range(40)])
    ask = ScriptedAsk(lambda label, said: "The text in other words:\n" + " ".join(["word"] * 30) + f" {label}.")
    made = rewritten(a_request("encyclopaedic", text), ask)
    assert isinstance(made, Conversation)
    assert len(ask.asked) > 1
    assert made.messages[-1].content.count("word") == 30 * len(ask.asked)
    assert sum(asked[0].content.count(LINE) for _, _, asked in ask.asked) == 40
    assert made.completion_tokens == sum(len(f"The text in other words:\n{' '.join(['word'] * 30)} {label}.") // 4 for label in ask.labels)


@pytest.mark.parametrize(
    ("kind", "said", "reason"),
    [
        ("encyclopaedic", "Short.", "rewrite_too_short"),
        ("distil", a_completion("A canal ri", "length"), "truncated_rewrite"),
        ("diverse_qa", "A canal rises.", "no_question_with_answer"),
        ("knowledge_list", "A canal rises.", "no_list"),
    ],
)
def test_rewrite_loses_what_it_can_not_use(kind: str, said: str, reason: str) -> None:
    made = rewritten(a_request(kind), answering(said))
    assert isinstance(made, Drop)
    assert (made.reason, made.stage) == (reason, "responses")


def test_rewrite_answers_no_other_prompts() -> None:
    made = rewritten(a_prompt(), answering())
    assert isinstance(made, Drop)
    assert made.reason == "no_rewrite_asked"


@pytest.mark.parametrize("malformed_rate", [0.0, 1.0])
def test_rewrite_makes_all_five_kinds_of_what_the_rehearsal_model_says(tmp_path: Path, malformed_rate: float) -> None:
    facts = ("The lock was built in 1811.", "It lifts boats by 2.4 metres.", "Ice has broken the paddles twice.", "Volunteers open it in April.")
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "\n".join(facts * 2)}) + "\n")
    options = rephrase.Options(path="texts.jsonl", source="own", licence="cc0-1.0")
    made: dict[str, Conversation | Drop] = {}
    for item in rephrase.start(options, Opening(A_RUN, 0, tmp_path)):
        (prompt,) = asyncio.run(rephrase.ask_for_rewrite(item, options, RehearsalAsk())).out
        assert isinstance(prompt, Prompt)
        ask = RehearsalAsk(prompt.prompt_id, Temper(malformed_rate=malformed_rate))
        made[prompt.lineage.topics[-1]] = asyncio.run(respond(prompt, 0, Options(), ask))
    assert set(made) == set(REWRITES)
    if malformed_rate:
        assert {kind: one.reason for kind, one in made.items() if isinstance(one, Drop)} == {
            "diverse_qa": "no_question_with_answer",
            "knowledge_list": "no_list",
            "encyclopaedic": "rewrite_too_short",
        }
        return
    texts = {kind: one.messages[-1].content for kind, one in made.items() if isinstance(one, Conversation)}
    assert set(texts) == set(REWRITES)
    assert texts["diverse_qa"].startswith("Question: ")
    assert set(texts["knowledge_list"].splitlines()) == set(facts)
    assert all("text, shortened" not in text and "in other words" not in text for text in texts.values())
