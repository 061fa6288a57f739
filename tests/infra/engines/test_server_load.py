"""What servers say of their load is read from their metrics pages, and acted on."""

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.engines import open_engine
from infra.engines.limiter import Limiter
from infra.engines.server_load import Scheduler, read_load
from infra.engines.session import EngineSession
from infra.settings import Address
from infra.triton.server import RehearsalOptions, ServedTriton, serve_triton
from schemas.engine import ServerLoad
from tests.infra.engines.builders import a_card, ask, some_settings
from tests.infra.engines.http_stand_in import Asked, Reply, serve

TENSORRT_LLM = """
# HELP nv_trt_llm_request_metrics TRT LLM request metrics
# TYPE nv_trt_llm_request_metrics gauge
nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="waiting",version="1"} 3
nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="context",version="1"} 1
nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="scheduled",version="1"} 64
nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="max",version="1"} 256
nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="active",version="1"} 67
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max",model="tensorrt_llm",version="1"} 6239
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction",model="tensorrt_llm",version="1"} 0.375
nv_trt_llm_inflight_batcher_metrics{inflight_batcher_specific_metric="paused_requests",model="tensorrt_llm",version="1"} 2
nv_trt_llm_request_metrics{model="other",request_type="waiting",version="1"} 999
"""

VLLM = """
vllm:num_requests_running{engine="0",model_name="served"} 8.0
vllm:num_requests_running{engine="1",model_name="served"} 7.0
vllm:num_requests_waiting{engine="0",model_name="served"} 1.0
vllm:num_requests_waiting{engine="1",model_name="served"} 0.0
vllm:kv_cache_usage_perc{engine="0",model_name="served"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="served"} 0.5
"""


def triton_page(pending: float, spent_s: float, queued_s: float) -> str:
    return (
        f'nv_inference_pending_request_count{{model="reward",version="1"}} {pending}\n'
        f'nv_inference_request_duration_us{{model="reward",version="1"}} {spent_s * 1e6}\n'
        f'nv_inference_queue_duration_us{{model="reward",version="1"}} {queued_s * 1e6}\n'
    )


def test_load_is_read_as_tensorrt_llm_tells_it() -> None:
    assert read_load(TENSORRT_LLM, {"ensemble", "tensorrt_llm"}) == ServerLoad(64, 5, 0.375)


def test_load_is_read_as_vllm_tells_it_of_all_its_engines() -> None:
    assert read_load(VLLM, {"served"}) == ServerLoad(15, 1, 0.5)


def test_load_is_read_as_nim_and_trtllm_serve_tell_it() -> None:
    assert read_load("num_requests_running 4\nnum_requests_waiting 2\ngpu_cache_usage_perc 0.1\n", {"m"}) == ServerLoad(4, 2, 0.1)
    assert read_load("trtllm_num_requests_running 4\ntrtllm_num_requests_waiting 2\ntrtllm_kv_cache_utilization 0.1\n", {"m"}) == ServerLoad(4, 2, 0.1)


def test_load_is_none_where_nothing_of_this_model_is_told() -> None:
    assert read_load(TENSORRT_LLM, {"ensemble"}) is None
    assert read_load(triton_page(5, 1, 1), {"reward"}) is None


def test_tritons_own_queue_counts_from_the_first_time_that_a_call_waited() -> None:
    scheduler = Scheduler()
    assert scheduler.read(triton_page(0, 10, 1), {"reward"}, now=1.0) is None
    assert scheduler.read(triton_page(0, 20, 1), {"reward"}, now=2.0) is None
    assert scheduler.read(triton_page(30, 34, 5), {"reward"}, now=3.0) == ServerLoad(10, 20)
    assert scheduler.read(triton_page(0, 44, 5), {"reward"}, now=4.0) == ServerLoad(10, 0)


@given(st.text(), st.sampled_from([TENSORRT_LLM, VLLM, ""]), st.integers(0, 900))
def test_reading_a_page_never_fails(noise: str, page: str, cut: int) -> None:
    read_load(page[:cut] + noise + page[cut:], {"tensorrt_llm", "served"})
    Scheduler().read(page[:cut] + noise, {"reward"}, 1.0)


def test_limiter_follows_the_server_and_goes_on_by_itself_when_it_falls_silent() -> None:
    limiter = Limiter(lambda: 0.0)
    told: list[int] = []
    limiter.listen(lambda: told.append(limiter.limit))
    slots = [limiter.take() for _ in range(limiter.limit)]
    limiter.looked(ServerLoad(16, 0))
    assert told == [24]
    limiter.looked(None)
    assert limiter.limit == 24
    for slot in slots:
        limiter.unused(slot)


def test_openai_server_is_asked_where_it_has_its_metrics() -> None:
    async def handle(asked: Asked) -> Reply:
        if asked.path.endswith("/models"):
            return Reply(body={"data": [{"id": "served"}]})
        return Reply(200, VLLM.encode()) if asked.path == "/prometheus/metrics" else Reply(404, {})

    async def look() -> ServerLoad | None:
        async with serve(handle) as address:
            engine = open_engine(address, a_card(), some_settings())
            try:
                assert await engine.load() is None
                await engine.inspect()
                return await engine.load()
            finally:
                await engine.close()

    assert asyncio.run(look()) == ServerLoad(15, 1, 0.5)


def test_triton_without_a_metrics_port_tells_nothing(triton: ServedTriton) -> None:
    async def look(address: Address) -> ServerLoad | None:
        engine = open_engine(address, a_card(), some_settings())
        try:
            await engine.inspect()
            return await engine.load()
        finally:
            await engine.close()

    assert asyncio.run(look(Address("triton", "127.0.0.1", triton.grpc_port, False, "/ensemble"))) is None
    assert asyncio.run(look(triton.addresses()["rehearsal-instruct"][0])) is not None


@pytest.mark.slow
def test_session_fills_the_slots_of_a_triton_that_tells_its_load_and_follows_when_they_change(triton_python: Path) -> None:
    async def keep_asking(session: EngineSession, moments: list[float]) -> None:
        for number in range(100_000):
            await session.call(a_card(), ask(f"What is {number} + {id(moments)}?"))
            moments.append(time.monotonic())

    def limit(session: EngineSession) -> int:
        return session.meter.read().limit

    def wait_for_limit(session: EngineSession, least: int, most: int) -> None:
        until = time.monotonic() + 60
        while not least <= limit(session) <= most:
            assert time.monotonic() < until, f"the limit is {limit(session)}, not between {least} and {most}"
            time.sleep(0.1)

    async def many(session: EngineSession) -> None:
        await asyncio.gather(*(keep_asking(session, []) for _ in range(200)))

    with serve_triton(RehearsalOptions(latency_s=0.3, slots=48), python=triton_python) as served:
        session = EngineSession(some_settings(), served.addresses())
        try:
            session.inspect(a_card())
            asking = asyncio.run_coroutine_threadsafe(many(session), session._loop)
            wait_for_limit(session, 49, 64)
            served.set_slots(8)
            wait_for_limit(session, 9, 14)
            served.set_slots(96)
            wait_for_limit(session, 97, 120)
            asking.cancel()
        finally:
            session.close()
