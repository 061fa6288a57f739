"""The line in which a card's calls wait for a slot at any of its replicas: first come, first served, for as long as it takes.

One line for all replicas, not one each: a call that waits is bound to none, so a slow replica holds up nobody and a dead one loses nobody.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from infra.engines.endpoint import Endpoint
from infra.engines.limiter import Slot
from schemas.errors import EngineError, EngineFault


@dataclass(frozen=True, slots=True)
class Place:
    """A slot, and where."""

    endpoint: Endpoint
    slot: Slot


@dataclass(frozen=True, slots=True)
class _Waiter:
    future: "asyncio.Future[Place]"
    avoid: Endpoint | None


class Line:
    """Waiters for one set of endpoints."""

    def __init__(self, endpoints: Sequence[Endpoint], patience_s: float) -> None:
        self._endpoints = tuple(endpoints)
        self._patience_s = patience_s
        self._waiters: deque[_Waiter] = deque()
        for endpoint in endpoints:
            endpoint.limiter.listen(self._admit)

    def add(self, endpoint: Endpoint) -> None:
        """Let calls go to one more endpoint."""
        self._endpoints = (*self._endpoints, endpoint)
        endpoint.limiter.listen(self._admit)
        self._admit()

    def remove(self, endpoint: Endpoint) -> None:
        """Let no further call go to an endpoint; those that are there are left alone."""
        self._endpoints = tuple(one for one in self._endpoints if one is not endpoint)

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return sum(not waiter.future.done() for waiter in self._waiters)

    async def enter(self, *, again: bool = False, avoid: Endpoint | None = None) -> Place:
        """Wait for a slot, at another replica than `avoid` if one is free; a call that asks `again` waits in front.

        Raises EngineError(UNREACHABLE) when every replica has been sick for longer than the line's patience.
        """
        self._give_up()
        waiter = _Waiter(asyncio.get_running_loop().create_future(), avoid)
        if again:
            self._waiters.appendleft(waiter)
        else:
            self._waiters.append(waiter)
        self._admit()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: _Waiter) -> None:
        future = waiter.future
        if future.done() and not future.cancelled() and future.exception() is None:
            place = future.result()  # granted in the same moment in which it was cancelled
            place.endpoint.unused(place.slot)

    def _admit(self) -> None:
        if self._waiters and self._hopeless():
            self._fail_all()
        while self._waiters:
            if self._waiters[0].future.done():
                self._waiters.popleft()
                continue
            endpoint = self._free(self._waiters[0].avoid)
            if endpoint is None:
                return
            waiter = self._waiters.popleft()
            waiter.future.set_result(Place(endpoint, endpoint.take()))

    def _free(self, avoid: Endpoint | None) -> Endpoint | None:
        ready = [endpoint for endpoint in self._endpoints if endpoint.ready]
        return min(ready, key=lambda endpoint: (endpoint is avoid, endpoint.limiter.load), default=None)

    def _hopeless(self) -> bool:
        return all(endpoint.circuit.sick_s > self._patience_s and not endpoint.circuit.passes for endpoint in self._endpoints)

    def _give_up(self) -> None:
        if self._hopeless():
            raise self._hopeless_error()

    def _fail_all(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.future.done():
                waiter.future.set_exception(self._hopeless_error())

    def _hopeless_error(self) -> EngineError:
        names = ", ".join(endpoint.name for endpoint in self._endpoints)
        longest = min(endpoint.circuit.sick_s for endpoint in self._endpoints)
        return EngineError(
            f"{names}: nothing has come from there for {longest:.0f} s; start the server again and resume the run", fault=EngineFault.UNREACHABLE
        )
