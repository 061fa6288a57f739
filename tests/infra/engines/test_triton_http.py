"""The HTTP wire to Triton: the genuine server, and one that answers as NeMo-Aligner's does."""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from infra.engines import open_engine
from infra.engines.triton_http import read_outputs
from infra.settings import Address, parse_address
from infra.triton.server import ServedTriton
from schemas.engine import Deadlines, Engine, EngineFacts, Reward
from schemas.errors import EngineError, EngineFault
from schemas.model_card import ModelCard, load_card
from schemas.records import ATTRIBUTES
from tests.infra.engines.builders import a_card, grade, some_settings
from tests.infra.engines.http_stand_in import Asked, Handle, Reply, serve

ALIGNER = load_card("nemotron-4-340b-reward")
METADATA = {
    "name": "reward_model",
    "inputs": [{"name": "sentences", "datatype": "BYTES", "shape": [-1, -1]}],
    "outputs": [{"name": "rewards", "datatype": "FP32", "shape": [-1, 1]}],
}


def aligner(rewards: list[float], *, log: list[Asked] | None = None, exceeded: bool | None = None) -> Handle:
    """Answer as PyTriton serves NeMo-Aligner's model: JSON, then the tensors' bytes."""
    metadata = METADATA | ({"outputs": [*METADATA["outputs"], {"name": "exceeded", "datatype": "BOOL", "shape": [-1, 1]}]} if exceeded is not None else {})

    async def handle(asked: Asked) -> Reply:
        if log is not None:
            log.append(asked)
        if asked.path.endswith("/infer"):
            return infer_reply(rewards, exceeded)
        if asked.path.endswith("/config"):
            return Reply(body={"name": "reward_model", "max_batch_size": 4})
        return Reply(body=metadata if "models" in asked.path else {"name": "triton", "version": "2.51.0"})

    return handle


def infer_reply(rewards: list[float], exceeded: bool | None) -> Reply:
    numbers = struct.pack(f"<{len(rewards)}f", *rewards)
    outputs: list[dict[str, Any]] = [
        {"name": "rewards", "datatype": "FP32", "shape": [1, len(rewards)], "parameters": {"binary_data_size": len(numbers)}},
    ]
    if exceeded is not None:
        outputs.append({"name": "exceeded", "datatype": "BOOL", "shape": [1, 1], "data": [exceeded]})
    head = json.dumps({"model_name": "reward_model", "outputs": outputs}).encode()
    return Reply(body=head + numbers, headers={"Inference-Header-Content-Length": str(len(head))})


async def use(address: Address, card: ModelCard, steps: Callable[[Engine], Awaitable[Any]]) -> Any:
    engine = open_engine(address, card, some_settings())
    try:
        return await steps(engine)
    finally:
        await engine.close()


def with_stand_in(handle: Handle, steps: Callable[[Engine], Awaitable[Any]], card: ModelCard = ALIGNER) -> Any:
    async def run() -> Any:
        async with serve(handle) as there:
            return await use(Address("triton_http", there.host, there.port, False, "/reward_model"), card, steps)

    return asyncio.run(run())


def graded(handle: Handle, card: ModelCard = ALIGNER) -> Reward:
    return with_stand_in(handle, lambda engine: engine.call(grade(card), Deadlines(total_s=5.0)), card)  # type: ignore[no-any-return]


def inspected(handle: Handle, card: ModelCard = ALIGNER) -> EngineFacts:
    return with_stand_in(handle, lambda engine: engine.inspect(), card)  # type: ignore[no-any-return]


def test_address_of_a_triton_over_http_is_read_and_written() -> None:
    address = parse_address("triton+http://aligner:5555/reward_model")
    assert (address.wire, address.port, address.path, str(address)) == ("triton_http", 5555, "/reward_model", "triton+http://aligner:5555/reward_model")
    assert parse_address("triton+http://aligner").port == 8000
    assert parse_address("triton+https://aligner").tls


@pytest.mark.triton
def test_reward_of_the_genuine_server_is_the_same_over_http_and_grpc(triton: ServedTriton) -> None:
    async def ask(wire: str, port: int) -> tuple[EngineFacts, Any]:
        async def steps(engine: Engine) -> Any:
            return await engine.inspect(), await engine.call(grade(), Deadlines(total_s=30))

        return await use(Address(wire, "127.0.0.1", port, False, "/reward"), a_card("reward"), steps)  # type: ignore[no-any-return]

    facts, over_http = asyncio.run(ask("triton_http", triton.http_port))
    _, over_grpc = asyncio.run(ask("triton", triton.grpc_port))
    assert over_http == over_grpc
    assert (facts.kind, facts.attributes, facts.tells) == ("triton/reward-http", ATTRIBUTES, frozenset({"exceeded"}))
    assert facts.server.startswith("triton 2.")


@pytest.mark.parametrize("exceeded", [None, False, True])
def test_aligner_server_is_read_with_and_without_its_exceeded(exceeded: bool | None) -> None:
    log: list[Asked] = []
    done = graded(aligner([9.0, 9.0, 9.0, 9.0, 1.0, 2.0, 3.0, 4.0, 0.5], log=log, exceeded=exceeded))
    assert list(done.attributes.values()) == [1.0, 2.0, 3.0, 4.0, 0.5]
    assert done.exceeded is bool(exceeded)
    assert log[-1].path == "/v2/models/reward_model/infer"
    assert log[-1].body["inputs"][0]["shape"] == [1, 1]
    assert log[-1].body["inputs"][0]["data"][0].endswith("<extra_id_2>")


def test_aligner_server_says_at_inspection_whether_it_tells_of_cuts() -> None:
    assert inspected(aligner([], exceeded=None)).tells == frozenset()
    assert inspected(aligner([], exceeded=True)).tells == {"exceeded"}


def test_merged_attributes_of_an_aligner_server_are_one_number() -> None:
    assert graded(aligner([-3.28]), load_card("llama-3.1-nemotron-70b-reward")).attributes == {"reward": pytest.approx(-3.28)}


def test_nan_survives_the_wire_and_is_no_grade() -> None:
    with pytest.raises(EngineError, match="gave nan for coherence") as caught:
        graded(aligner([1.0, 2.0, float("nan"), 3.0, 1.0]))
    assert caught.value.fault is EngineFault.UNGRADED


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (Reply(429, "queue is full"), EngineFault.OVERLOADED),
        (Reply(400, {"error": "input too long"}), EngineFault.BAD_REQUEST),
        (Reply(body=b"<html>"), EngineFault.GARBLED),
        (Reply(body={"outputs": [{"name": "other", "datatype": "FP32", "data": [1.0]}]}), EngineFault.GARBLED),
        (Reply(body={"outputs": [{"name": "rewards", "datatype": "FP32", "data": ["many"]}]}), EngineFault.GARBLED),
    ],
    ids=["overloaded", "refused", "a page", "another tensor", "no numbers"],
)
def test_what_is_no_grade_is_named(reply: Reply, fault: EngineFault) -> None:
    async def handle(asked: Asked) -> Reply:
        return reply if asked.path.endswith("/infer") else await aligner([])(asked)

    with pytest.raises(EngineError) as caught:
        graded(handle)
    assert caught.value.fault is fault


def test_outputs_are_read_from_plain_json_too() -> None:
    body = {"outputs": [{"name": "rewards", "datatype": "FP32", "shape": [1, 2], "data": [1.5, -2.0]}]}
    assert read_outputs(json.dumps(body).encode(), None)["rewards"].tolist() == [1.5, -2.0]


def test_another_role_is_refused_over_http() -> None:
    with pytest.raises(EngineError, match="for reward models only") as caught:
        open_engine(parse_address("triton+http://host:8000/ensemble"), a_card(), some_settings())
    assert caught.value.fault is EngineFault.UNSUPPORTED
