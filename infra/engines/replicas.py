"""The replicas of one card: who they are, by name, from one look-up to the next.

A name may stand for several servers (a headless Service, round-robin DNS): each address that it gives is a replica of its own, with its own limit and circuit.
Names are looked up again and again, so a server that was added is used, and one that was taken away gets no further call, without a restart.
"""

import asyncio
import contextlib
import logging
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address

from infra.engines.endpoint import Endpoint
from infra.engines.line import Line
from infra.settings import Address
from schemas.errors import EngineError, EngineFault, GristmillError

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to numeric addresses. Raises OSError where the name is not known, now."""

LOOK_UP_S = 10.0
_DRAIN_LOOK_S = 0.5
_log = logging.getLogger("gristmill")


async def resolve(host: str, port: int) -> Sequence[str]:
    """Look a name up as every program here does; of one that has IPv4 and IPv6 addresses, only the former, lest a server count twice."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    wanted = socket.AF_INET if any(family == socket.AF_INET for family, *_ in found) else socket.AF_INET6
    return sorted({str(where[0]) for family, _, _, _, where in found if family == wanted})


class Replicas:
    """One card's endpoints, and the line before them. Belongs to one event loop."""

    def __init__(self, addresses: Sequence[Address], open_endpoint: Callable[[Address], Endpoint], *, patience_s: float, resolver: Resolver = resolve) -> None:
        self._addresses = tuple(addresses)
        self._open_endpoint = open_endpoint
        self._resolver = resolver
        self._patience_s = patience_s
        self._known: dict[Address, Endpoint] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self.line: Line

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The present replicas."""
        return tuple(self._known.values())

    async def open(self) -> None:
        """Look the names up for the first time."""
        self._known = {address: self._open_endpoint(address) for address in await self._look_up()}
        self.line = Line(self.endpoints, self._patience_s)

    async def follow(self) -> None:
        """Look the names up for ever."""
        while True:
            await asyncio.sleep(LOOK_UP_S * random.uniform(0.8, 1.2))
            await self.look_again()

    async def look_again(self) -> None:
        """Take up new replicas that are ready and of the same kind; let go of those that their name no longer gives."""
        found = await self._look_up()
        for address in [one for one in found if one not in self._known]:
            await self._take_up(address)
        for address in [one for one in self._known if one not in found]:
            if len(self._known) > 1:
                self._let_go(self._known.pop(address))

    async def _look_up(self) -> list[Address]:
        found = [one for address in self._addresses for one in await self._spread(address)]
        return list(dict.fromkeys(found))

    async def _spread(self, address: Address) -> list[Address]:
        if not _is_name(address):
            return [address]
        try:
            return [replace(address, at=one) for one in await self._resolver(address.host, address.port)]
        except OSError:
            # What is known stays; at the first time, connecting by name says what is wrong.
            return [one for one in self._known if replace(one, at="") == address] or [address]

    async def _take_up(self, address: Address) -> None:
        endpoint = self._open_endpoint(address)
        try:
            facts, kind = await endpoint.engine.inspect(), await self._present_kind()
            if kind not in (facts.kind, None):
                raise EngineError(f"{endpoint.name} serves as {facts.kind}, the other replicas as {kind}", fault=EngineFault.UNSUPPORTED)
        except GristmillError as error:
            _log.warning("a replica that was added is not used yet: %s", error)
            await endpoint.engine.close()
            return
        except BaseException:
            await endpoint.engine.close()
            raise
        self._known[address] = endpoint
        self.line.add(endpoint)

    async def _present_kind(self) -> str | None:
        for endpoint in self.endpoints:
            with contextlib.suppress(GristmillError):
                return (await endpoint.engine.inspect()).kind
        return None

    def _let_go(self, endpoint: Endpoint) -> None:
        self.line.remove(endpoint)
        self._leaving.add(task := asyncio.get_running_loop().create_task(_close_when_done(endpoint)))
        task.add_done_callback(self._leaving.discard)


async def _close_when_done(endpoint: Endpoint) -> None:
    try:
        while endpoint.limiter.in_flight:
            await asyncio.sleep(_DRAIN_LOOK_S)
    finally:
        await endpoint.engine.close()


def _is_name(address: Address) -> bool:
    if address.host == "localhost" or (address.wire == "openai" and address.tls):
        return False  # a provider's names give ever other addresses of one service
    try:
        ip_address(address.host)
    except ValueError:
        return True
    return False
