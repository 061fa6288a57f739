"""One engine session a process: one event loop in a thread, shared by all the shards that run there, so that one's tail is filled by another's head.

A call waits in its card's line for a slot at a replica, is attempted, and attempted again where that may help. The parts: replicas.py (who is asked), line.py
(waiting), limiter.py with guided.py, company.py and capacity.py (how many at once), watch.py (what the server says of its load, or who else is there),
circuit.py (whether at all), retries.py (whether again), meter.py (counting). Answers are the caller's to keep.
"""

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from infra import traces
from infra.engines import open_engine
from infra.engines.circuit import Circuit
from infra.engines.endpoint import Endpoint
from infra.engines.limiter import Limiter
from infra.engines.line import Line, Place
from infra.engines.meter import Meter
from infra.engines.receipt import Receipt
from infra.engines.replicas import Replicas, Resolver, resolve
from infra.engines.retries import Failures
from infra.engines.table import Table, name_of
from infra.engines.watch import watch
from infra.settings import Address, Settings
from schemas.engine import Answer, EngineFacts, Request
from schemas.errors import EngineError, EngineFault, SettingsError
from schemas.model_card import ModelCard

Result = TypeVar("Result")

PATIENCE_S = 120.0
"""How long a card's replicas may all be gone before its calls fail: enough for a server's restart, though not for loading 340 billion parameters."""
RETURN_S = 15.0
"""How long a patient inspection waits for an engine that nobody answers for: a restart of what is there, not the start of what was forgotten."""
_LOOK_S = 0.5
_CLOSE_S = 5.0
_log = logging.getLogger("gristmill")


class EngineSession:
    """Calls to served models, from any number of threads.

    facts = session.inspect(card)
    answers = session.run(gather_all(session.call(card, request) for …))      # `call` runs on the session's own loop
    """

    def __init__(
        self, settings: Settings, addresses: Mapping[str, tuple[Address, ...]], *, patience_s: float = PATIENCE_S, resolver: Resolver = resolve
    ) -> None:
        self.meter = Meter()
        self._settings = settings
        self._addresses = dict(addresses)
        self._patience_s = patience_s
        self._deadlines = settings.deadlines
        self._resolver = resolver
        self._replicas: dict[str, asyncio.Task[Replicas]] = {}
        self._limiters: dict[Address, Limiter] = {}
        self._table = Table(settings.ledger_url)
        self._watches: set[asyncio.Task[None]] = set()
        self._facts: dict[str, EngineFacts] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gristmill-engines", daemon=True)
        self._thread.start()

    def inspect(self, card: ModelCard, *, patient: bool = False) -> EngineFacts:
        """Read what serves a card, at all its replicas; callable from any thread.

        Raises SettingsError if no address is given, EngineError if a replica is not there or not what the card says; if patient, only once it has
        been away for RETURN_S, or up and not ready for as long as a run would wait for it.
        """
        return self.run(self._inspect(card, patient=patient))

    async def call(self, card: ModelCard, request: Request, receipt: Receipt | None = None) -> Answer:
        """Get a request answered, however long the line is. Raises EngineError for what no further attempt would cure. On the session's loop only.

        A receipt says whether the call may begin once its turn has come, and is told what it took.
        """
        replicas, failures, avoid = await self._open(card), Failures(), None
        receipt = receipt or Receipt()
        while True:
            place = await self._wait(replicas.line, again=avoid is not None, avoid=avoid)
            self._admit(place, receipt)
            traces.event("slot", server__address=place.endpoint.name)
            outcome = await self._attempt(place, request, receipt)
            if isinstance(outcome, EngineError):
                traces.event("failed", error__type=outcome.fault.value)
                failures.add(outcome)
            elif failures.believe(outcome):
                return outcome
            self.meter.retried()
            avoid = place.endpoint
            await asyncio.sleep(failures.delay_s(other_replica=len(replicas.endpoints) > 1))

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the session's loop and wait for it; from any other thread. Whatever interrupts the wait cancels the coroutine."""
        if threading.current_thread() is self._thread or self._loop.is_closed():
            coroutine.close()
            raise RuntimeError("EngineSession.run was called on the session's own loop, or after close(): await the coroutine there, or open a new session")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what is in flight, close the connections, end the thread. A second call does nothing."""
        if self._loop.is_closed():
            return
        if self._thread.is_alive():
            with contextlib.suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result(_CLOSE_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CLOSE_S)
        if not self._loop.is_running():
            self._loop.close()
        self._table.close()

    async def _wait(self, line: Line, *, again: bool, avoid: Endpoint | None) -> Place:
        self.meter.queued()
        try:
            return await line.enter(again=again, avoid=avoid)
        finally:
            self.meter.unqueued()

    def _admit(self, place: Place, receipt: Receipt) -> None:
        if receipt.admitted:
            return
        try:
            receipt.admit()
        except BaseException:
            place.endpoint.unused(place.slot)
            raise
        receipt.admitted = True

    async def _attempt(self, place: Place, request: Request, receipt: Receipt) -> Answer | EngineError:
        endpoint, slot = place.endpoint, place.slot
        self.meter.started(self._limit())
        entered = endpoint.busy.enter(self._loop.time())
        receipt.attempts += 1
        try:
            answer = await endpoint.engine.call(request, self._deadlines)
        except EngineError as error:
            endpoint.failed(slot, error.fault, error.retry_after_s)
            self.meter.failed(error.fault)
            return error
        except BaseException:
            endpoint.unused(slot)
            raise
        finally:
            receipt.engine_s += endpoint.busy.leave(self._loop.time(), entered)
            self.meter.ended()
        self.meter.answered(answer, endpoint.answered(slot))
        return answer

    async def _inspect(self, card: ModelCard, *, patient: bool) -> EngineFacts:
        if card.id not in self._facts:
            replicas = await self._open(card)
            found = await asyncio.gather(*(self._ask_after(endpoint, patient=patient) for endpoint in replicas.endpoints), return_exceptions=True)
            for one in found:
                if isinstance(one, BaseException):
                    raise one
            self._facts[card.id] = _common_facts(card, [one for one in found if isinstance(one, EngineFacts)])
        return self._facts[card.id]

    async def _ask_after(self, endpoint: Endpoint, *, patient: bool) -> EngineFacts:
        begun = self._loop.time()
        while True:
            try:
                return await endpoint.engine.inspect()
            except EngineError as error:
                waits_s = self._patience_s if error.fault is EngineFault.UNHEALTHY else RETURN_S
                if not (patient and error.fault.passing and self._loop.time() - begun < waits_s):
                    raise
                _log.info("an engine is waited for: %s", error)
            await asyncio.sleep(_LOOK_S)

    def _limit(self) -> int:
        limiters = {endpoint.limiter for replicas in self._opened() for endpoint in replicas.endpoints}
        return sum(limiter.limit for limiter in limiters)

    def _opened(self) -> list[Replicas]:
        return [one.result() for one in self._replicas.values() if one.done() and not one.cancelled() and one.exception() is None]

    async def _open(self, card: ModelCard) -> Replicas:
        opening = self._replicas.get(card.id)
        if opening is None:
            opening = self._replicas[card.id] = self._loop.create_task(self._open_replicas(card))
        return opening.result() if opening.done() else await asyncio.shield(opening)

    async def _open_replicas(self, card: ModelCard) -> Replicas:
        addresses = self._addresses.get(card.id)
        if not addresses:
            raise SettingsError(f"no address for the model {card.id}: set GRISTMILL_ENGINES={card.id}=grpc://HOST:8001/MODEL (or https://HOST/v1#MODEL)")
        replicas = Replicas(addresses, partial(self._endpoint, card), patience_s=self._patience_s, resolver=self._resolver)
        await replicas.open()
        self._watches.add(self._loop.create_task(replicas.follow()))
        return replicas

    def _endpoint(self, card: ModelCard, address: Address) -> Endpoint:
        # Two cards served by one model at one address share its capacity.
        known = address in self._limiters
        limiter = self._limiters.setdefault(address, Limiter(self._loop.time))
        name = f"{address} ({address.at})" if address.at else str(address)
        endpoint = Endpoint(name, open_engine(address, card, self._settings), limiter, Circuit(self._loop.time))
        if not known:
            self._watches.add(self._loop.create_task(watch(endpoint, partial(self._table.meet, name_of(address)))))
        return endpoint

    async def _shut_down(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for replicas in self._opened():
            for endpoint in replicas.endpoints:
                await endpoint.engine.close()


def _common_facts(card: ModelCard, found: list[EngineFacts]) -> EngineFacts:
    """Make one of all replicas' facts: what any of them can't do, the card's engine can't."""
    first = found[0]
    for other in found[1:]:
        if other.kind != first.kind:
            raise EngineError(
                f"{card.id} is served as {first.kind} at {first.address} and as {other.kind} at {other.address}: its replicas must be of one kind",
                fault=EngineFault.UNSUPPORTED,
            )
    options = frozenset.intersection(*(one.options for one in found))
    tells = frozenset.intersection(*(one.tells for one in found))
    return replace(first, address=" ".join(one.address for one in found), options=options, tells=tells, batch=min(one.batch for one in found))


_shared: dict[tuple[Settings, frozenset[tuple[str, tuple[Address, ...]]]], EngineSession] = {}
_shared_lock = threading.Lock()


def shared_session(settings: Settings, addresses: Mapping[str, tuple[Address, ...]]) -> EngineSession:
    """Give this process's session for these settings and addresses; made at the first call, closed at exit."""
    key = (settings, frozenset(addresses.items()))
    with _shared_lock:
        if key not in _shared:
            _shared[key] = EngineSession(settings, addresses)
        return _shared[key]


@atexit.register
def close_shared_sessions() -> None:
    """Close every shared session of this process; the next `shared_session` makes a new one."""
    with _shared_lock:
        sessions = list(_shared.values())
        _shared.clear()
    for session in sessions:
        session.close()


def _forget_after_fork() -> None:
    # Threads do not survive a fork, so neither do sessions; closing them would wait for threads that are not there.
    global _shared_lock
    _shared_lock = threading.Lock()
    _shared.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
