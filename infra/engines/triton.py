"""Models on NVIDIA Triton, over gRPC: reads what the server declares, then speaks that model's dialect, unary or streaming.

What is sent and read is in triton_dialects.py and triton_scores.py; what failures mean, in triton_faults.py. Here are the connection and the call.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import grpc
import httpx
from tritonclient.grpc import InferInput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from infra import traces
from infra.engines.access import access_to, grpc_tls
from infra.engines.connections import Connections
from infra.engines.pacing import paced
from infra.engines.server_load import Scheduler, read_load
from infra.engines.triton_dialects import Dialect
from infra.engines.triton_faults import fault_of, status_and_message
from infra.engines.triton_model import ServedModel, served_model
from infra.engines.triton_scores import dialect_of
from infra.settings import Address, Settings
from schemas.engine import Answer, Deadlines, EngineFacts, Request, ServerLoad
from schemas.errors import EngineError, EngineFault
from schemas.model_card import ModelCard

_DEFAULT_MODELS = {"instruct": "ensemble", "base": "ensemble", "reward": "reward", "embedding": "embedding"}
_UNLIMITED = 2**31 - 1
_METRICS_S = 2.0
_GRACE_S = 2.0
"""How long past gRPC's own deadline asyncio's waits, so that gRPC's better message wins."""


def open_engine(address: Address, card: ModelCard, settings: Settings) -> "TritonEngine":
    """Open the adapter; see infra.engines.open_engine."""
    return TritonEngine(address, card, settings)


class TritonEngine:
    """One model on one Triton server."""

    def __init__(self, address: Address, card: ModelCard, settings: Settings) -> None:
        self._address = address
        self._card = card
        self._settings = settings
        self._access = access_to(address, settings)
        self._name = address.path.strip("/") or _DEFAULT_MODELS[card.role]
        self._headers = self._access.headers
        # Without this header a failure inside a stream comes without its status.
        self._stream_headers = self._headers | {"triton_grpc_error": "true"}
        self._known: tuple[ServedModel, Dialect, EngineFacts] | None = None
        self._inspecting = asyncio.Lock()
        self._connections = Connections(self._connect)
        self._scheduler = Scheduler()

    async def inspect(self) -> EngineFacts:
        """Read what is served here."""
        return (await self._knowledge())[2]

    async def call(self, request: Request, deadlines: Deadlines) -> Answer:
        """Make one attempt at one request."""
        model, dialect, _ = self._known or await self._knowledge()
        inputs = dialect.inputs(request)
        async with self._one_error(deadlines.total_s), self._lent() as client:
            if model.decoupled:
                results = await self._stream(client, model.name, inputs, request.key, deadlines=deadlines)
            else:
                told = self._headers | traces.headers()
                results = [await client.infer(model.name, inputs, request_id=request.key, client_timeout=deadlines.total_s, headers=told)]
            if not results:
                raise EngineError("the stream ended without an answer", fault=EngineFault.GARBLED)
            return dialect.answer(results, request)

    async def load(self) -> ServerLoad | None:
        """Read the server's metrics page."""
        if self._known is None or self._address.metrics_port is None:
            return None
        try:
            page = (await self._metrics.get("/metrics")).text
        except httpx.HTTPError:
            return None
        models = {self._name, *self._known[0].steps}
        return read_load(page, models) or self._scheduler.read(page, models, asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()
        if "_metrics" in self.__dict__:
            await self.__dict__.pop("_metrics").aclose()

    async def _stream(self, client: InferenceServerClient, name: str, inputs: list[InferInput], key: str, *, deadlines: Deadlines) -> list[InferResult]:
        async def one_request() -> AsyncIterator[dict[str, Any]]:
            yield {"model_name": name, "inputs": inputs, "request_id": key}

        replies = client.stream_infer(one_request(), stream_timeout=deadlines.total_s, headers=self._stream_headers | traces.headers())
        results = []
        try:
            async for result, error in paced(replies, deadlines):
                if error is not None:
                    raise error
                results.append(result)
        finally:
            replies.cancel()  # nothing to do after a whole answer; after anything else the server stops working on it
        return results

    async def _knowledge(self) -> tuple[ServedModel, Dialect, EngineFacts]:
        async with self._inspecting:
            if self._known is None:
                async with self._one_error(self._settings.connect_s), self._lent() as client:
                    self._known = await self._read_server(client)
        return self._known

    async def _read_server(self, client: InferenceServerClient) -> tuple[ServedModel, Dialect, EngineFacts]:
        asked: dict[str, Any] = {"headers": self._headers, "client_timeout": self._settings.connect_s}
        if not await client.is_server_live(**asked):
            raise EngineError("the server is not live", fault=EngineFault.UNHEALTHY)
        server = await client.get_server_metadata(**asked)
        metadata = await client.get_model_metadata(self._name, **asked)
        if not await client.is_model_ready(self._name, **asked):
            raise EngineError(f"the model {self._name} is not ready", fault=EngineFault.UNHEALTHY)
        config = await client.get_model_config(self._name, **asked)
        model = served_model(metadata, config.config)
        dialect = dialect_of(model, self._card, stream=model.decoupled and self._settings.deadlines.streams)
        return model, dialect, self._facts(model, dialect, f"{server.name} {server.version}")

    def _facts(self, model: ServedModel, dialect: Dialect, server: str) -> EngineFacts:
        return EngineFacts(
            address=str(self._address),
            served_model=model.name,
            kind=dialect.kind,
            server=server,
            decoupled=model.decoupled,
            options=dialect.options,
            tells=dialect.tells,
            attributes=dialect.attributes,
            batch=max(1, model.max_batch),
        )

    @asynccontextmanager
    async def _one_error(self, seconds: float) -> AsyncIterator[None]:
        """Turn whatever fails inside into one EngineError that names the address and holds no secret."""
        try:
            async with asyncio.timeout(seconds + _GRACE_S):
                yield
            return
        except EngineError as error:
            failure, cause = self._access.failure(error.fault, str(error)), error.__cause__
        except TimeoutError as error:
            failure, cause = self._access.failure(EngineFault.DEADLINE, f"no answer within {seconds:g} s"), error
        except (InferenceServerException, grpc.RpcError) as error:
            status, said = status_and_message(error)
            failure, cause = self._access.failure(fault_of(status, said), said or f"status {status}"), error
        raise failure from (None if cause is None or self._access.holds_key(cause) else cause)

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[InferenceServerClient]:
        """Lend the connection, and have it replaced where no answer came over it in time."""
        async with self._connections.lend() as client:
            try:
                yield client
            except asyncio.CancelledError:
                self._connections.leave(client)  # by our own clock, which goes off where gRPC's does not, or by who asked: a spare connection then
                raise
            except (InferenceServerException, grpc.RpcError) as error:
                if fault_of(*status_and_message(error)) is EngineFault.DEADLINE:
                    self._connections.leave(client)
                raise

    def _connect(self) -> InferenceServerClient:
        """Connect. It belongs to the event loop that is running now."""
        return InferenceServerClient(f"{self._address.connect_to}:{self._address.port}", creds=self._credentials(), channel_args=self._channel_options())

    @cached_property
    def _metrics(self) -> httpx.AsyncClient:
        """Connect to the metrics page: another port, never behind TLS, and not given the key."""
        return httpx.AsyncClient(base_url=f"http://{self._address.connect_to}:{self._address.metrics_port}", timeout=_METRICS_S, trust_env=False)

    def _credentials(self) -> grpc.ChannelCredentials | None:
        if not self._address.tls:
            return None
        return grpc.ssl_channel_credentials(**grpc_tls(self._settings))

    def _name_options(self) -> list[tuple[str, str]]:
        """Go by the name that the address stands for: in its certificate, and for a proxy that serves several."""
        if not self._address.at:
            return []
        return [("grpc.default_authority", f"{self._address.host}:{self._address.port}"), ("grpc.ssl_target_name_override", self._address.host)]

    def _channel_options(self) -> list[tuple[str, int | str]]:
        """State every option: tritonclient's own defaults fall away as soon as one is given."""
        connect_ms = round(self._settings.connect_s * 1000)
        return [
            ("grpc.max_send_message_length", _UNLIMITED),
            ("grpc.max_receive_message_length", _UNLIMITED),
            # The limit on one attempt to connect goes by this name; by default it is 20 s.
            ("grpc.min_reconnect_backoff_ms", connect_ms),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", max(2000, connect_ms)),
            # Two channels to one server are two connections; otherwise gRPC would share one between event loops.
            ("grpc.use_local_subchannel_pool", 1),
            *self._name_options(),
            *_KEEPALIVE,
        ]


_KEEPALIVE = [
    # A server that was not told otherwise takes pings on a connection where it has nothing to send every 300 s at most, and none where no call is in flight;
    # at the third too many it closes the connection, and every call on it is lost. (Seen on tritonserver 2.51 with pings every 30 s: 120 s into a silent call.)
    # So 310 s find a peer that vanished while we wait. While we send, the kernel finds it sooner: gRPC sets TCP_USER_TIMEOUT to the ping's timeout (gRFC A18).
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
]
