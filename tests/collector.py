"""An OpenTelemetry collector as small as one can be: takes spans over HTTP or gRPC, decodes the protocol's own messages, and keeps them."""

import base64
import gzip
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf import json_format  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server


@dataclass(frozen=True)
class Seen:
    """One span that came."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    error: bool
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]


@dataclass
class Collector:
    """What has come so far."""

    port: int = 0
    spans: list[Seen] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    """The messages as they were, for whoever looks for what must not be in them."""

    def take(self, message: ExportTraceServiceRequest) -> None:
        self.raw.append(message.SerializeToString())
        for resource in message.resource_spans:
            service = str(_plain(resource.resource.attributes).get("service.name", ""))
            self.spans += [_seen(service, one) for scope in resource.scope_spans for one in scope.spans]

    def named(self, name: str) -> list[Seen]:
        return [one for one in self.spans if one.name == name]


@contextmanager
def collecting_http() -> Iterator[Collector]:
    """Listen for OTLP over HTTP."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            as_json = self.headers.get("Content-Type", "").startswith("application/json")
            collector.take(_from_json(body) if as_json else ExportTraceServiceRequest.FromString(body))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        collector.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _from_json(body: bytes) -> ExportTraceServiceRequest:
    """Read the protocol's JSON, as Triton sends it: protobuf's own but for ids, which are in hexadecimal."""
    told = json.loads(body)
    for one in (one for resource in told["resourceSpans"] for scope in resource["scopeSpans"] for one in scope["spans"]):
        one |= {key: base64.b64encode(bytes.fromhex(one[key])).decode() for key in ("traceId", "spanId", "parentSpanId") if key in one}
    message = ExportTraceServiceRequest()
    json_format.ParseDict(told, message, ignore_unknown_fields=True)
    return message


class _Service(TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(self, request: ExportTraceServiceRequest, context: grpc.ServicerContext) -> ExportTraceServiceResponse:  # noqa: N802
        self._collector.take(request)
        return ExportTraceServiceResponse()


@contextmanager
def collecting_grpc() -> Iterator[Collector]:
    """Listen for OTLP over gRPC."""
    collector = Collector()
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        add_TraceServiceServicer_to_server(_Service(collector), server)  # type: ignore[no-untyped-call]  # generated
        collector.port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield collector
        finally:
            server.stop(None).wait()


def _seen(service: str, one: Any) -> Seen:
    events = [(event.name, _plain(event.attributes)) for event in one.events]
    ids = (one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex())
    return Seen(service, one.name, *ids, one.kind, one.status.code == 2, _plain(one.attributes), events)


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind) if kind else None
