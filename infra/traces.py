"""Traces for OpenTelemetry, where the standard `OTEL_*` variables ask for them: run, stage, shard, engine call. Where they don't, nothing is imported or paid.

A span holds names, counts and kinds of faults: never a prompt, an answer, a key or an error's own text, which may quote any of them. The current span
is a context variable's business, so it follows a shard into its coroutines on the session's loop by itself; to another process (a Dask worker, a
server) it goes as W3C headers. The tracer is our own, not the process's: what Prefect or other libraries would trace stays as it is.
"""

import logging
import os
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from schemas.errors import EngineError, SettingsError

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Value = str | int | float | bool | Sequence[str]

FLUSH_S = 5.0
"""How long the end of a run, or of a worker, waits for a collector that does not take its spans."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_CURRENT = "TRACEPARENT"
"""The span that a run was started under, as programs that start others tell them."""


class Span(Protocol):
    """What is being worked on."""

    def tell(self, **what: Value) -> None:
        """Add attributes; a double underscore in a name stands for a dot."""


class _Nothing:
    def tell(self, **what: Value) -> None:
        """Tell nobody."""


_OFF: AbstractContextManager[Span] = nullcontext(_Nothing())


@dataclass(frozen=True, slots=True)
class _Recorded:
    span: "trace.Span"

    def tell(self, **what: Value) -> None:
        """Add attributes."""
        self.span.set_attributes(_dotted(what))


@dataclass(frozen=True, slots=True)
class _Tracing:
    """What is switched on."""

    provider: "TracerProvider"
    tracer: "trace.Tracer"
    share: float
    """Of the engine calls, how many have a span."""


_on: _Tracing | None = None
_switch = threading.Lock()
_log = logging.getLogger("gristmill")


def wanted() -> bool:
    """Say whether the environment asks for traces. Raises SettingsError where it asks for what is not known here."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in ("", "otlp", "none"):
        raise SettingsError(f"OTEL_TRACES_EXPORTER: can't send traces by {exporter!r}: it is otlp, or none to send none")
    return exporter == "otlp" or (exporter == "" and bool(_first(_ENDPOINTS)))


def switch_on(share: float = 1.0) -> bool:
    """Trace from now on, if the environment asks for it; at every further time, only say whether it does. Raises SettingsError."""
    global _on
    with _switch:
        if _on is None and wanted():
            _on = _begin(share)
        return _on is not None


def is_on() -> bool:
    """Say whether this process traces."""
    return _on is not None


def http_collector() -> str | None:
    """Say where traces are sent by HTTP; None where they are not. It is the one way that Triton knows."""
    if not wanted() or _protocol() != "http/protobuf":
        return None
    own, common = (os.environ.get(name, "").strip() for name in _ENDPOINTS)
    return own or (common or "http://localhost:4318").rstrip("/") + "/v1/traces"


def span(name: str, **attributes: Value) -> AbstractContextManager[Span]:
    """Work on something until the block is left; what is raised in it is told by its kind."""
    return _OFF if _on is None else _recorded(_on, name, attributes)


def call_span(name: str, **attributes: Value) -> AbstractContextManager[Span]:
    """Make an engine call. Beyond the share that is traced, what the server does for it is not traced either."""
    if _on is None:
        return _OFF
    return _unsampled() if _on.share < 1 and random.random() >= _on.share else _recorded(_on, name, attributes, client=True)


def event(name: str, **attributes: Value) -> None:
    """Note a moment of the current span."""
    if _on is not None:
        from opentelemetry.trace import get_current_span

        get_current_span().add_event(name, _dotted(attributes))


def headers() -> dict[str, str]:
    """Give the current span as W3C trace context, for a request or a task; nothing where nothing is traced."""
    if _on is None:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    told: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(told)
    return told


@contextmanager
def joined(told: Mapping[str, str], share: float = 1.0) -> Iterator[None]:
    """Go on with the trace of another process, which gave its `headers()`."""
    if not told or not switch_on(share):
        yield
        return
    from opentelemetry.context import attach, detach
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    before = attach(TraceContextTextMapPropagator().extract(told))
    try:
        yield
    finally:
        detach(before)


@contextmanager
def run_traced(share: float, **attributes: Value) -> Iterator[Span]:
    """Trace a run, where that is wanted, within the span that TRACEPARENT names if there is one; send all of it before the end."""
    switch_on(share)
    outer = {"traceparent": os.environ[_CURRENT]} if os.environ.get(_CURRENT) else {}
    try:
        with joined(outer, share), span("run", **attributes) as traced:
            yield traced
    finally:
        flush()


def flush() -> None:
    """Send the spans that have ended; a collector that is away is waited for no longer than FLUSH_S."""
    if _on is not None:
        sender = threading.Thread(target=_on.provider.force_flush, name="gristmill-traces", daemon=True)
        sender.start()
        sender.join(FLUSH_S)
        if sender.is_alive():
            _log.warning("the collector of traces did not take all spans within %g s: some are lost", FLUSH_S)


@contextmanager
def _recorded(tracing: _Tracing, name: str, attributes: Mapping[str, Value], *, client: bool = False) -> Iterator[Span]:
    from opentelemetry.trace import SpanKind, Status, StatusCode

    kind = SpanKind.CLIENT if client else SpanKind.INTERNAL
    begun = tracing.tracer.start_as_current_span(name, kind=kind, attributes=_dotted(attributes), record_exception=False, set_status_on_exception=False)
    with begun as one:
        try:
            yield _Recorded(one)
        except BaseException as error:
            fault = error.fault.value if isinstance(error, EngineError) else type(error).__name__
            one.set_attribute("error.type", fault)
            one.set_status(Status(StatusCode.ERROR, fault))
            raise


@contextmanager
def _unsampled() -> Iterator[Span]:
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, get_current_span, use_span

    here = get_current_span().get_span_context()
    flags = TraceFlags(here.trace_flags & ~TraceFlags.SAMPLED)
    with use_span(NonRecordingSpan(SpanContext(here.trace_id, here.span_id, is_remote=False, trace_flags=flags, trace_state=here.trace_state))):
        yield _Nothing()


def _begin(share: float) -> _Tracing:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    told = {"service.version": version("gristmill")} | ({} if _names_service() else {"service.name": "gristmill"})
    # Not at exit: a collector that is away would hold the program up; every run flushes for itself.
    provider = TracerProvider(resource=Resource.create(told), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter()))
    return _Tracing(provider, provider.get_tracer("gristmill", version("gristmill")), share)


def _exporter() -> "SpanExporter":
    protocol, endpoint = _protocol(), _first(_ENDPOINTS)
    if endpoint and (urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).hostname):
        raise SettingsError(f"OTEL_EXPORTER_OTLP_ENDPOINT: can't read {endpoint!r}: expected http://collector:4318, or http://collector:4317 for gRPC")
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as over_grpc

        return over_grpc.OTLPSpanExporter()
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as over_http

    return over_http.OTLPSpanExporter()


def _protocol() -> str:
    protocol = _first(_PROTOCOLS) or "http/protobuf"
    if protocol not in ("grpc", "http/protobuf"):
        raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL: no such protocol here: {protocol!r}; it is http/protobuf or grpc")
    return protocol


def _first(names: Sequence[str]) -> str:
    return next((found for name in names if (found := os.environ.get(name, "").strip())), "")


def _names_service() -> bool:
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")


def _dotted(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {name.replace("__", "."): value for name, value in attributes.items()}
