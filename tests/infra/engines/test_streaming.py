"""Answers that come piece by piece: put together as if they had come whole, each piece in its time."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.engines import open_engine
from infra.engines.openai_stream import join_chunks, read_events
from infra.engines.pacing import paced
from infra.settings import Address
from infra.triton.server import ServedTriton
from schemas.engine import Answer, Completion, Deadlines
from schemas.errors import EngineError, EngineFault
from tests.infra.engines.builders import a_card, ask, run_in_virtual_time, some_settings

PATIENT = Deadlines(total_s=30, first_s=20, between_s=20)


def chunk(text: str | None = None, reason: str | None = None, **rest: Any) -> str:
    return "data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text} if text is not None else {}, "finish_reason": reason}], **rest})


WHOLE = (
    ": a comment",
    chunk(""),
    chunk("Fo"),
    chunk("ur."),
    chunk(reason="stop"),
    'data: {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}',
    "data: [DONE]",
)


async def stream(*waits: float) -> AsyncIterator[int]:
    for number, seconds in enumerate(waits):
        await asyncio.sleep(seconds)
        yield number


def pace(waits: Sequence[float], deadlines: Deadlines) -> list[int]:
    async def collect() -> list[int]:
        return [piece async for piece in paced(stream(*waits), deadlines)]

    return run_in_virtual_time(collect())


def test_paced_passes_a_stream_on_that_keeps_its_limits() -> None:
    assert pace([9, 1, 1, 1], Deadlines(first_s=10, between_s=2)) == [0, 1, 2, 3]
    assert pace([500, 500], Deadlines()) == [0, 1]
    assert pace([], Deadlines(first_s=1)) == []


@pytest.mark.parametrize(("waits", "said"), [([11], "no token within 10 s"), ([1, 1, 3], "nothing further within 2 s after piece 2")])
def test_paced_says_which_limit_was_missed(waits: list[float], said: str) -> None:
    with pytest.raises(EngineError, match=said) as caught:
        pace(waits, Deadlines(first_s=10, between_s=2))
    assert caught.value.fault is EngineFault.DEADLINE


async def call_over(lines: Sequence[str], *, wait_before: int | None = None, deadlines: Deadlines = PATIENT, status: int = 200) -> Answer:
    """Ask a real HTTP server that sends these lines one by one, and for ever nothing before one of them."""
    asked: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length")), 0)
                body = await reader.readexactly(length)
                if head.startswith("get"):
                    content = b'{"data": [{"id": "m"}]}'
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(content) + content)
                    continue
                asked.append(json.loads(body))
                writer.write(b"HTTP/1.1 %d X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" % status)
                for number, line in enumerate(lines):
                    if number == wait_before:
                        await asyncio.sleep(3600)
                    writer.write(line.encode() + b"\n\n")
                    await writer.drain()
                break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        engine = open_engine(Address("openai", "127.0.0.1", server.sockets[0].getsockname()[1], False, "/v1"), a_card(), some_settings())
        try:
            answer = await engine.call(ask(), deadlines)
        finally:
            await engine.close()
    assert (asked[0]["stream"], asked[0]["stream_options"]) == (True, {"include_usage": True})
    return answer


def test_openai_stream_becomes_one_answer() -> None:
    assert asyncio.run(call_over(WHOLE)) == Completion("Four.", "stop", False, 12, 3, False)


@pytest.mark.parametrize(
    ("lines", "more", "fault", "said"),
    [
        (WHOLE[:4], {}, EngineFault.GARBLED, "broke off"),
        ((*WHOLE[:3], "data: {half"), {}, EngineFault.GARBLED, "JSON"),
        ((*WHOLE[:3], 'data: {"error": {"message": "out of blocks"}}'), {}, EngineFault.UNHEALTHY, "out of blocks"),
        (["busy"], {"status": 429}, EngineFault.OVERLOADED, "429"),
        (WHOLE, {"wait_before": 0, "deadlines": Deadlines(total_s=30, first_s=0.2)}, EngineFault.DEADLINE, "no token within 0.2 s"),
        (WHOLE, {"wait_before": 3, "deadlines": Deadlines(total_s=30, first_s=20, between_s=0.2)}, EngineFault.DEADLINE, "nothing further within 0.2 s"),
    ],
)
def test_openai_stream_that_goes_wrong_is_an_error_of_its_kind(lines: Sequence[str], more: dict[str, Any], fault: EngineFault, said: str) -> None:
    with pytest.raises(EngineError, match=said) as caught:
        asyncio.run(call_over(lines, **more))
    assert caught.value.fault is fault


@given(st.lists(st.text(max_size=20), max_size=8))
def test_a_stream_says_what_its_pieces_say(texts: list[str]) -> None:
    async def lines() -> AsyncIterator[str]:
        for text in texts:
            yield chunk(text)
        yield "data: [DONE]"

    async def read() -> list[dict[str, Any]]:
        return [one async for one in read_events(lines())]

    choices = join_chunks(asyncio.run(read()), chat=True)["choices"]
    assert [one["message"]["content"] for one in choices] == (["".join(texts)] if texts else [])


def test_decoupled_triton_model_streams_the_answer_that_it_gives_whole(triton: ServedTriton) -> None:
    async def call(*, streamed: bool) -> Answer:
        settings = some_settings(first_token_s=20, between_tokens_s=20) if streamed else some_settings()
        engine = open_engine(Address("triton", "127.0.0.1", triton.grpc_port, False, "/tensorrt_llm_bls"), a_card(), settings)
        try:
            return await engine.call(ask("Why do rivers bend?", max_tokens=80), settings.deadlines)
        finally:
            await engine.close()

    whole = asyncio.run(call(streamed=False))
    assert asyncio.run(call(streamed=True)) == whole
    assert isinstance(whole, Completion)
    assert len(whole.text.split()) > 8
