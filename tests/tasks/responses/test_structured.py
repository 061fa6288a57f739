import asyncio
import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from schemas.records import Conversation, Drop, Message, Reference
from tasks.responses.structured import Options, respond, samplings
from tasks.sampled import verify
from tests.tasks.builders import ScriptedAsk, a_prompt, answering

SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}


def answer(ask: ScriptedAsk, options: Options, reference: Reference | None = None) -> Conversation | Drop:
    return asyncio.run(respond(replace(a_prompt(), reference=reference), 0, options, ask))


@pytest.mark.parametrize(("said", "passed"), [('{"answer": 4}', True), ('{"answer": "four"}', False), ("It is 4.", False)])
def test_structured_is_verified_by_its_schema(said: str, passed: bool) -> None:
    made = answer(answering(said), Options(fits=SCHEMA))
    assert isinstance(made, Conversation)
    verdict = verify(made).verdict
    assert verdict is not None
    assert (verdict.verifier, verdict.passed) == ("json_schema", passed)


def test_structured_says_the_schema_after_whatever_else_the_system_message_says() -> None:
    made = answer(answering("{}"), Options(fits=SCHEMA, system="Be brief."))
    assert isinstance(made, Conversation)
    system = made.messages[0].content
    assert system.startswith("Be brief.\n\n")
    assert json.loads(system.rpartition("\n")[2]) == SCHEMA
    assert (made.prompt_turns, [turn.role for turn in made.messages]) == (2, ["system", "user", "assistant"])


def test_structured_can_hold_a_model_to_a_schema_without_a_word() -> None:
    made = answer(answering("{}"), Options(fits=SCHEMA, told=False))
    assert isinstance(made, Conversation)
    assert made.messages[0] == Message("user", "What is 2 + 2?")


def test_structured_takes_the_prompts_own_schema_and_drops_a_prompt_without_one() -> None:
    own = Reference("json_schema", json.dumps(SCHEMA))
    made = answer(answering('{"answer": 4}'), Options(), own)
    assert isinstance(made, Conversation)
    assert made.reference == own
    ask = answering()
    lost = answer(ask, Options(), Reference("final_number", "4"))
    assert isinstance(lost, Drop)
    assert (lost.reason, ask.asked) == ("no_schema", [])


def test_structured_tells_that_it_needs_guided_decoding() -> None:
    assert [how.json_schema for _, how in samplings(Options())] == ["{}"]
    assert json.loads(samplings(Options(fits=SCHEMA))[0][1].json_schema or "") == SCHEMA


def test_structured_refuses_what_is_no_schema() -> None:
    with pytest.raises(ValidationError, match="no JSON schema"):
        Options(fits={"type": "thing"})
