"""Calls wait in line for a slot at any replica: first come first served, nobody lost, never more than the limit."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.engines.capacity import Capacity
from infra.engines.circuit import Circuit
from infra.engines.endpoint import Endpoint
from infra.engines.limiter import Limiter
from infra.engines.line import Line
from infra.engines.triton import open_engine
from schemas.errors import EngineError, EngineFault
from tests.infra.engines.builders import a_card, closed_port, run_in_virtual_time, some_settings

PATIENCE_S = 60.0


def an_endpoint(limit: int = 2, name: str = "here") -> Endpoint:
    """With an engine that is never called."""
    clock = asyncio.get_running_loop().time
    engine = open_engine(closed_port("triton"), a_card(), some_settings())
    return Endpoint(name, engine, Limiter(clock, Capacity(clock(), limit=limit)), Circuit(clock))


async def one_call(line: Line, order: list[int], number: int, seconds: float = 1.0) -> None:
    place = await line.enter()
    order.append(number)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        place.endpoint.unused(place.slot)
        raise
    place.endpoint.answered(place.slot)


def test_line_serves_in_order_of_arrival() -> None:
    async def steps() -> list[int]:
        line, order = Line([an_endpoint(limit=3)], PATIENCE_S), list[int]()
        await asyncio.gather(*(one_call(line, order, number) for number in range(50)))
        return order

    assert run_in_virtual_time(steps()) == list(range(50))


def test_line_lets_a_retry_go_first() -> None:
    async def steps() -> list[str]:
        endpoint, order = an_endpoint(limit=1), list[str]()
        line = Line([endpoint], PATIENCE_S)

        async def wait(name: str, *, again: bool) -> None:
            place = await line.enter(again=again)
            order.append(name)
            place.endpoint.answered(place.slot)

        first = await line.enter()
        waiting = [asyncio.create_task(wait("new", again=False)), asyncio.create_task(wait("again", again=True))]
        await asyncio.sleep(1)
        first.endpoint.answered(first.slot)
        await asyncio.gather(*waiting)
        return order

    assert run_in_virtual_time(steps()) == ["again", "new"]


@settings(max_examples=60)
@given(
    limits=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    calls=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3), st.one_of(st.none(), st.floats(0, 6))), max_size=40),
)
def test_line_never_exceeds_a_limit_and_loses_nobody(limits: list[int], calls: list[tuple[float, float, float | None]]) -> None:
    async def steps() -> None:
        endpoints = [an_endpoint(limit) for limit in limits]
        line = Line(endpoints, PATIENCE_S)

        async def call(after: float, seconds: float, cancelled_after: float | None) -> bool:
            await asyncio.sleep(after)
            task = asyncio.create_task(one_call(line, [], 0, seconds))
            if cancelled_after is not None:
                asyncio.get_running_loop().call_later(cancelled_after, task.cancel)
            await asyncio.wait([task])
            assert all(endpoint.limiter.in_flight <= endpoint.limiter.limit for endpoint in endpoints)
            return not task.cancelled()

        ended = await asyncio.gather(*(call(*one) for one in calls))
        assert all(done for done, (_, _, cancelled_after) in zip(ended, calls, strict=True) if cancelled_after is None)
        assert line.waiting == 0
        assert all(endpoint.limiter.in_flight == 0 for endpoint in endpoints)

    run_in_virtual_time(steps())


def test_line_gives_back_a_slot_granted_in_the_moment_of_cancelling() -> None:
    async def steps() -> None:
        endpoint = an_endpoint(limit=1)
        line = Line([endpoint], PATIENCE_S)
        first = await line.enter()
        second = asyncio.create_task(line.enter())
        await asyncio.sleep(1)
        first.endpoint.answered(first.slot)  # grants the slot to the second,
        second.cancel()  # which is gone before it runs
        await asyncio.wait([second])
        assert endpoint.limiter.in_flight == 0
        await line.enter()

    run_in_virtual_time(steps())


def test_line_prefers_the_least_loaded_replica() -> None:
    async def steps() -> dict[str, int]:
        small, large = an_endpoint(2, "small"), an_endpoint(6, "large")
        line = Line([small, large], PATIENCE_S)
        places = [await line.enter() for _ in range(4)]
        return {name: sum(place.endpoint.name == name for place in places) for name in ("small", "large")}

    assert run_in_virtual_time(steps()) == {"small": 1, "large": 3}


def test_line_avoids_the_replica_that_just_failed_if_it_can() -> None:
    async def steps() -> list[str]:
        one, other = an_endpoint(1, "one"), an_endpoint(1, "other")
        line = Line([one, other], PATIENCE_S)
        return [(await line.enter(avoid=one)).endpoint.name for _ in range(2)]

    assert run_in_virtual_time(steps()) == ["other", "one"]


def test_line_waits_out_what_the_server_asked_for() -> None:
    async def steps() -> float:
        endpoint = an_endpoint()
        line = Line([endpoint], PATIENCE_S)
        place = await line.enter()
        endpoint.failed(place.slot, EngineFault.OVERLOADED, 30.0)
        await line.enter()
        return asyncio.get_running_loop().time()

    assert run_in_virtual_time(steps()) == pytest.approx(30, abs=0.1)


def test_lines_that_share_a_limiter_take_turns() -> None:
    async def steps() -> list[int]:
        clock = asyncio.get_running_loop().time
        one, order = an_endpoint(limit=1), list[int]()
        other = Endpoint("other card", one.engine, one.limiter, Circuit(clock))
        lines = [Line([one], PATIENCE_S), Line([other], PATIENCE_S)]
        await asyncio.gather(*(one_call(lines[number % 2], order, number % 2) for number in range(20)))
        return order

    order = run_in_virtual_time(steps())
    assert sorted(order) == [0] * 10 + [1] * 10
    assert sum(order[:10]) in range(4, 7)


async def break_circuit(line: Line, fault: EngineFault = EngineFault.UNREACHABLE) -> None:
    for _ in range(3):
        place = await line.enter()
        place.endpoint.failed(place.slot, fault, None)


def test_line_passes_a_broken_replica_by() -> None:
    async def steps() -> set[str]:
        broken, whole = an_endpoint(4, "broken"), an_endpoint(4, "whole")
        await break_circuit(Line([broken], PATIENCE_S))
        line = Line([broken, whole], PATIENCE_S)
        return {(await line.enter()).endpoint.name for _ in range(4)}

    assert run_in_virtual_time(steps()) == {"whole"}


def test_line_lets_one_call_probe_a_broken_replica() -> None:
    async def steps() -> int:
        endpoint = an_endpoint(8)
        line = Line([endpoint], PATIENCE_S)
        await break_circuit(line)
        waiting = [asyncio.create_task(line.enter()) for _ in range(5)]
        await asyncio.sleep(10)
        granted = [task for task in waiting if task.done()]
        endpoint.answered(granted[0].result().slot)
        await asyncio.gather(*waiting)
        return len(granted)

    assert run_in_virtual_time(steps()) == 1


def test_line_gives_up_when_every_replica_stays_gone() -> None:
    async def steps() -> tuple[float, list[Any]]:
        line = Line([an_endpoint(8)], PATIENCE_S)
        await break_circuit(line)

        async def keep_failing() -> None:
            while True:
                place = await line.enter()
                place.endpoint.failed(place.slot, EngineFault.UNREACHABLE, None)

        ended = await asyncio.gather(*(keep_failing() for _ in range(4)), return_exceptions=True)
        return asyncio.get_running_loop().time(), ended

    seconds, ended = run_in_virtual_time(steps())
    assert PATIENCE_S < seconds < PATIENCE_S + 20
    assert all(isinstance(one, EngineError) and one.fault is EngineFault.UNREACHABLE for one in ended)
    assert "resume the run" in str(ended[0])


def run_circuit(steps: Callable[[Circuit, list[float]], None]) -> None:
    now = [0.0]
    steps(Circuit(lambda: now[0]), now)


@pytest.mark.parametrize("fault", [EngineFault.OVERLOADED, EngineFault.GARBLED, EngineFault.BAD_REQUEST, EngineFault.CANCELLED])
def test_circuit_stays_closed_for_what_is_no_sickness(fault: EngineFault) -> None:
    def steps(circuit: Circuit, now: list[float]) -> None:
        for _ in range(20):
            circuit.failed(fault)
        assert circuit.passes

    run_circuit(steps)


def test_circuit_probes_at_growing_intervals() -> None:
    def steps(circuit: Circuit, now: list[float]) -> None:
        for _ in range(3):
            circuit.failed(EngineFault.UNHEALTHY)
        waits = []
        for _ in range(8):
            assert not circuit.passes
            waits.append(circuit.open_s or 0.0)
            now[0] += waits[-1]
            assert circuit.passes
            circuit.enter()
            assert not circuit.passes
            circuit.failed(EngineFault.UNHEALTHY)
        assert waits == sorted(waits)
        assert waits[-1] == 15.0
        now[0] += 15.0
        circuit.enter()
        circuit.succeeded()
        assert circuit.passes
        assert circuit.sick_s == 0

    run_circuit(steps)
