"""The connection of one engine, and those before it that calls under way still use.

A TCP connection can die without anybody being told: a firewall that forgot it, a balancer whose backend hangs. gRPC puts every call on the one that it has, so
each would wait for its whole deadline, and so would each further attempt. Hence a call that found no answer in time has the next one go over a new connection.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """A client with a connection."""

    async def close(self) -> None:
        """Close it; calls under way on it fail."""


Client = TypeVar("Client", bound=Closable)


class Connections(Generic[Client]):
    """Lends the current client, made when it is first wanted.

    async with connections.lend() as client:
        …; on silence: connections.leave(client)
    """

    def __init__(self, connect: Callable[[], Client]) -> None:
        self._connect = connect
        self._current: Client | None = None
        self._users: Counter[Client] = Counter()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Client]:
        """Lend the current client; one that was left meanwhile is closed by its last user."""
        client = self._current = self._current or self._connect()
        self._users[client] += 1
        try:
            yield client
        finally:
            self._users[client] -= 1
            if client is not self._current and not self._users[client]:
                await self._close(client)

    def leave(self, client: Client) -> None:
        """Have the next call use another client than this one, whose present users may go on."""
        if client is self._current:
            self._current = None

    async def close(self) -> None:
        """Close all of them, used or not."""
        found = {*self._users, *((self._current,) if self._current else ())}
        self._current = None
        for client in found:
            await self._close(client)

    async def _close(self, client: Client) -> None:
        self._users.pop(client, None)
        await client.close()
