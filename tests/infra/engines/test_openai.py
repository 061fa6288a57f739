"""The OpenAI adapter against a real HTTP server that behaves as told."""

import asyncio
import ssl
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from infra.engines import open_engine
from infra.settings import Address, Settings
from schemas.engine import Answer, Completion, Deadlines, EmbedBatch, Embedding, Embeddings, Engine, EngineFacts, Request, Reward, Sampling
from schemas.errors import EngineError, EngineFault, SettingsError
from schemas.model_card import ModelCard, load_card
from schemas.records import ATTRIBUTES
from tests.infra.engines.builders import a_card, ask, closed_port, embed, grade, make_certificate, silent_port, some_settings
from tests.infra.engines.http_stand_in import Asked, Handle, Reply, answering, chat, serve

KEY = "planted-secret-key"
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


def with_engine(
    handle: Handle, steps: Callable[[Engine], Awaitable[Any]], *, card: ModelCard | None = None, settings: Settings | None = None, served_model: str = ""
) -> Any:
    """Serve, open an engine on it, and do something with it."""

    async def run() -> Any:
        async with serve(handle, served_model=served_model) as address:
            return await _use(address, steps, card, settings)

    return asyncio.run(run())


async def _use(address: Address, steps: Callable[[Engine], Awaitable[Any]], card: ModelCard | None, settings: Settings | None) -> Any:
    engine = open_engine(address, card or a_card(), settings or some_settings())
    try:
        return await steps(engine)
    finally:
        await engine.close()


def answer(handle: Handle, request: Request, *, card: ModelCard | None = None) -> Answer:
    return with_engine(handle, lambda engine: engine.call(request, Deadlines(total_s=5.0)), card=card)  # type: ignore[no-any-return]


def refusal(handle: Handle, request: Request, *, card: ModelCard | None = None, seconds: float = 5.0) -> EngineError:
    with pytest.raises(EngineError) as caught:
        with_engine(handle, lambda engine: engine.call(request, Deadlines(total_s=seconds)), card=card)
    return caught.value


def inspect_at(address: Address, settings: Settings | None = None) -> EngineFacts:
    return asyncio.run(_use(address, lambda engine: engine.inspect(), None, settings))  # type: ignore[no-any-return]


def models(*names: str) -> dict[str, Any]:
    return {"data": [{"id": name} for name in names]}


def test_chat_sends_standard_fields_only() -> None:
    log: list[Asked] = []
    done = answer(answering(chat("Four.", usage=USAGE), log=log), ask())
    assert done == Completion("Four.", "stop", False, 12, 3, False)
    assert log[1].path == "/v1/chat/completions"
    assert log[1].body == {
        "model": "served",
        "messages": [{"role": "user", "content": "What is 2 + 2?"}],
        "max_tokens": 1024,
        "temperature": 1.0,
        "top_p": 1.0,
        "stop": ["<extra_id_1>"],
        "seed": 7,
    }


def test_chat_sends_extensions_where_they_are_set() -> None:
    log: list[Asked] = []
    answer(answering(chat("{}", usage=USAGE), log=log), ask(top_k=3, repetition_penalty=1.1, json_schema='{"type":"object"}'))
    assert (log[1].body["top_k"], log[1].body["repetition_penalty"]) == (3, 1.1)
    assert log[1].body["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_chat_keeps_text_of_any_language() -> None:
    log: list[Asked] = []
    done = answer(answering(chat("四。🙂", usage=USAGE), log=log), ask("二加二是多少?\u2028"))
    assert isinstance(done, Completion)
    assert (done.text, log[1].body["messages"][0]["content"]) == ("四。🙂", "二加二是多少?\u2028")


def test_raw_prompt_goes_to_completions() -> None:
    log: list[Asked] = []
    card = load_card("nemotron-4-340b-base")
    body = {"choices": [{"text": " Paris", "finish_reason": "length"}], "usage": USAGE}
    done = answer(answering(body, log=log), card.continue_request("The capital of France is", Sampling(), 1), card=card)
    assert isinstance(done, Completion)
    assert (done.text, done.finish_reason) == (" Paris", "length")
    assert (log[1].path, log[1].body["prompt"]) == ("/v1/completions", "The capital of France is")


def test_missing_reason_and_usage_are_inferred_and_marked() -> None:
    done = answer(answering(chat("Four.", None)), ask())
    assert isinstance(done, Completion)
    assert (done.finish_reason, done.finish_reason_inferred, done.tokens_inferred) == ("stop", True, True)


def test_reward_is_read_from_the_content() -> None:
    log: list[Asked] = []
    content = ",".join(f"{name}:{index}.5" for index, name in enumerate(ATTRIBUTES))
    done = answer(answering(chat(content, "length"), log=log), grade(), card=a_card("reward"))
    assert isinstance(done, Reward)
    assert list(done.attributes.values()) == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert log[1].body.keys() == {"model", "messages"}


def test_reward_is_read_from_logprobs_where_the_content_is_none() -> None:
    body = chat("")
    body["choices"][0]["logprobs"] = {"content": [{"token": name, "logprob": 1.25} for name in ATTRIBUTES]}
    done = answer(answering(body), grade(), card=a_card("reward"))
    assert isinstance(done, Reward)
    assert set(done.attributes.values()) == {1.25}


def test_reward_of_one_number_is_read() -> None:
    card = load_card("llama-3.1-nemotron-70b-reward")
    done = answer(answering(chat("reward:-7.3")), grade(card), card=card)
    assert isinstance(done, Reward)
    assert done.attributes == {"reward": -7.3}


def test_reward_model_that_chats_is_garbled() -> None:
    assert refusal(answering(chat("What a nice answer!")), grade(), card=a_card("reward")).fault is EngineFault.GARBLED


def test_embedding_is_read() -> None:
    log: list[Asked] = []
    done = answer(answering({"data": [{"embedding": [0.5, -1, 2.25]}]}, log=log), embed(), card=a_card("embedding"))
    assert done == Embedding((0.5, -1.0, 2.25))
    assert log[1].path == "/v1/embeddings"


def test_texts_of_one_call_are_told_apart_by_their_index() -> None:
    log: list[Asked] = []
    body = {"data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [0.1]}]}
    done = answer(answering(body, log=log), EmbedBatch((embed("a"), embed("b"))), card=a_card("embedding"))
    assert isinstance(done, Embeddings)
    assert [one.vector for one in done.vectors] == [(pytest.approx(0.1),), (2.0,)]
    assert log[1].body == {"model": "served", "input": ["a", "b"]}


@pytest.mark.parametrize("numbers", [[0], [0, 0], [0, 2], [None, None], [0, 1, 2]], ids=str)
def test_other_vectors_than_texts_are_garbled(numbers: list[Any]) -> None:
    body = {"data": [{"index": number, "embedding": [1.0]} for number in numbers]}
    assert refusal(answering(body), EmbedBatch((embed("a"), embed("b"))), card=a_card("embedding")).fault is EngineFault.GARBLED


@pytest.mark.parametrize(
    "body",
    [
        b"<html>bad gateway</html>",
        b"\xff\xfe",
        b'{"choices": [{"mess',
        {},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"message": None}]},
        chat(None),
        7,
        None,
    ],
    ids=str,
)
def test_garbage_is_garbled(body: Any) -> None:
    assert refusal(answering(body), ask()).fault is EngineFault.GARBLED


@pytest.mark.parametrize("vector", [None, [], ["a"], [float("nan")]], ids=str)
def test_vector_of_anything_but_finite_numbers_is_garbled(vector: Any) -> None:
    assert refusal(answering({"data": [{"embedding": vector}]}), embed(), card=a_card("embedding")).fault is EngineFault.GARBLED


@pytest.mark.parametrize(
    ("status", "fault"), [(400, EngineFault.BAD_REQUEST), (401, EngineFault.REFUSED), (404, EngineFault.UNKNOWN_MODEL), (500, EngineFault.UNHEALTHY)]
)
def test_status_becomes_a_fault_with_what_the_server_said(status: int, fault: EngineFault) -> None:
    error = refusal(answering({"error": {"message": "the reason"}}, status=status), ask())
    assert error.fault is fault
    assert f"HTTP {status}" in str(error)
    assert "the reason" in str(error)


@pytest.mark.parametrize("status", [429, 503])
def test_overload_carries_what_the_server_asked_for(status: int) -> None:
    error = refusal(answering({}, status=status, headers={"retry-after": "17"}), ask())
    assert (error.fault, error.retry_after_s) == (EngineFault.OVERLOADED, 17.0)


def test_slow_answer_meets_its_deadline() -> None:
    async def handle(asked: Asked) -> Reply:
        if not asked.path.endswith("/models"):
            await asyncio.Event().wait()
        return Reply(body=models("served"))

    assert refusal(handle, ask(), seconds=0.3).fault is EngineFault.DEADLINE


def test_hang_up_is_unreachable() -> None:
    async def handle(asked: Asked) -> Reply:
        if not asked.path.endswith("/models"):
            raise ConnectionResetError
        return Reply(body=models("served"))

    assert refusal(handle, ask()).fault is EngineFault.UNREACHABLE


def inspect(listed: Any, served_model: str = "", card: ModelCard | None = None) -> EngineFacts:
    return with_engine(answering(None, models=listed), lambda engine: engine.inspect(), card=card, served_model=served_model)  # type: ignore[no-any-return]


def test_inspect_takes_the_only_model() -> None:
    facts = inspect(models("meta/llama"))
    assert (facts.served_model, facts.kind, facts.server) == ("meta/llama", "openai/chat", "stand-in")
    assert facts.options >= {"seed", "stop", "json_schema", "top_k"}
    assert "raw" not in facts.options


def test_inspect_takes_the_model_that_the_address_names() -> None:
    assert inspect(models("a", "b", "c"), "b").served_model == "b"


@pytest.mark.parametrize(("listed", "wanted"), [(("a", "b"), ""), (("a",), "z"), ((), "")])
def test_inspect_lists_the_models_if_it_can_not_choose(listed: tuple[str, ...], wanted: str) -> None:
    with pytest.raises(EngineError, match=", ".join(listed) or "none") as caught:
        inspect(models(*listed), wanted)
    assert caught.value.fault is EngineFault.UNKNOWN_MODEL


@pytest.mark.parametrize("listed", [{}, [], {"data": 3}], ids=str)
def test_inspect_refuses_a_server_of_another_kind(listed: Any) -> None:
    with pytest.raises(EngineError, match="OpenAI-compatible"):
        inspect(listed)


def test_inspect_names_a_reward_models_attributes() -> None:
    facts = inspect(models("reward"), card=a_card("reward"))
    assert (facts.kind, facts.attributes, facts.options) == ("openai/reward", ATTRIBUTES, frozenset())


def test_inspect_finds_a_closed_port_unreachable() -> None:
    with pytest.raises(EngineError, match="is the server up there") as caught:
        inspect_at(closed_port("openai"))
    assert caught.value.fault is EngineFault.UNREACHABLE


def test_inspect_gives_up_on_a_server_that_accepts_and_never_answers() -> None:
    with silent_port() as port, pytest.raises(EngineError) as caught:
        inspect_at(Address("openai", "127.0.0.1", port, False, "/v1"), some_settings(connect_s=0.3))
    assert caught.value.fault is EngineFault.DEADLINE


def tls_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    certificate, key = make_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


def test_inspect_over_tls_trusts_the_given_authority_only(tmp_path: Path) -> None:
    context, certificate = tls_context(tmp_path)

    async def run(settings: Settings) -> EngineFacts:
        async with serve(answering(None), tls=context) as address:
            return await _use(address, lambda engine: engine.inspect(), None, settings)  # type: ignore[no-any-return]

    assert asyncio.run(run(some_settings(tls_ca=certificate))).served_model == "served"
    with pytest.raises(EngineError, match="GRISTMILL_TLS_CA") as caught:
        asyncio.run(run(some_settings()))
    assert caught.value.fault is EngineFault.REFUSED


def test_inspect_refuses_tls_against_a_plain_server() -> None:
    async def run() -> None:
        # As web servers do, it answers the handshake in plain words.
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(5)
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await _use(Address("openai", "localhost", port, True, "/v1"), lambda engine: engine.inspect(), None, None)

    with pytest.raises(EngineError, match="whether the server wants https") as caught:
        asyncio.run(run())
    assert caught.value.fault is EngineFault.REFUSED


def test_slow_answer_over_tls_is_late_and_not_refused(tmp_path: Path) -> None:
    context, certificate = tls_context(tmp_path)

    async def handle(asked: Asked) -> Reply:
        if not asked.path.endswith("/models"):
            await asyncio.Event().wait()
        return Reply(body=models("served"))

    async def run() -> None:
        async with serve(handle, tls=context) as address:
            settings = some_settings(tls_ca=certificate)
            await _use(address, lambda engine: engine.call(ask(), Deadlines(total_s=0.3)), None, settings)

    with pytest.raises(EngineError) as caught:
        asyncio.run(run())
    assert caught.value.fault is EngineFault.DEADLINE


def test_inspect_is_clear_about_plain_words_against_tls(tmp_path: Path) -> None:
    context, _ = tls_context(tmp_path)

    async def run() -> None:
        async with serve(answering(None), tls=context) as address:
            await _use(Address("openai", "localhost", address.port, False, "/v1"), lambda engine: engine.inspect(), None, None)

    with pytest.raises(EngineError) as caught:
        asyncio.run(run())
    assert caught.value.fault in (EngineFault.UNREACHABLE, EngineFault.GARBLED)


def test_missing_authority_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GRISTMILL_TLS_CA"):
        inspect_at(Address("openai", "localhost", 9, True, "/v1"), some_settings(tls_ca=tmp_path / "absent.pem"))


def test_key_travels_as_a_bearer_token() -> None:
    log: list[Asked] = []
    with_engine(answering(chat("Four."), log=log), lambda engine: engine.call(ask(), Deadlines()), settings=some_settings(api_key=KEY))
    assert {asked.headers["authorization"] for asked in log} == {f"Bearer {KEY}"}


def test_key_never_shows_even_if_the_server_quotes_it() -> None:
    handle = answering({"error": f"Incorrect API key provided: {KEY}"}, status=401)

    async def steps(engine: Engine) -> None:
        assert KEY not in repr(engine) + repr(vars(vars(engine)["_line"])["_access"])
        await engine.call(ask(), Deadlines())

    with pytest.raises(EngineError) as caught:
        with_engine(handle, steps, settings=some_settings(api_key=KEY))
    assert caught.value.fault is EngineFault.REFUSED
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_environment_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert inspect(models("served")).served_model == "served"
