"""A connection pool for one server, whose cost does not grow with its connections.

httpcore's own pool goes through all connections for each of them, at every request: with 64 calls in flight that took 9 of 10 s of a client's time, with 256 it
is sixteen times as much. Here an idle connection is the last one of a list. Limits are the session's business, so there are none.
"""

import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore
import httpx

KEEP_S = 60.0
"""How long an idle connection is kept."""

SocketOption = tuple[int, int, int]


class OneServerTransport(httpx.AsyncHTTPTransport):
    """httpx's transport, requests and errors and all, over the pool below."""

    def __init__(self, tls: ssl.SSLContext | None, socket_options: Iterable[SocketOption]) -> None:
        super().__init__(verify=tls or False, trust_env=False)
        self._pool: Any = OneServerPool(tls, tuple(socket_options))


class OneServerPool:
    """Connections to one origin, the most recently used one first."""

    def __init__(self, tls: ssl.SSLContext | None, socket_options: tuple[SocketOption, ...]) -> None:
        self._tls = tls
        self._socket_options = socket_options
        self._idle: list[httpcore.AsyncHTTPConnection] = []
        self._busy: set[httpcore.AsyncHTTPConnection] = set()

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request over an idle connection, or a new one."""
        connection = await self._take(request.url.origin)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            self._busy.discard(connection)  # it has closed itself
            raise
        content = _Content(response.stream, connection, self)
        return httpcore.Response(status=response.status, headers=response.headers, content=content, extensions=response.extensions)

    async def give_back(self, connection: httpcore.AsyncHTTPConnection) -> None:
        """Keep a connection whose response was read to its end; close any other."""
        self._busy.discard(connection)
        if connection.is_idle():
            self._idle.append(connection)
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        connections = [*self._idle, *self._busy]
        self._idle.clear()
        self._busy.clear()
        for connection in connections:
            await connection.aclose()

    async def __aenter__(self) -> "OneServerPool":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                break
            await connection.aclose()
        else:
            connection = httpcore.AsyncHTTPConnection(origin, self._tls, keepalive_expiry=KEEP_S, socket_options=self._socket_options)
        self._busy.add(connection)
        return connection


class _Content:
    """A response's body, which gives its connection back."""

    def __init__(self, stream: Any, connection: httpcore.AsyncHTTPConnection, pool: OneServerPool) -> None:
        self._stream = stream
        self._connection = connection
        self._pool = pool
        self._open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        """End the response."""
        if self._open:
            self._open = False
            await self._stream.aclose()
            await self._pool.give_back(self._connection)
