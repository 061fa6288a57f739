"""A real HTTP/1.1 server that behaves as a test says: speaks OpenAI's API, refuses, dawdles, or answers garbage."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from infra.settings import Address


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """One response; `body` is JSON unless it is bytes."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Handle = Callable[[Asked], Awaitable[Reply]]

MODELS = {"object": "list", "data": [{"id": "served", "object": "model"}]}


def chat(content: str | None, finish_reason: str | None = "stop", **rest: Any) -> dict[str, Any]:
    """Build a chat completion."""
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}], **rest}


def answering(body: Any, *, status: int = 200, models: Any = MODELS, headers: dict[str, str] | None = None, log: list[Asked] | None = None) -> Handle:
    """Give the model list where it is asked for, and always the same answer elsewhere."""

    async def handle(asked: Asked) -> Reply:
        if log is not None:
            log.append(asked)
        if asked.path.endswith("/models"):
            return Reply(body=models)
        return Reply(status, body, headers or {})

    return handle


@asynccontextmanager
async def serve(handle: Handle, *, tls: ssl.SSLContext | None = None, served_model: str = "", host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Address]:
    """Serve on this machine, at a free port where none is given."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while await _exchange(reader, writer, handle):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, host, port, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Address("openai", "localhost" if tls else "127.0.0.1", port, tls is not None, "/v1", served_model)
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handle) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    request_line, *lines = head.split("\r\n")
    method, path, _ = request_line.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    answer = await handle(Asked(method, path, headers, json.loads(raw) if raw else None))
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    extra = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    writer.write(f"HTTP/1.1 {answer.status} X\r\ncontent-length: {len(body)}\r\nserver: stand-in\r\n{extra}\r\n".encode() + body)
    await writer.drain()
    return True
