"""Names are looked up again and again: a server that was added is used, one that was taken away gets no further call."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from infra.engines import replicas
from infra.engines.replicas import resolve
from infra.engines.session import EngineSession
from infra.settings import Address
from schemas.errors import EngineError, EngineFault
from tests.infra.engines.builders import a_card, ask, some_settings
from tests.infra.engines.http_stand_in import Asked, Handle, Reply, chat, serve


@dataclass
class Names:
    """What a name stands for at present: a resolver of our own."""

    addresses: list[str]
    known: bool = True

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        if not self.known:
            raise OSError(f"{host} is not known")
        return list(self.addresses)


@dataclass
class Fleet:
    """Real servers at several addresses of this machine, one port for all; counts who answered what."""

    answered: Counter[str] = field(default_factory=Counter)
    hosts: set[str] = field(default_factory=set)

    def handle(self, where: str) -> Handle:
        async def answer(asked: Asked) -> Reply:
            if asked.path.endswith("/models"):
                return Reply(body={"data": [{"id": "m"}]})
            if asked.method == "GET":
                return Reply(404, {})
            self.answered[where] += 1
            self.hosts.add(asked.headers["host"])
            return Reply(body=chat("Four."))

        return answer

    @asynccontextmanager
    async def serve(self, *hosts: str) -> AsyncIterator[Address]:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(serve(self.handle(hosts[0]), host=hosts[0]))
            for host in hosts[1:]:
                await stack.enter_async_context(serve(self.handle(host), host=host, port=first.port))
            yield replace(first, host="fleet.test")


@pytest.fixture(autouse=True)
def _look_up_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "LOOK_UP_S", 0.05)


async def ask_until(session: EngineSession, enough: Callable[[], bool]) -> None:
    async def in_session() -> None:
        async with asyncio.timeout(30):
            while not enough():
                await asyncio.gather(*(session.call(a_card(), ask(f"What is {number} + 2?")) for number in range(4)))

    await asyncio.to_thread(session.run, in_session())


def with_session(names: Names, fleet: Fleet, steps: Callable[[EngineSession], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with fleet.serve("127.0.0.1", "127.0.0.2") as address:
            session = EngineSession(some_settings(), {a_card().id: (address,)}, patience_s=2.0, resolver=names)
            try:
                await steps(session)
            finally:
                await asyncio.to_thread(session.close)

    asyncio.run(run())


def test_server_added_by_name_is_used_without_a_restart() -> None:
    names, fleet = Names(["127.0.0.1"]), Fleet()

    async def steps(session: EngineSession) -> None:
        await ask_until(session, lambda: fleet.answered["127.0.0.1"] > 20)
        assert fleet.answered["127.0.0.2"] == 0
        names.addresses.append("127.0.0.2")
        await ask_until(session, lambda: fleet.answered["127.0.0.2"] > 20)

    with_session(names, fleet, steps)
    assert {host.partition(":")[0] for host in fleet.hosts} == {"fleet.test"}


def test_server_taken_from_a_name_gets_no_further_call() -> None:
    names, fleet = Names(["127.0.0.1", "127.0.0.2"]), Fleet()

    async def steps(session: EngineSession) -> None:
        await ask_until(session, lambda: min(fleet.answered["127.0.0.1"], fleet.answered["127.0.0.2"]) > 5)
        names.addresses.remove("127.0.0.1")
        (here,) = session._opened()
        while len(here.endpoints) > 1:
            await asyncio.sleep(0.02)
        before = fleet.answered["127.0.0.1"]
        await ask_until(session, lambda: fleet.answered["127.0.0.2"] > 100)
        assert fleet.answered["127.0.0.1"] == before

    with_session(names, fleet, steps)


def test_server_that_is_named_but_not_there_is_not_used_and_costs_no_call() -> None:
    names, fleet = Names(["127.0.0.1"]), Fleet()

    async def steps(session: EngineSession) -> None:
        await ask_until(session, lambda: fleet.answered.total() > 5)
        names.addresses.append("127.0.0.3")
        await ask_until(session, lambda: fleet.answered.total() > 100)
        assert session.meter.read().failures == {}

    with_session(names, fleet, steps)


def test_name_that_is_unknown_for_a_while_keeps_its_servers() -> None:
    names, fleet = Names(["127.0.0.1", "127.0.0.2"]), Fleet()

    async def steps(session: EngineSession) -> None:
        await ask_until(session, lambda: fleet.answered.total() > 5)
        names.known = False
        await asyncio.sleep(0.3)
        await ask_until(session, lambda: fleet.answered.total() > 100)
        (here,) = session._opened()
        assert len(here.endpoints) == 2

    with_session(names, fleet, steps)


def test_name_that_nobody_knows_is_an_error_that_says_so() -> None:
    names = Names([], known=False)
    session = EngineSession(some_settings(), {a_card().id: (Address("openai", "nowhere.invalid", 9, False, "/v1"),)}, resolver=names)
    try:
        with pytest.raises(EngineError, match=r"nowhere\.invalid:9") as caught:
            session.inspect(a_card())
        assert caught.value.fault is EngineFault.UNREACHABLE
    finally:
        session.close()


def test_resolve_gives_numeric_addresses_of_one_family() -> None:
    assert asyncio.run(resolve("127.0.0.1", 80)) == ["127.0.0.1"]
