import asyncio

from schemas.recipe import SamplingOptions
from schemas.records import Conversation, Drop, Message, conversation_id
from tasks.responses.answer import Options, respond, samplings
from tests.tasks.builders import ScriptedAsk, a_completion, a_prompt, answering


def answer(ask: ScriptedAsk, options: Options | None = None, sample_index: int = 0) -> Conversation | Drop:
    return asyncio.run(respond(a_prompt(reference="4"), sample_index, options or Options(), ask))


def test_answer_makes_a_conversation_of_prompt_and_answer() -> None:
    ask = answering(" It is 4.\n")
    made = answer(ask, sample_index=2)
    assert isinstance(made, Conversation)
    assert made.messages == (Message("user", "What is 2 + 2?"), Message("assistant", "It is 4."))
    assert (made.prompt_turns, made.sample_index, made.response) == (1, 2, "answer")
    assert made.conversation_id == conversation_id(made.prompt_id, "answer", 2, made.messages)
    assert ask.labels == ["sample/2"]


def test_answer_hands_on_what_is_known_of_the_prompt() -> None:
    prompt, made = a_prompt(reference="4"), answer(answering("4"))
    assert isinstance(made, Conversation)
    assert (made.reference, made.lineage, made.category, made.technique) == (prompt.reference, prompt.lineage, prompt.category, prompt.technique)
    assert [use.role for use in made.provenance.models] == ["responder"]
    assert (made.scores, made.verdict, made.gate) == (None, None, None)


def test_answer_keeps_what_the_engine_told() -> None:
    made = answer(answering(a_completion("It is", "length", prompt_tokens=12)))
    assert isinstance(made, Conversation)
    assert (made.finish_reason, made.prompt_tokens, made.tokens_inferred) == ("length", 12, True)


def test_answer_counts_a_system_message_as_part_of_the_prompt() -> None:
    made = answer(answering("4"), Options(system="Be brief."))
    assert isinstance(made, Conversation)
    assert [turn.role for turn in made.messages] == ["system", "user", "assistant"]
    assert made.prompt_turns == 2


def test_answer_drops_an_empty_answer_once_for_each_sample() -> None:
    drops = [answer(answering(" \n"), sample_index=index) for index in range(2)]
    assert [(drop.reason, drop.stage, drop.raw) for drop in drops if isinstance(drop, Drop)] == [("empty_answer", "responses", " \n")] * 2
    assert len({drop.drop_id for drop in drops if isinstance(drop, Drop)}) == 2


def test_answer_tells_how_it_samples() -> None:
    options = Options(sampling=SamplingOptions(max_tokens=99))
    assert [(role, sampling.max_tokens) for role, sampling in samplings(options)] == [("responder", 99)]
