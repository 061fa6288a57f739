"""Servers that stand between a run and its engines and do harm to a seeded share of what passes: one that knows gRPC, one that knows only bytes."""

import asyncio
import hashlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

import grpc
from tritonclient.grpc import service_pb2 as pb

Served = TypeVar("Served")

_UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
_STREAMS = "/inference.GRPCInferenceService/ModelStreamInfer"
_CALLS = "/inference.GRPCInferenceService/ModelInfer"

Harm = Callable[[bytes], Awaitable[bytes]]
"""What becomes of a response; it may also never return."""


@contextmanager
def in_background(service: AbstractAsyncContextManager[Served]) -> Iterator[Served]:
    """Serve from an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(service.__aenter__(), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(service.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def chosen(key: str, share: float) -> bool:
    """Choose a share of all calls by their keys, the same ones each time."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") < share * 2**32


@dataclass
class Middle:
    """A gRPC server that hands every call on to a Triton server, and spoils the first answers to a share of them."""

    target: str
    harm: Harm
    share: float
    times: int = 2
    """How often a chosen call is spoilt before it passes."""
    attempts: Counter[str] = field(default_factory=Counter)
    spoilt: int = 0
    whole: list[str] = field(default_factory=list)
    """Keys of the calls whose answers were given as they came, in that order."""

    async def pass_on(self, channel: grpc.aio.Channel, method: str, request: bytes, context: Any) -> bytes:
        key = pb.ModelInferRequest.FromString(request).id if method == _CALLS else ""
        try:
            answer: bytes = await channel.unary_unary(method)(request, timeout=context.time_remaining())
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details())
        if key and chosen(key, self.share) and self.attempts[key] < self.times:
            self.attempts[key] += 1
            self.spoilt += 1
            return await self.harm(answer)
        self.whole += [key] if key else []
        return answer

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[int]:
        """Serve on a free port of this machine, which it gives."""
        async with grpc.aio.insecure_channel(self.target, options=_UNLIMITED) as channel:
            server = grpc.aio.server(options=_UNLIMITED)
            server.add_generic_rpc_handlers((_AnyMethod(partial(self.pass_on, channel)),))
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            try:
                yield port
            finally:
                await server.stop(None)


class _AnyMethod(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, handle: Callable[[str, bytes, Any], Awaitable[bytes]]) -> None:
        self._handle = handle

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(partial(self._handle, details.method))


async def silence(answer: bytes) -> bytes:
    """Never answer."""
    await asyncio.Event().wait()
    return answer


async def noise(answer: bytes) -> bytes:
    """Answer with bytes that are no message."""
    return hashlib.sha256(answer).digest() * 8


async def nothing(answer: bytes) -> bytes:
    """Answer with an empty message: no outputs."""
    return b""


def saying(text: bytes) -> Harm:
    """Replace the text that a model has written, and cut grades short."""

    async def harm(answer: bytes) -> bytes:
        response = pb.ModelInferResponse.FromString(answer)
        for number, output in enumerate(response.outputs):
            if output.datatype == "BYTES":
                response.raw_output_contents[number] = struct.pack("<I", len(text)) + text
            elif output.datatype == "FP32":
                response.raw_output_contents[number] = response.raw_output_contents[number][:-3]
        return bytes(response.SerializeToString())

    return harm


@dataclass(frozen=True, slots=True)
class Wire:
    """What becomes of one TCP connection once so many bytes have come from the server; None: nothing."""

    after: int | None = None
    then: Literal["reset", "silence", "drip"] = "reset"


_DRIP_S = 0.3


@dataclass
class Pipe:
    """A TCP proxy; `treat` says of each connection, by its number, what becomes of it."""

    port: int
    """Where connections are handed on to; may be changed while it serves."""
    treat: Callable[[int], Wire] = lambda number: Wire()
    connections: int = 0
    harmed: int = 0
    _open: set["asyncio.Task[None]"] = field(default_factory=set)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[int]:
        """Serve on a free port of this machine, which it gives."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        wire = self.treat(self.connections)
        self.connections += 1
        self.harmed += wire != Wire()
        with suppress(OSError, asyncio.CancelledError):
            await self._join(reader, writer, wire)
        _reset(writer)
        self._open.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: Wire) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        ways = [asyncio.create_task(_copy(reader, far_writer, Wire())), asyncio.create_task(_copy(far_reader, writer, wire))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            far_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: Wire) -> None:
    copied = 0
    while data := await reader.read(65536):
        copied += len(data)
        if wire.after is None or copied < wire.after:
            writer.write(data)
            await writer.drain()
        elif wire.then == "reset":
            writer.write(data[: len(data) // 2])
            await writer.drain()
            return
        elif wire.then == "drip":
            for byte in data:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(_DRIP_S)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST, not FIN: in the middle of whatever was being said."""
    with suppress(OSError):
        found = writer.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
