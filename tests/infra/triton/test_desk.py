import asyncio
from collections.abc import Awaitable, Callable

import pytest

from infra.triton.options import RehearsalOptions
from infra.triton.rehearsal_models.desk import Cancelled, Desk, Faulty, Overloaded


class Client:
    """The other end of a call, which may hang up."""

    def __init__(self, *, gone: bool = False) -> None:
        self.gone = gone

    def is_cancelled(self) -> bool:
        return self.gone


def a_desk(**options: float) -> tuple[Desk, list[int]]:
    peaks: list[int] = []
    return Desk(RehearsalOptions(**({"latency_s": 0, "latency_sigma": 0} | options)), peaks.append), peaks  # type: ignore[arg-type]


async def serve(desk: Desk, work: Callable[[], Awaitable[None]], client: Client | None = None) -> str:
    try:
        async with desk.serve("text", client or Client()):
            await work()
    except (Overloaded, Faulty, Cancelled) as error:
        return type(error).__name__
    return "served"


async def nothing() -> None:
    await asyncio.sleep(0)


def test_desk_never_serves_more_than_its_slots() -> None:
    desk, peaks = a_desk(slots=3)
    serving = [0]
    seen: list[int] = []

    async def work() -> None:
        serving[0] += 1
        seen.append(serving[0])
        await asyncio.sleep(0.001)
        serving[0] -= 1

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(serve(desk, work) for _ in range(20)))

    assert asyncio.run(all_of_them()) == ["served"] * 20
    assert max(seen) == 3
    assert peaks == [1, 2, 3]


def test_desk_refuses_one_more_than_its_queue_holds() -> None:
    desk, _ = a_desk(slots=1, queue=2)
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    async def all_of_them() -> list[str]:
        calls = [asyncio.create_task(serve(desk, wait)) for _ in range(5)]
        await asyncio.sleep(0.01)
        gate.set()
        return await asyncio.gather(*calls)

    assert asyncio.run(all_of_them()) == ["served"] * 3 + ["Overloaded"] * 2


def test_desk_fails_a_share_of_attempts_and_not_of_prompts() -> None:
    desk, _ = a_desk(fault_rate=0.5)

    async def one_after_the_other() -> list[str]:
        return [await serve(desk, nothing) for _ in range(400)]

    outcomes = asyncio.run(one_after_the_other())
    assert 150 < outcomes.count("Faulty") < 250
    assert outcomes.count("served") + outcomes.count("Faulty") == 400


def test_desk_gives_the_slot_of_a_cancelled_call_to_the_next() -> None:
    desk, _ = a_desk(slots=1, latency_s=0.15)

    async def both() -> list[str]:
        return list(await asyncio.gather(serve(desk, nothing, Client(gone=True)), serve(desk, nothing)))

    assert asyncio.run(both()) == ["Cancelled", "served"]


@pytest.mark.parametrize("failure", [ValueError, RuntimeError])
def test_desk_frees_the_slot_of_a_failed_call(failure: type[Exception]) -> None:
    desk, _ = a_desk(slots=1)

    async def fail() -> None:
        raise failure

    async def twice() -> str:
        with pytest.raises(failure):
            await serve(desk, fail)
        return await serve(desk, nothing)

    assert asyncio.run(twice()) == "served"


def test_desk_follows_when_its_slots_change() -> None:
    desk, _ = a_desk(slots=1)
    served: list[int] = []

    async def work() -> None:
        served.append(desk.slots.taken)
        await asyncio.sleep(0.01)

    async def grow_and_shrink() -> None:
        calls = [asyncio.create_task(serve(desk, work)) for _ in range(12)]
        await asyncio.sleep(0)
        assert (desk.slots.taken, desk.slots.waiting) == (1, 11)
        desk.slots.resize(6)
        await asyncio.sleep(0)
        assert (desk.slots.taken, desk.slots.waiting) == (6, 6)
        desk.slots.resize(2)
        await asyncio.gather(*calls)

    asyncio.run(grow_and_shrink())
    assert len(served) == 12
    assert desk.slots.taken == 0


def test_desk_keeps_its_slots_when_those_who_wait_give_up() -> None:
    desk, _ = a_desk(slots=1)
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    async def give_up() -> str:
        first, second, third = (asyncio.create_task(serve(desk, wait)) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        gate.set()
        await first
        assert desk.slots.waiting == 0
        return await third

    assert asyncio.run(give_up()) == "served"
    assert desk.slots.taken == 0
