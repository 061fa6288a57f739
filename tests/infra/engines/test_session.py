"""The session: many calls, few connections; replicas, retries, circuits and limits; from any thread."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import pytest

from infra.engines.session import EngineSession, close_shared_sessions, shared_session
from infra.settings import Address
from infra.triton.server import ServedTriton
from schemas.engine import Answer, Completion, Request
from schemas.errors import EngineError, EngineFault, SettingsError
from tests.infra.engines.builders import a_card, ask, closed_port, grade, some_settings
from tests.infra.engines.http_stand_in import MODELS, Asked, Handle, Reply, answering, chat
from tests.infra.engines.http_stand_in import serve as serve_http
from tests.infra.engines.triton_stand_in import Model, never, reply, says
from tests.infra.engines.triton_stand_in import serve as serve_triton_stand_in

CARD = a_card()


@contextmanager
def in_a_thread(serve: Callable[[], Any]) -> Iterator[Address]:
    """Serve from another thread's loop, as another process would."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)

    context = serve()
    try:
        address = wait_for(context.__aenter__())
        try:
            yield address
        finally:
            wait_for(context.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def a_session(*addresses: Address, card: str = CARD.id, patience_s: float = 2.0) -> Iterator[EngineSession]:
    session = EngineSession(some_settings(), {card: addresses} if addresses else {}, patience_s=patience_s)
    try:
        yield session
    finally:
        session.close()


def triton_model(model: Model) -> Callable[[], Any]:
    return lambda: serve_triton_stand_in(model)


def web_server(handle: Handle) -> Callable[[], Any]:
    return lambda: serve_http(handle)


def failing_first(times: int, status: int, headers: dict[str, str] | None = None) -> Handle:
    """Fail so many calls, then answer."""
    left = [times]

    async def handle(asked: Asked) -> Reply:
        if asked.path.endswith("/models"):
            return Reply(body={"data": [{"id": "m"}]})
        left[0] -= 1
        return Reply(status, {}, headers or {}) if left[0] >= 0 else Reply(body=chat("Four."))

    return handle


async def call_all(session: EngineSession, requests: list[Request]) -> list[Answer | BaseException]:
    return list(await asyncio.gather(*(session.call(CARD, request) for request in requests), return_exceptions=True))


def call_once(session: EngineSession) -> Answer:
    return session.run(session.call(CARD, ask()))


def texts(answers: list[Answer | BaseException]) -> set[str]:
    return {done.text if isinstance(done, Completion) else repr(done) for done in answers}


def test_session_answers_more_calls_than_its_limit() -> None:
    with in_a_thread(triton_model(Model(says("Four.")))) as address, a_session(address) as session:
        answers = session.run(call_all(session, [ask(seed=seed) for seed in range(300)]))
        reading = session.meter.read()
    assert texts(answers) == {"Four."}
    assert (reading.calls, reading.in_flight, reading.waiting, reading.retries) == (300, 0, 0, 0)
    assert reading.completion_tokens == 300 * 2
    assert reading.latency_s > 0


@pytest.mark.parametrize("status", [500, 503, 504])
def test_session_retries_what_may_pass(status: int) -> None:
    with in_a_thread(web_server(failing_first(2, status))) as address, a_session(address) as session:
        assert texts([call_once(session)]) == {"Four."}
        assert session.meter.read().retries == 2


def test_session_asks_again_with_the_same_seed() -> None:
    seeds: list[int] = []
    inner = failing_first(2, 500)

    async def handle(asked: Asked) -> Reply:
        if asked.body:
            seeds.append(asked.body["seed"])
        return await inner(asked)

    with in_a_thread(web_server(handle)) as address, a_session(address) as session:
        call_once(session)
    assert seeds == [7, 7, 7]


@pytest.mark.parametrize("status", [400, 401, 404])
def test_session_does_not_retry_what_can_not_pass(status: int) -> None:
    with in_a_thread(web_server(answering({}, status=status))) as address, a_session(address) as session:
        with pytest.raises(EngineError, match=f"HTTP {status}"):
            call_once(session)
        assert session.meter.read().retries == 0


def test_session_says_what_it_met_when_it_gives_up() -> None:
    with in_a_thread(web_server(answering(b"garbage"))) as address, a_session(address) as session:
        with pytest.raises(EngineError, match="after 3 attempts: 3 garbled") as caught:
            call_once(session)
        assert caught.value.fault is EngineFault.GARBLED
        assert session.meter.read().failures == {EngineFault.GARBLED: 3}


def test_session_asks_once_more_after_the_time_that_the_server_names() -> None:
    with in_a_thread(web_server(failing_first(1, 429, {"retry-after": "1"}))) as address, a_session(address) as session:
        assert texts([call_once(session)]) == {"Four."}
        assert session.meter.read().retries == 1


def test_session_uses_the_other_replica_when_one_is_dead() -> None:
    with in_a_thread(triton_model(Model(says("Four.")))) as address, a_session(closed_port("triton"), address) as session:
        answers = session.run(call_all(session, [ask(seed=seed) for seed in range(100)]))
        reading = session.meter.read()
    assert texts(answers) == {"Four."}
    assert reading.failures[EngineFault.UNREACHABLE] < 50


def test_session_shares_calls_among_replicas() -> None:
    models = [Model(says("Four.")) for _ in range(2)]
    with in_a_thread(triton_model(models[0])) as one, in_a_thread(triton_model(models[1])) as other, a_session(one, other) as session:
        session.run(call_all(session, [ask(seed=seed) for seed in range(200)]))
    assert all(len(model.requests) > 50 for model in models)


def test_session_gives_up_when_every_replica_stays_gone() -> None:
    with a_session(closed_port("triton"), closed_port("openai"), patience_s=1.0) as session:
        answers = session.run(call_all(session, [ask(seed=seed) for seed in range(20)]))
    assert all(isinstance(done, EngineError) and done.fault is EngineFault.UNREACHABLE for done in answers)


def test_session_finds_a_server_that_comes_back() -> None:
    address = closed_port("triton")
    with a_session(address, patience_s=60) as session:
        future = asyncio.run_coroutine_threadsafe(session.call(CARD, ask()), session._loop)
        while EngineFault.UNREACHABLE not in session.meter.read().failures:
            time.sleep(0.01)
        with in_a_thread(lambda: serve_at(address, Model(says("Four.")))):
            assert texts([future.result(60)]) == {"Four."}


@asynccontextmanager
async def serve_at(address: Address, model: Model) -> AsyncIterator[Address]:
    from tritonclient.grpc.service_pb2_grpc import add_GRPCInferenceServiceServicer_to_server

    from tests.infra.engines.triton_stand_in import _Servicer

    server = grpc.aio.server()
    add_GRPCInferenceServiceServicer_to_server(_Servicer(model), server)
    server.add_insecure_port(f"{address.host}:{address.port}")
    await server.start()
    yield address
    await server.stop(None)


def test_session_backs_off_when_the_queue_is_full() -> None:
    in_flight = most = 0

    async def respond(request: Any, context: Any) -> Any:
        nonlocal in_flight, most
        if in_flight >= 4:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.002)
        in_flight -= 1
        return reply(text_output="Four.")

    with in_a_thread(triton_model(Model(respond))) as address, a_session(address) as session:
        answers = session.run(call_all(session, [ask(seed=seed) for seed in range(200)]))
        reading = session.meter.read()
    assert texts(answers) == {"Four."}
    assert most == 4
    assert reading.limit < 16


def test_interrupted_run_cancels_its_calls_at_the_server() -> None:
    model = Model(never)
    with in_a_thread(triton_model(model)) as address, a_session(address) as session:

        async def cancelled_soon() -> None:
            task = asyncio.create_task(session.call(CARD, ask()))
            while not model.requests:
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task])

        session.run(cancelled_soon())
        while not model.cancelled.is_set():
            time.sleep(0.01)
        reading = session.meter.read()
    assert (reading.in_flight, reading.waiting) == (0, 0)


def test_close_ends_calls_in_flight() -> None:
    model = Model(never)
    with in_a_thread(triton_model(model)) as address:
        session = EngineSession(some_settings(), {CARD.id: (address,)})
        future = asyncio.run_coroutine_threadsafe(session.call(CARD, ask()), session._loop)
        while not model.requests:
            time.sleep(0.01)
        session.close()
        session.close()
        assert future.cancelled()
        with pytest.raises(RuntimeError, match="open a new session"):
            session.run(session.call(CARD, ask()))


def test_run_refuses_to_wait_for_its_own_loop() -> None:
    with a_session() as session:

        async def inside() -> None:
            session.run(asyncio.sleep(0))

        with pytest.raises(RuntimeError, match="own loop"):
            session.run(inside())


def test_inspect_asks_for_an_address() -> None:
    with a_session() as session, pytest.raises(SettingsError, match="GRISTMILL_ENGINES=rehearsal-instruct="):
        session.inspect(CARD)


def test_inspect_checks_every_replica() -> None:
    with in_a_thread(triton_model(Model(says("Four.")))) as address, a_session(address, closed_port("triton")) as session, pytest.raises(EngineError):
        session.inspect(CARD)


def test_patient_inspection_waits_for_an_engine_that_is_just_coming_up() -> None:
    asked: list[str] = []

    async def handle(request: Asked) -> Reply:
        asked.append(request.path)
        return Reply(502) if len(asked) < 4 else Reply(body=MODELS)

    with in_a_thread(web_server(handle)) as address, a_session(address, patience_s=60.0) as session:
        with pytest.raises(EngineError, match="HTTP 502"):
            session.inspect(CARD)
        assert session.inspect(CARD, patient=True).kind == "openai/chat"


def test_patient_inspection_gives_up_at_once_on_what_waiting_can_not_cure() -> None:
    async def handle(request: Asked) -> Reply:
        return Reply(401)

    with in_a_thread(web_server(handle)) as address, a_session(address, patience_s=60.0) as session:
        with pytest.raises(EngineError, match="HTTP 401") as caught:
            session.inspect(CARD, patient=True)
        assert caught.value.fault is EngineFault.REFUSED


def test_inspect_promises_what_every_replica_can_do() -> None:
    poor = Model(says("Four."), inputs={"text_input": "BYTES", "max_tokens": "INT32", "seed": "UINT64"})
    with in_a_thread(triton_model(Model(says("Four.")))) as one, in_a_thread(triton_model(poor)) as other, a_session(one, other) as session:
        facts = session.inspect(CARD)
    assert facts.options == frozenset({"max_tokens", "raw", "seed"})
    assert facts.address == f"{one} {other}"


def test_inspect_refuses_replicas_of_two_kinds() -> None:
    with in_a_thread(triton_model(Model(says("Four.")))) as one, in_a_thread(web_server(answering({}))) as other, a_session(one, other) as session:
        with pytest.raises(EngineError, match="must be of one kind") as caught:
            session.inspect(CARD)
        assert caught.value.fault is EngineFault.UNSUPPORTED


def test_shared_session_is_one_for_equal_settings_from_any_thread() -> None:
    addresses = {CARD.id: (closed_port("triton"),)}
    found: list[EngineSession] = []
    threads = [threading.Thread(target=lambda: found.append(shared_session(some_settings(), dict(addresses)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len({id(session) for session in found}) == 1
        assert shared_session(some_settings(deadline_s=1.0), addresses) is not found[0]
    finally:
        close_shared_sessions()
    assert shared_session(some_settings(), addresses) is not found[0]
    close_shared_sessions()


@pytest.mark.triton
def test_session_works_for_many_threads_on_the_genuine_server(triton: ServedTriton) -> None:
    session = EngineSession(some_settings(), triton.addresses())
    results: dict[int, list[Answer | BaseException]] = {}

    def work(number: int) -> None:
        results[number] = session.run(call_all(session, [ask(f"What is {number} + {other}?", seed=other) for other in range(50)]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        reward = session.run(session.call(a_card("reward"), grade()))
        again = session.run(call_all(session, [ask("What is 3 + 7?", seed=7)]))
    finally:
        session.close()
    assert reward.attributes["helpfulness"] >= 0  # type: ignore[union-attr]
    assert again[0] == results[3][7]
