"""The Triton adapter against the genuine server: every dialect, unary and decoupled."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from infra.engines import open_engine
from infra.settings import Address
from infra.triton.server import ServedTriton
from schemas.engine import Answer, Completion, Deadlines, EmbedBatch, Embedding, Embeddings, Engine, EngineFacts, Request, Reward, Sampling, as_messages
from schemas.errors import EngineError, EngineFault, SettingsError
from schemas.records import ATTRIBUTES
from tests.infra.engines.builders import a_card, ask, embed, grade, some_settings

pytestmark = pytest.mark.triton

LIST = 'Name 5 subtopics of "rivers". Answer with a numbered list, one item a line.'
TEXT_MODELS = {
    "ensemble": ("triton/ensemble", False),
    "tensorrt_llm_bls": ("triton/ensemble", True),
    "tensorrt_llm": ("triton/llmapi", False),
    "vllm_model": ("triton/vllm", True),
}


def with_engine(triton: ServedTriton, model: str, steps: Callable[[Engine], Awaitable[Any]], role: str = "instruct") -> Any:
    async def run() -> Any:
        engine = open_engine(Address("triton", "127.0.0.1", triton.grpc_port, False, f"/{model}" if model else ""), a_card(role), some_settings())
        try:
            return await steps(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


def answer(triton: ServedTriton, model: str, request: Request, role: str = "instruct") -> Answer:
    return with_engine(triton, model, lambda engine: engine.call(request, Deadlines(total_s=30)), role)  # type: ignore[no-any-return]


def facts(triton: ServedTriton, model: str, role: str = "instruct") -> EngineFacts:
    return with_engine(triton, model, lambda engine: engine.inspect(), role)  # type: ignore[no-any-return]


@pytest.mark.parametrize("model", TEXT_MODELS)
def test_inspect_tells_the_dialect(triton: ServedTriton, model: str) -> None:
    found = facts(triton, model)
    assert (found.kind, found.decoupled) == TEXT_MODELS[model]
    assert found.server.startswith("triton 2.")
    assert found.options >= {"max_tokens", "temperature", "top_p", "top_k", "stop", "seed"}
    assert ("repetition_penalty" in found.options) == (model != "tensorrt_llm")
    assert "raw" in found.options
    assert ("finish_reason" in found.tells) == (model in ("tensorrt_llm", "vllm_model"))
    assert ("tokens" in found.tells) == (model != "tensorrt_llm")


@pytest.mark.parametrize("model", TEXT_MODELS)
def test_call_gets_the_answer_without_prompt_and_stop_string(triton: ServedTriton, model: str) -> None:
    done = answer(triton, model, ask(LIST, max_tokens=400))
    assert isinstance(done, Completion)
    assert done.text.count("\n") >= 4
    assert "extra_id" not in done.text
    assert "Answer with a numbered list" not in done.text
    assert done.finish_reason == "stop"
    assert done.completion_tokens > 5
    assert done.prompt_tokens > 10


def test_call_gets_the_same_answer_in_every_dialect(triton: ServedTriton) -> None:
    answers = [answer(triton, model, ask(LIST, max_tokens=400, temperature=0.5)) for model in TEXT_MODELS]
    assert len({done.text for done in answers if isinstance(done, Completion)}) == 1


@pytest.mark.parametrize("model", TEXT_MODELS)
def test_call_repeats_itself_by_seed(triton: ServedTriton, model: str) -> None:
    texts = {seed: {answer(triton, model, ask(LIST, seed=seed)) for _ in range(2)} for seed in (1, 2**62)}
    assert all(len(found) == 1 for found in texts.values())
    assert texts[1] != texts[2**62]


@pytest.mark.parametrize("model", TEXT_MODELS)
def test_call_notices_an_answer_cut_at_max_tokens(triton: ServedTriton, model: str) -> None:
    done = answer(triton, model, ask(LIST, max_tokens=4))
    assert isinstance(done, Completion)
    assert done.finish_reason == "length"


@pytest.mark.parametrize("model", TEXT_MODELS)
def test_call_says_greedily_and_stops_where_told(triton: ServedTriton, model: str) -> None:
    done = answer(triton, model, ask(LIST, temperature=0, stop=("2.",), top_k=5))
    assert isinstance(done, Completion)
    assert "2." not in done.text


def test_call_carries_text_of_any_language_and_nul(triton: ServedTriton) -> None:
    question = "Rewrite this question, clearer: <<<¿Por qué el cielo es azul? 为什么 🙂>>>"
    done = answer(triton, "ensemble", ask(question))
    assert isinstance(done, Completion)
    assert isinstance(answer(triton, "ensemble", ask("a\x00b\x00")), Completion)


def test_address_without_a_model_means_the_roles_default(triton: ServedTriton) -> None:
    assert [facts(triton, "", role).served_model for role in ("instruct", "reward", "embedding")] == ["ensemble", "reward", "embedding"]


def test_reward_is_graded_by_attribute(triton: ServedTriton) -> None:
    assert facts(triton, "reward", "reward").attributes == ATTRIBUTES
    done = answer(triton, "reward", grade(), "reward")
    assert isinstance(done, Reward)
    assert tuple(done.attributes) == ATTRIBUTES
    assert not done.exceeded


def test_reward_says_when_the_conversation_was_too_long(triton: ServedTriton) -> None:
    long = a_card("reward").reward_request(as_messages(("user", "Why?"), ("assistant", "Because it is so. " * 4000)))
    done = answer(triton, "reward", long, "reward")
    assert isinstance(done, Reward)
    assert done.exceeded


def test_embedding_is_a_vector(triton: ServedTriton) -> None:
    done = answer(triton, "embedding", embed(), "embedding")
    assert isinstance(done, Embedding)
    assert len(done.vector) > 8


def test_texts_in_one_call_have_the_vectors_that_they_have_by_themselves(triton: ServedTriton) -> None:
    texts = [embed(text) for text in ("Rivers carry sand.", "Rent is due on Friday.", "")]
    done = answer(triton, "embedding", EmbedBatch(tuple(texts)), "embedding")
    assert isinstance(done, Embeddings)
    assert list(done.vectors) == [answer(triton, "embedding", one, "embedding") for one in texts]
    assert facts(triton, "embedding", "embedding").batch == 32


def test_inspect_names_an_unknown_model(triton: ServedTriton) -> None:
    with pytest.raises(EngineError, match="nemotron") as caught:
        facts(triton, "nemotron")
    assert caught.value.fault is EngineFault.UNKNOWN_MODEL


def test_inspect_refuses_tls_against_a_plain_server(triton: ServedTriton) -> None:
    async def run() -> None:
        engine = open_engine(Address("triton", "127.0.0.1", triton.grpc_port, True, "/ensemble"), a_card(), some_settings())
        try:
            await engine.inspect()
        finally:
            await engine.close()

    with pytest.raises(EngineError) as caught:
        asyncio.run(run())
    assert caught.value.fault is EngineFault.REFUSED


@pytest.mark.parametrize("model", TEXT_MODELS)
def test_many_calls_at_once_each_get_their_own_answer(triton: ServedTriton, model: str) -> None:
    requests = [ask(f"What is {number} + 1?", seed=number) for number in range(64)]

    async def steps(engine: Engine) -> list[Answer]:
        return list(await asyncio.gather(*(engine.call(request, Deadlines(total_s=60)) for request in requests)))

    at_once = with_engine(triton, model, steps)
    assert len({done.text for done in at_once}) > 1
    assert at_once[17] == answer(triton, model, requests[17])


def test_open_engine_knows_no_other_wire() -> None:
    with pytest.raises(SettingsError, match="carrier-pigeon"):
        open_engine(Address("carrier-pigeon", "127.0.0.1", 1, False, ""), a_card(), some_settings())


def test_sampling_beyond_the_dialect_is_not_sent(triton: ServedTriton) -> None:
    request = a_card().generate_request(as_messages(("user", LIST)), Sampling(repetition_penalty=1.3), 3)
    assert isinstance(answer(triton, "tensorrt_llm", request), Completion)


@pytest.mark.parametrize("model", TEXT_MODELS)
def test_an_empty_user_turn_is_completed_as_it_stands(triton: ServedTriton, model: str) -> None:
    done = answer(triton, model, a_card().user_turn_request("", Sampling(max_tokens=200), 5))
    assert isinstance(done, Completion)
    assert done.text.strip()
    assert "<extra_id" not in done.text
    assert done.finish_reason == "stop"
