import asyncio
from dataclasses import replace

import pytest

from schemas.engine import Completion
from schemas.recipe import SamplingOptions
from schemas.records import Conversation, Drop, Message
from tasks.responses.dialogue import PERSONAS, Options, calls, choose_persona, respond
from tests.tasks.builders import ScriptedAsk, a_completion, a_prompt


def talk(label: str, text: str) -> str | Completion:
    return f"Thank you! What of {label}?" if "/user/" in label else f"Well, {label}."


def hold(ask: ScriptedAsk, options: Options | None = None) -> Conversation | Drop:
    return asyncio.run(respond(a_prompt("Why is it so?"), 1, options or Options(), ask))


def test_dialogue_alternates_for_three_user_turns() -> None:
    ask = ScriptedAsk(talk)
    made = hold(ask)
    assert isinstance(made, Conversation)
    assert [turn.role for turn in made.messages] == ["user", "assistant"] * 3
    assert [(role, label) for role, label, _ in ask.asked] == [
        ("responder", "sample/1/assistant/0"),
        ("user", "sample/1/user/1"),
        ("responder", "sample/1/assistant/1"),
        ("user", "sample/1/user/2"),
        ("responder", "sample/1/assistant/2"),
    ]
    assert len(ask.asked) == calls(Options())
    assert made.prompt_turns == 1
    assert {use.role for use in made.provenance.models} == {"responder", "user"}


def test_dialogue_strips_the_simulated_user_of_courtesies() -> None:
    made = hold(ScriptedAsk(talk))
    assert isinstance(made, Conversation)
    assert made.messages[2].content == "What of sample/1/user/1?"


def test_dialogue_has_no_reference_for_its_last_answer() -> None:
    made = asyncio.run(respond(a_prompt("6 * 7?", reference="42"), 0, Options(), ScriptedAsk(talk)))
    assert isinstance(made, Conversation)
    assert made.reference is None


def test_dialogue_shows_the_simulated_user_the_conversation_between_marks() -> None:
    ask = ScriptedAsk(talk)
    hold(ask, Options(system="Be brief.", personas=("You are a sailor.",)))
    request = ask.asked[1][2][-1].content
    assert "Write the user's next message" in request
    assert "You are a sailor." in request
    assert request.partition("<<<")[2].startswith("\nUser: Why is it so?\n\nAssistant: Well, sample/1/assistant/0.\n>>>")
    assert "Be brief" not in request


def test_dialogue_keeps_the_last_answer_though_cut_off() -> None:
    made = hold(ScriptedAsk(lambda label, text: a_completion("Well", "length") if label.endswith("assistant/2") else talk(label, text)))
    assert isinstance(made, Conversation)
    assert made.finish_reason == "length"


@pytest.mark.parametrize(
    ("at", "completion", "reason"),
    [
        ("assistant/0", a_completion("Well", "length"), "truncated"),
        ("user/2", a_completion("And what", "length"), "truncated"),
        ("assistant/1", a_completion("  "), "empty_answer"),
        ("user/1", a_completion("Thank you so much!"), "empty_user_turn"),
        ("assistant/1", a_completion("Well.", prompt_tokens=3500), "over_context"),
    ],
    ids=["answer-cut-off", "user-cut-off", "empty-answer", "mere-courtesy", "context-full"],
)
def test_dialogue_drops_a_conversation_that_can_not_go_on(at: str, completion: Completion, reason: str) -> None:
    made = hold(ScriptedAsk(lambda label, text: completion if label.endswith(at) else talk(label, text)))
    assert isinstance(made, Drop)
    assert (made.reason, made.stage, made.kind, made.rows) == (reason, "responses", "prompt", 1)


def test_dialogue_asks_nothing_where_the_first_answer_would_not_fit() -> None:
    ask = ScriptedAsk(talk)
    made = hold(ask, Options(context_tokens=100, sampling=SamplingOptions(max_tokens=90)))
    assert isinstance(made, Drop)
    assert made.reason == "over_context"
    assert "of 100" in made.detail
    assert ask.asked == []


def test_dialogue_drops_a_prompt_whose_turns_are_out_of_order() -> None:
    prompt = replace(a_prompt(), messages=(Message("user", "Hi."), Message("user", "Hi?")))
    made = asyncio.run(respond(prompt, 0, Options(), ScriptedAsk(talk)))
    assert isinstance(made, Drop)
    assert made.reason == "wrong_turns"


def test_choose_persona_is_stable_and_uses_them_all() -> None:
    chosen = [choose_persona(Options(), f"prompt {n}", 0) for n in range(100)]
    assert chosen == [choose_persona(Options(), f"prompt {n}", 0) for n in range(100)]
    assert set(chosen) == set(PERSONAS.values())
