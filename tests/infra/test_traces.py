"""Traces: off unless the standard variables ask for them; on, a call's span reaches the collector and its context the server, and no word of what was said."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from infra import traces
from infra.engines.session import EngineSession
from infra.journal import Journal
from infra.settings import Address
from infra.triton.server import serve_triton
from schemas.errors import EngineError, EngineFault, SettingsError
from tasks.rollout import ShardCalls, Whose
from tests.collector import Collector, collecting_grpc, collecting_http
from tests.infra.engines.builders import a_card, ask, closed_port, some_settings
from tests.infra.engines.http_stand_in import Asked, answering, chat, serve

Switch = Callable[..., Collector]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin and end untraced, whatever this machine's environment says."""
    for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "TRACEPARENT", *traces._ENDPOINTS, *traces._PROTOCOLS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(traces, "_on", None)
    yield
    if traces._on is not None:
        traces._on.provider.shutdown()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting_http() as listening:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{listening.port}")
        yield listening


async def one_call(address: Address, journal: Journal) -> None:
    """Ask one question, as a shard does."""
    session = EngineSession(some_settings(), {a_card().id: (address,)}, patience_s=0)
    try:
        await asyncio.to_thread(session.run, ShardCalls(session, journal, {}).ask(a_card(), ask("Where is the needle?"), "ab" * 16, Whose("open_qa", "writer")))
    finally:
        await asyncio.to_thread(session.close)


def call_stand_in(folder: Path, share: float = 1.0) -> list[Asked]:
    """Call a stand-in for an OpenAI server within a run; give what it was asked."""
    log: list[Asked] = []

    async def main() -> None:
        body = chat("In the haystack.", usage={"prompt_tokens": 5, "completion_tokens": 3})
        async with serve(answering(body, log=log)) as address:
            with Journal.open(folder / "calls.journal") as journal, traces.run_traced(share, gristmill__run="r1"):
                await one_call(address, journal)

    asyncio.run(main())
    return log


def context_of(asked: Asked) -> tuple[str, str, bool]:
    """Read which span a request came from, and whether it is to be traced."""
    version, trace_id, span_id, flags = asked.headers["traceparent"].split("-")
    assert version == "00"
    return trace_id, span_id, bool(int(flags, 16) & 1)


def test_nothing_of_opentelemetry_is_imported_where_it_is_not_asked_for() -> None:
    program = (
        "import sys, infra.traces as t, infra.engines.openai, tasks.rollout; t.switch_on(); t.headers(); print([m for m in sys.modules if 'opentel' in m])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
    ids=["nothing", "endpoint", "traces endpoint", "exporter", "none", "disabled"],
)
def test_the_standard_variables_switch_traces_on(variables: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert traces.wanted() is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")],
)
def test_what_is_not_known_here_is_refused_by_name_and_value(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name}.*{value}"):
        traces.switch_on()


def test_a_call_is_a_span_of_its_run_and_its_context_goes_with_it(collector: Collector, tmp_path: Path) -> None:
    asked = call_stand_in(tmp_path)[-1]
    (run,), (call,) = collector.named("run"), collector.named("call")
    assert context_of(asked) == (call.trace_id, call.span_id, True)
    assert (call.service, call.parent_id, call.trace_id) == ("gristmill", run.span_id, run.trace_id)
    told = call.attributes
    assert told["gen_ai.request.model"] == "rehearsal-instruct"
    assert (told["gristmill.role"], told["gristmill.technique"], told["gristmill.attempts"]) == ("writer", "open_qa", 1)
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"], told["gen_ai.response.finish_reasons"]) == (5, 3, ["stop"])
    assert [name for name, _ in call.events] == ["slot"]
    assert not any(word in message for message in collector.raw for word in (b"needle", b"haystack"))


def test_calls_beyond_the_share_have_no_span_here_or_at_the_server(collector: Collector, tmp_path: Path) -> None:
    asked = call_stand_in(tmp_path, share=0.0)[-1]
    (run,) = collector.named("run")
    assert context_of(asked) == (run.trace_id, run.span_id, False)
    assert not collector.named("call")


def test_a_failed_call_tells_its_kind_and_not_its_words(collector: Collector, tmp_path: Path) -> None:
    async def main() -> None:
        with Journal.open(tmp_path / "calls.journal") as journal, traces.run_traced(1.0):
            await one_call(closed_port("openai"), journal)

    with pytest.raises(EngineError):
        asyncio.run(main())
    (call,) = collector.named("call")
    assert call.error
    assert call.attributes["error.type"] == EngineFault.UNREACHABLE.value
    assert {name for name, _ in call.events} == {"slot", "failed"}
    assert not any(b"is the server up there" in message for message in collector.raw)


def test_a_run_belongs_to_the_span_that_it_was_started_under(collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{'a' * 32}-{'b' * 16}-01")
    call_stand_in(tmp_path)
    (run,) = collector.named("run")
    assert (run.trace_id, run.parent_id) == ("a" * 32, "b" * 16)


@pytest.mark.parametrize(("protocol", "listen"), [("http/protobuf", collecting_http), ("grpc", collecting_grpc)])
def test_both_protocols_reach_a_collector(protocol: str, listen: Callable[[], AbstractContextManager[Collector]], monkeypatch: pytest.MonkeyPatch) -> None:
    with listen() as listening:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{listening.port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "mill-7")
        with traces.run_traced(1.0, gristmill__run="r1"), traces.span("stage"):
            pass
    assert [(one.service, one.name) for one in listening.spans] == [("mill-7", "stage"), ("mill-7", "run")]


def test_a_collector_that_is_away_holds_nothing_up_for_long(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{closed_port('openai').port}")
    monkeypatch.setattr(traces, "FLUSH_S", 0.05)
    with caplog.at_level(logging.WARNING), traces.run_traced(1.0):
        pass
    assert any("some are lost" in line for line in caplog.messages)


@pytest.mark.slow
@pytest.mark.triton
def test_triton_follows_our_calls_in_spans_of_its_own(collector: Collector, tmp_path: Path) -> None:
    python = some_settings().triton_python
    if not python.exists():
        pytest.skip(f"NO TRITON: {python} is absent; `make setup` installs it")
    with serve_triton(python=python) as served, Journal.open(tmp_path / "calls.journal") as journal, traces.run_traced(1.0):
        asyncio.run(one_call(served.addresses()[a_card().id][0], journal))
        while not [one for one in collector.spans if one.service == "gristmill-triton" and one.name == "InferRequest"]:
            asyncio.run(asyncio.sleep(0.05))  # it sends every five seconds
    (call,) = collector.named("call")
    asked = [one for one in collector.spans if one.name == "InferRequest"]
    # Only calls that bring a context are traced there: not what looks whether the server is ready.
    assert [(one.trace_id, one.parent_id) for one in asked] == [(call.trace_id, call.span_id)]
