"""The Triton adapter against a server that misbehaves as told: forms and faults that the embedded server can't be brought to."""

import asyncio
import math
import struct
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from infra.engines import open_engine
from infra.settings import Address, Settings
from schemas.engine import Answer, Completion, Deadlines, Engine, EngineFacts, Request, Reward
from schemas.errors import EngineError, EngineFault
from schemas.model_card import ModelCard, load_card
from tests.infra.engines.builders import a_card, ask, closed_port, grade, make_certificate, silent_port, some_settings
from tests.infra.engines.http_stand_in import answering
from tests.infra.engines.http_stand_in import serve as serve_http
from tests.infra.engines.triton_stand_in import ENSEMBLE_INPUTS, Model, Respond, answers_with, fails, never, reply, says, sent, serve

KEY = "planted-secret-key"


def with_engine(model: Model, steps: Callable[[Engine], Awaitable[Any]], *, card: ModelCard | None = None, settings: Settings | None = None) -> Any:
    """Serve a model, open its engine, and do something with it."""

    async def run() -> Any:
        async with serve(model) as address:
            engine = open_engine(address, card or a_card(), settings or some_settings())
            try:
                return await steps(engine)
            finally:
                await engine.close()

    return asyncio.run(run())


def answer(model: Model, request: Request, *, card: ModelCard | None = None) -> Answer:
    return with_engine(model, lambda engine: engine.call(request, Deadlines(total_s=5.0)), card=card)  # type: ignore[no-any-return]


def refusal(model: Model, request: Request, *, card: ModelCard | None = None, seconds: float = 5.0) -> EngineError:
    with pytest.raises(EngineError) as caught:
        with_engine(model, lambda engine: engine.call(request, Deadlines(total_s=seconds)), card=card)
    return caught.value


def inspect(model: Model, card: ModelCard | None = None) -> EngineFacts:
    return with_engine(model, lambda engine: engine.inspect(), card=card)  # type: ignore[no-any-return]


def inspect_at(address: Address, settings: Settings | None = None) -> EngineFacts:
    async def run() -> EngineFacts:
        engine = open_engine(address, a_card(), settings or some_settings())
        try:
            return await engine.inspect()
        finally:
            await engine.close()

    return asyncio.run(run())


def numbers(raw: bytes, form: str) -> list[Any]:
    return list(struct.unpack(f"<{len(raw) // struct.calcsize(form)}{form}", raw))


def test_engine_path_sends_declared_inputs_only_in_their_ranks() -> None:
    model = Model(says("Four."))
    answer(model, ask(repetition_penalty=1.5, top_k=3))
    given = sent(model.requests[0])
    assert given.keys() == ENSEMBLE_INPUTS.keys()
    assert {name: shape for name, (shape, _) in given.items()} == {name: [1, 1] for name in ENSEMBLE_INPUTS}
    assert numbers(given["seed"][1], "Q") == [7]
    assert model.requests[0].id == ask(repetition_penalty=1.5, top_k=3).key


def test_engine_path_is_greedy_by_top_k() -> None:
    model = Model(says("Four."))
    answer(model, ask(temperature=0))
    given = sent(model.requests[0])
    assert numbers(given["top_k"][1], "i") == [1]
    assert "temperature" not in given


def test_engine_path_calls_the_seed_as_old_servers_do() -> None:
    inputs = {("random_seed" if name == "seed" else name): kind for name, kind in ENSEMBLE_INPUTS.items()}
    model = Model(says("Four."), inputs=inputs)
    answer(model, ask())
    assert numbers(sent(model.requests[0])["random_seed"][1], "Q") == [7]


def test_engine_path_options_are_what_the_server_declares() -> None:
    facts = inspect(Model(says(""), inputs={"text_input": "BYTES", "max_tokens": "INT32", "temperature": "FP32"}))
    assert (facts.kind, facts.options, facts.tells) == ("triton/ensemble", frozenset({"max_tokens", "temperature", "raw"}), frozenset())


def test_engine_path_cuts_an_echo_that_it_can_not_switch_off() -> None:
    request = ask()
    outputs = {"text_output": "BYTES", "num_input_tokens": "INT32", "num_output_tokens": "INT32"}
    done = answer(Model(says(f"{request.prompt}Four.", num_input_tokens=20, num_output_tokens=22), outputs=outputs), request)
    assert isinstance(done, Completion)
    assert (done.text, done.prompt_tokens, done.completion_tokens, done.tokens_inferred) == ("Four.", 20, 2, False)


def test_engine_path_adds_up_the_chunks_of_a_stream() -> None:
    done = answer(Model(says("It ", "is ", "four.<extra_id_1>", num_output_tokens=2, num_input_tokens=9), decoupled=True), ask())
    assert isinstance(done, Completion)
    assert (done.text, done.completion_tokens, done.prompt_tokens) == ("It is four.", 6, 9)


def test_llmapi_takes_the_last_of_growing_chunks() -> None:
    model = Model(
        says("It ", "It is ", "It is four.", finish_reason="length"),
        inputs={"text_input": "BYTES", "sampling_param_max_tokens": "INT32", "return_finish_reason": "BOOL", "streaming": "BOOL"},
        outputs={"text_output": "BYTES", "finish_reason": "BYTES"},
        max_batch_size=0,
        decoupled=True,
    )
    done = answer(model, ask())
    assert isinstance(done, Completion)
    assert (done.text, done.finish_reason, done.finish_reason_inferred) == ("It is four.", "length", False)
    assert sent(model.requests[0])["sampling_param_max_tokens"][0] == [1]
    assert sent(model.requests[0])["streaming"][1] == b"\x00"


def reward_model(respond: Respond, **given: Any) -> Model:
    return Model(respond, inputs={"sentences": "BYTES"}, outputs={"rewards": "FP32"}, **given)


def test_reward_reads_the_nine_numbers_of_an_aligner_server() -> None:
    card = load_card("nemotron-4-340b-reward")
    done = answer(reward_model(answers_with(reply(rewards=[9.0, 9.0, 9.0, 9.0, 1.0, 2.0, 3.0, 4.0, 0.5]))), grade(card), card=card)
    assert isinstance(done, Reward)
    assert list(done.attributes.values()) == [1.0, 2.0, 3.0, 4.0, 0.5]
    assert not done.exceeded


def test_reward_says_when_the_conversation_was_cut() -> None:
    done = answer(reward_model(answers_with(reply(rewards=[1.0] * 5, exceeded=1))), grade(), card=a_card("reward"))
    assert isinstance(done, Reward)
    assert done.exceeded


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"rewards": [math.nan] * 5}, EngineFault.UNGRADED),
        ({"rewards": [math.inf] * 5}, EngineFault.UNGRADED),
        ({"rewards": [1.0] * 3}, EngineFault.GARBLED),
        ({"other": [1.0]}, EngineFault.GARBLED),
    ],
    ids=["nan", "inf", "three", "missing"],
)
def test_reward_refuses_numbers_that_are_none(given: dict[str, Any], fault: EngineFault) -> None:
    assert refusal(reward_model(answers_with(reply(**given))), grade(), card=a_card("reward")).fault is fault


@pytest.mark.parametrize("count", [9, 5, 1])
def test_reward_model_of_our_contract_gives_nine_five_or_one(count: int) -> None:
    card = load_card("llama-3.1-nemotron-70b-reward" if count == 1 else "nemotron-4-340b-reward")
    numbers = [float(number) for number in range(count)]
    done = answer(reward_model(answers_with(reply(rewards=numbers))), grade(card), card=card)
    assert isinstance(done, Reward)
    assert list(done.attributes.values()) == numbers[-len(done.attributes) :]


def text_engine(respond: Respond, **given: Any) -> Model:
    inputs = ENSEMBLE_INPUTS | {"return_generation_logits": "BOOL", "exclude_input_in_output": "BOOL", "stream": "BOOL"}
    return Model(respond, inputs=inputs, outputs={"text_output": "BYTES", "generation_logits": "FP32"}, **given)


@pytest.mark.parametrize("decoupled", [False, True], ids=["ensemble", "bls"])
def test_reward_is_the_logit_that_the_card_names(decoupled: bool) -> None:
    card = load_card("llama-3.1-nemotron-70b-reward")
    model = text_engine(answers_with(reply(text_output="#", generation_logits=[[[[-3.28, 9.0, 4.0]]]])), decoupled=decoupled)
    done = answer(model, grade(card), card=card)
    assert isinstance(done, Reward)
    assert done.attributes == {"reward": pytest.approx(-3.28)}
    asked = sent(model.requests[0])
    assert asked["max_tokens"][1] == struct.pack("<i", 1)
    assert asked["return_generation_logits"][1] == asked["exclude_input_in_output"][1] == b"\x01"
    assert asked["text_input"][1][4:].decode().endswith("It is 4.<|eot_id|>")
    assert inspect(model, card).kind == "triton/logits"


def test_logit_index_is_the_cards() -> None:
    card = load_card("llama-3.1-nemotron-70b-reward")
    assert card.reward is not None
    third = card.model_copy(update={"reward": card.reward.model_copy(update={"logit": 2})})
    model = text_engine(answers_with(reply(text_output="#", generation_logits=[[[1.0, 9.0, 4.5], [7.0, 7.0, 7.0]]])))
    done = answer(model, grade(third), card=third)
    assert isinstance(done, Reward)
    assert done.attributes == {"reward": 4.5}
    assert "gather_generation_logits" in str(refusal(text_engine(answers_with(reply(generation_logits=[[[0.5]]]))), grade(third), card=third))


def test_reward_model_of_other_attributes_is_refused_at_inspection() -> None:
    with pytest.raises(EngineError, match="is it another model") as caught:
        inspect(reward_model(never, parameters={"attributes": "toxicity"}), a_card("reward"))
    assert caught.value.fault is EngineFault.UNSUPPORTED


def test_text_model_in_a_reward_role_is_refused_at_inspection() -> None:
    with pytest.raises(EngineError, match="a reward model takes `sentences`"):
        inspect(Model(never), a_card("reward"))


def test_model_of_no_known_dialect_is_refused_at_inspection() -> None:
    with pytest.raises(EngineError, match="no text model of a dialect known here"):
        inspect(Model(never, inputs={"image": "FP32"}))


@pytest.mark.parametrize("decoupled", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize(
    ("code", "details", "fault"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size", EngineFault.OVERLOADED),
        (grpc.StatusCode.UNAVAILABLE, "Stub process 'model_0' is not healthy.", EngineFault.UNHEALTHY),
        (grpc.StatusCode.INVALID_ARGUMENT, "unexpected inference input 'bogus'", EngineFault.BAD_REQUEST),
        (grpc.StatusCode.UNAUTHENTICATED, "no key", EngineFault.REFUSED),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_call_names_the_fault_of_a_failure(code: grpc.StatusCode, details: str, fault: EngineFault, decoupled: bool) -> None:
    error = refusal(Model(fails(code, details), decoupled=decoupled), ask())
    assert error.fault is fault
    assert details in str(error)


@pytest.mark.parametrize("decoupled", [False, True], ids=["unary", "stream"])
def test_call_has_a_deadline(decoupled: bool) -> None:
    model = Model(never, decoupled=decoupled)
    assert refusal(model, ask(), seconds=0.3).fault is EngineFault.DEADLINE


@pytest.mark.parametrize("decoupled", [False, True], ids=["unary", "stream"])
def test_call_that_is_cancelled_is_cancelled_at_the_server(decoupled: bool) -> None:
    model = Model(never, decoupled=decoupled)

    async def steps(engine: Engine) -> None:
        task = asyncio.create_task(engine.call(ask(), Deadlines()))
        while not model.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(model.cancelled.wait(), 5)

    with_engine(model, steps)


@pytest.mark.parametrize(
    "respond",
    [answers_with(reply(text_output=b"\xff\xfe broken")), answers_with(reply(other="Four.")), answers_with(reply(text_output="4", num_output_tokens="many"))],
    ids=["not UTF-8", "no text", "a count in words"],
)
def test_call_refuses_a_garbled_answer(respond: Respond) -> None:
    assert refusal(Model(respond), ask()).fault is EngineFault.GARBLED


def test_call_refuses_a_buffer_that_does_not_fit_its_shape() -> None:
    response = reply(text_output="Four.")
    response.raw_output_contents[0] = b"\x40\x00\x00\x00Four."
    assert refusal(Model(answers_with(response)), ask()).fault is EngineFault.GARBLED


def test_call_refuses_a_stream_without_an_answer() -> None:
    async def nothing(request: Any, context: Any) -> Any:
        return []

    assert refusal(Model(nothing, decoupled=True), ask()).fault is EngineFault.GARBLED


def test_inspect_refuses_a_server_that_is_not_live() -> None:
    with pytest.raises(EngineError, match="not live") as caught:
        inspect(Model(never, live=False))
    assert caught.value.fault is EngineFault.UNHEALTHY


def test_inspect_finds_a_closed_port_unreachable() -> None:
    with pytest.raises(EngineError, match="Connection refused") as caught:
        inspect_at(closed_port("triton"))
    assert caught.value.fault is EngineFault.UNREACHABLE


def test_inspect_gives_up_on_a_server_that_accepts_and_never_answers() -> None:
    with silent_port() as port, pytest.raises(EngineError) as caught:
        inspect_at(Address("triton", "127.0.0.1", port, False, "/model"), some_settings(connect_s=0.5))
    assert caught.value.fault in (EngineFault.DEADLINE, EngineFault.UNREACHABLE)


def test_inspect_over_tls_trusts_the_given_authority_only(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])

    async def run(settings: Settings) -> EngineFacts:
        async with serve(Model(says("Four.")), credentials) as address:
            engine = open_engine(address, a_card(), settings)
            try:
                return await engine.inspect()
            finally:
                await engine.close()

    assert asyncio.run(run(some_settings(tls_ca=certificate))).kind == "triton/ensemble"
    with pytest.raises(EngineError) as caught:
        asyncio.run(run(some_settings()))
    assert caught.value.fault is EngineFault.REFUSED


def test_inspect_over_mutual_tls_shows_its_certificate(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    pair = [(key.read_bytes(), certificate.read_bytes())]
    credentials = grpc.ssl_server_credentials(pair, root_certificates=certificate.read_bytes(), require_client_auth=True)

    async def run() -> EngineFacts:
        async with serve(Model(says("Four.")), credentials) as address:
            engine = open_engine(address, a_card(), some_settings(tls_ca=certificate, tls_cert=certificate, tls_key=key))
            try:
                return await engine.inspect()
            finally:
                await engine.close()

    assert asyncio.run(run()).served_model == "model"


def test_inspect_refuses_tls_against_a_plain_server() -> None:
    async def run() -> None:
        async with serve(Model(never)) as address:
            engine = open_engine(Address("triton", address.host, address.port, True, "/model"), a_card(), some_settings())
            try:
                await engine.inspect()
            finally:
                await engine.close()

    with pytest.raises(EngineError, match="grpcs") as caught:
        asyncio.run(run())
    assert caught.value.fault is EngineFault.REFUSED


def test_inspect_refuses_plain_words_against_tls(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])

    async def run() -> None:
        async with serve(Model(never), credentials) as address:
            engine = open_engine(Address("triton", "127.0.0.1", address.port, False, "/model"), a_card(), some_settings())
            try:
                await engine.inspect()
            finally:
                await engine.close()

    with pytest.raises(EngineError, match="does it want grpc") as caught:
        asyncio.run(run())
    assert caught.value.fault is EngineFault.UNREACHABLE


def test_inspect_is_clear_about_a_web_server() -> None:
    async def run() -> None:
        async with serve_http(answering({})) as address:
            engine = open_engine(Address("triton", address.host, address.port, False, "/model"), a_card(), some_settings())
            try:
                await engine.inspect()
            finally:
                await engine.close()

    with pytest.raises(EngineError, match=r"^grpc://127.0.0.1:\d+/model: "):
        asyncio.run(run())


def test_key_travels_as_a_bearer_token() -> None:
    model = Model(says("Four."))
    with_engine(model, lambda engine: engine.call(ask(), Deadlines()), settings=some_settings(api_key=KEY))
    assert [one.get("authorization") for one in model.headers] == [f"Bearer {KEY}"] * 2


def test_key_never_shows_even_if_the_server_quotes_it() -> None:
    model = Model(fails(grpc.StatusCode.UNAUTHENTICATED, f"wrong key {KEY}"))

    async def steps(engine: Engine) -> None:
        assert KEY not in repr(engine) + repr(vars(engine)["_access"])
        await engine.call(ask(), Deadlines())

    with pytest.raises(EngineError) as caught:
        with_engine(model, steps, settings=some_settings(api_key=KEY))
    assert caught.value.fault is EngineFault.REFUSED
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert "***" in str(caught.value)


def test_key_travels_in_the_header_of_the_setting() -> None:
    model = Model(says("Four."))
    with_engine(model, lambda engine: engine.call(ask(), Deadlines()), settings=some_settings(api_key=KEY, api_header="x-api-key"))
    assert [(one.get("x-api-key"), one.get("authorization")) for one in model.headers] == [(KEY, None)] * 2
