"""Models behind OpenAI's HTTP API: NVIDIA NIM, trtllm-serve, vLLM, Triton's OpenAI frontend, Ollama.

What is said and read is in openai_wire.py; what failures mean, in openai_faults.py. Here are the connection and the call.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import httpx

from infra.engines.access import access_to, tls_context
from infra.engines.openai_faults import fault_of_exception, fault_of_status, retry_after_s
from infra.engines.openai_wire import OPTIONS, model_names, parse_json, path_and_body, read_completion, read_embedding, read_reward
from infra.engines.rewards import reward_facts
from infra.engines.server_load import read_load
from infra.settings import Address, Settings, bracketed
from schemas.engine import Answer, Deadlines, EngineFacts, GenerateRequest, Request, RewardRequest, ServerLoad
from schemas.errors import EngineError, EngineFault
from schemas.model_card import ModelCard

_KINDS = {"instruct": "openai/chat", "base": "openai/completions", "reward": "openai/reward", "embedding": "openai/embeddings"}
_GRACE_S = 2.0
"""How long past httpx's own limits asyncio's waits, so that httpx's better message wins."""
_METRICS_S = 2.0
_LISTED = 8
"""Most model names shown in an error."""

# A peer that went away without a word is found within about a minute, also while an answer is awaited.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]


def open_engine(address: Address, card: ModelCard, settings: Settings) -> "OpenAIEngine":
    """Open the adapter; see infra.engines.open_engine."""
    return OpenAIEngine(address, card, settings)


class OpenAIEngine:
    """One model behind one base URL."""

    def __init__(self, address: Address, card: ModelCard, settings: Settings) -> None:
        self._address = address
        self._card = card
        self._settings = settings
        self._access = access_to(address, settings)
        self._known: EngineFacts | None = None
        self._inspecting = asyncio.Lock()
        root = self._base_url().removesuffix(address.path)
        self._metrics_paths: tuple[str, ...] = tuple(f"{root}{path}" for path in ("/metrics", "/prometheus/metrics", "/v1/metrics"))

    async def inspect(self) -> EngineFacts:
        """Read the model list, and choose the model that the address names, or the only one."""
        async with self._inspecting:
            if self._known is None:
                async with self._one_error(self._settings.connect_s):
                    response = await self._client.get("/models", timeout=self._settings.connect_s)
                    self._known = self._facts(model_names(self._body(response)), response.headers.get("server", ""))
        return self._known

    async def call(self, request: Request, deadlines: Deadlines) -> Answer:
        """Make one attempt at one request."""
        facts = self._known or await self.inspect()
        timeout = httpx.Timeout(deadlines.total_s, connect=deadlines.connect_s, pool=None)
        async with self._one_error(deadlines.total_s):
            path, body = path_and_body(request, facts.served_model)
            # Written here, not by httpx: it refuses nothing and leaves non-ASCII text as it is.
            content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
            response = await self._client.post(path, content=content, timeout=timeout)
            return self._answer(self._body(response), request)

    async def load(self) -> ServerLoad | None:
        """Read the server's metrics page, wherever this kind of server has it."""
        if self._known is None:
            return None
        names = {self._known.served_model}
        for path in self._metrics_paths:
            try:
                response = await self._client.get(path, timeout=_METRICS_S)
            except httpx.HTTPError:
                return None
            if response.is_success and (load := read_load(response.text, names)):
                self._metrics_paths = (path,)
                return load
        return None

    async def close(self) -> None:
        """Close the connections."""
        if "_client" in self.__dict__:
            await self.__dict__.pop("_client").aclose()

    def _answer(self, body: Any, request: Request) -> Answer:
        if isinstance(request, GenerateRequest):
            return read_completion(body, request)
        if isinstance(request, RewardRequest):
            return read_reward(body, reward_facts(self._card))
        return read_embedding(body)

    def _body(self, response: httpx.Response) -> Any:
        if response.is_success:
            return parse_json(response.content)
        fault = fault_of_status(response.status_code)
        said = f"HTTP {response.status_code} {response.text[:500]}"
        raise EngineError(said, fault=fault, retry_after_s=retry_after_s(response.headers.get("retry-after")))

    def _facts(self, names: list[str], server: str) -> EngineFacts:
        # An instruct model's /completions may be missing, or (Ollama) put the prompt into its chat format all the same: only a base model's is relied on.
        options = OPTIONS | ({"json_schema"} if self._card.role == "instruct" else {"raw"})
        return EngineFacts(
            address=str(self._address),
            served_model=self._choose(names),
            kind=_KINDS[self._card.role],
            server=server or "unnamed",
            options=frozenset(options) if self._card.role in ("instruct", "base") else frozenset(),
            tells=frozenset({"finish_reason", "tokens"}) if self._card.role in ("instruct", "base") else frozenset(),
            attributes=reward_facts(self._card).attributes if self._card.role == "reward" else (),
        )

    def _choose(self, names: list[str]) -> str:
        wanted = self._address.served_model
        if wanted in names or (not wanted and len(names) == 1):
            return wanted or names[0]
        listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        problem = f"no model {wanted!r} here" if wanted else "which model is meant?"
        raise EngineError(f"{problem}; served are: {listed or 'none'}; write {self._address}#NAME", fault=EngineFault.UNKNOWN_MODEL)

    @asynccontextmanager
    async def _one_error(self, seconds: float) -> AsyncIterator[None]:
        """Turn whatever fails inside into one EngineError that names the address and holds no secret."""
        try:
            async with asyncio.timeout(seconds + _GRACE_S):
                yield
            return
        except EngineError as error:
            failure, cause = self._access.failure(error.fault, str(error), retry_after_s=error.retry_after_s), error.__cause__
        except TimeoutError as error:
            failure, cause = self._access.failure(EngineFault.DEADLINE, f"no answer within {seconds:g} s"), error
        except httpx.HTTPError as error:
            fault = fault_of_exception(error)
            failure, cause = self._access.failure(fault, str(error) or _unnamed(error, seconds)), error
        raise failure from (None if cause is None or self._access.holds_key(cause) else cause)

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        """Make the connection pool. It belongs to the event loop that is running now."""
        # No limits: how much is in flight is the session's to say. No proxies or netrc from the environment: calls go where settings say.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=60.0)
        transport = httpx.AsyncHTTPTransport(verify=self._tls(), limits=limits, socket_options=_KEEPALIVE, trust_env=False)
        headers = self._access.headers | {"content-type": "application/json", "accept": "application/json"}
        return httpx.AsyncClient(base_url=self._base_url(), headers=headers, transport=transport, trust_env=False)

    def _base_url(self) -> str:
        return f"{'https' if self._address.tls else 'http'}://{bracketed(self._address.host)}:{self._address.port}{self._address.path}"

    def _tls(self) -> ssl.SSLContext | bool:
        if not self._address.tls:
            return False
        return tls_context(self._settings)


def _unnamed(error: httpx.HTTPError, seconds: float) -> str:
    return f"no answer within {seconds:g} s" if isinstance(error, httpx.TimeoutException) else type(error).__name__
