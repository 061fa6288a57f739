"""Models behind OpenAI's HTTP API: NVIDIA NIM, trtllm-serve, vLLM, Triton's OpenAI frontend, Ollama.

What is said and read is in openai_wire.py; the connection, and what failures mean, in http_line.py. Here is the call.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from infra import traces
from infra.engines.http_line import HttpLine, refuse_failure
from infra.engines.openai_stream import STREAMED, join_chunks, read_events
from infra.engines.openai_wire import OPTIONS, model_names, parse_json, path_and_body, read_completion, read_embedding, read_embeddings, read_reward
from infra.engines.pacing import paced
from infra.engines.rewards import reward_facts
from infra.engines.server_load import read_load
from infra.settings import Address, Settings
from schemas.engine import Answer, Deadlines, EmbedBatch, EngineFacts, GenerateRequest, Request, RewardRequest, ServerLoad
from schemas.errors import EngineError, EngineFault
from schemas.model_card import ModelCard

_KINDS = {"instruct": "openai/chat", "base": "openai/completions", "reward": "openai/reward", "embedding": "openai/embeddings"}
_METRICS_S = 2.0
_TELLS = {
    "instruct": frozenset({"finish_reason", "tokens"}),
    "base": frozenset({"finish_reason", "tokens"}),
    "reward": frozenset({"exceeded"}),  # by refusing what is too long
}
_BATCH = 32
"""Texts of one call. The API allows 2,048, servers as many as fit into their memory: NIM's and vLLM's own batches are of this size or larger."""
_LISTED = 8
"""Most model names shown in an error."""


def open_engine(address: Address, card: ModelCard, settings: Settings) -> "OpenAIEngine":
    """Open the adapter; see infra.engines.open_engine."""
    return OpenAIEngine(address, card, settings)


class OpenAIEngine:
    """One model behind one base URL."""

    def __init__(self, address: Address, card: ModelCard, settings: Settings) -> None:
        self._address = address
        self._card = card
        self._settings = settings
        self._line = HttpLine(address, settings, address.path)
        self._known: EngineFacts | None = None
        self._inspecting = asyncio.Lock()
        root = self._line.base_url.removesuffix(address.path)
        self._metrics_paths: tuple[str, ...] = tuple(f"{root}{path}" for path in ("/metrics", "/prometheus/metrics", "/v1/metrics"))

    async def inspect(self) -> EngineFacts:
        """Read the model list, and choose the model that the address names, or the only one."""
        async with self._inspecting:
            if self._known is None:
                async with self._line.one_error(self._settings.connect_s):
                    response = await self._line.client.get("/models", timeout=self._settings.connect_s)
                    self._known = self._facts(model_names(self._body(response)), response.headers.get("server", ""))
        return self._known

    async def call(self, request: Request, deadlines: Deadlines) -> Answer:
        """Make one attempt at one request."""
        facts = self._known or await self.inspect()
        timeout = httpx.Timeout(deadlines.total_s, connect=deadlines.connect_s, pool=None)
        async with self._line.one_error(deadlines.total_s):
            path, body = path_and_body(request, facts.served_model)
            if deadlines.streams and isinstance(request, GenerateRequest):
                return self._answer(await self._stream(path, body | STREAMED, timeout, deadlines), request)
            response = await self._line.client.post(path, content=_encode(body), headers=traces.headers(), timeout=timeout)
            return self._answer(self._body(response), request)

    async def _stream(self, path: str, body: dict[str, Any], timeout: httpx.Timeout, deadlines: Deadlines) -> Any:
        async def chunks() -> AsyncGenerator[dict[str, Any], None]:
            async with self._line.client.stream("POST", path, content=_encode(body), headers=traces.headers(), timeout=timeout) as response:
                if not response.is_success:
                    await response.aread()
                    refuse_failure(response)
                async for chunk in read_events(response.aiter_lines()):
                    yield chunk

        async with contextlib.aclosing(chunks()) as coming:
            return join_chunks([chunk async for chunk in paced(coming, deadlines)], chat="messages" in body)

    async def load(self) -> ServerLoad | None:
        """Read the server's metrics page, wherever this kind of server has it."""
        if self._known is None:
            return None
        names = {self._known.served_model}
        for path in self._metrics_paths:
            try:
                response = await self._line.client.get(path, timeout=_METRICS_S)
            except httpx.HTTPError:
                return None
            if response.is_success and (load := read_load(response.text, names)):
                self._metrics_paths = (path,)
                return load
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._line.close()

    def _answer(self, body: Any, request: Request) -> Answer:
        if isinstance(request, GenerateRequest):
            return read_completion(body, request)
        if isinstance(request, RewardRequest):
            return read_reward(body, reward_facts(self._card))
        return read_embeddings(body, len(request.requests)) if isinstance(request, EmbedBatch) else read_embedding(body)

    def _body(self, response: httpx.Response) -> Any:
        refuse_failure(response)
        return parse_json(response.content)

    def _facts(self, names: list[str], server: str) -> EngineFacts:
        # An instruct model's /completions may be missing, or (Ollama) put the prompt into its chat format all the same: only a base model's is relied on.
        options = OPTIONS | ({"json_schema"} if self._card.role == "instruct" else {"raw"})
        return EngineFacts(
            address=str(self._address),
            served_model=self._choose(names),
            kind=_KINDS[self._card.role],
            server=server or "unnamed",
            options=frozenset(options) if self._card.role in ("instruct", "base") else frozenset(),
            tells=_TELLS.get(self._card.role, frozenset()),
            attributes=reward_facts(self._card).attributes if self._card.role == "reward" else (),
            batch=_BATCH if self._card.role == "embedding" else 1,
        )

    def _choose(self, names: list[str]) -> str:
        wanted = self._address.served_model
        if wanted in names or (not wanted and len(names) == 1):
            return wanted or names[0]
        listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        problem = f"no model {wanted!r} here" if wanted else "which model is meant?"
        raise EngineError(f"{problem}; served are: {listed or 'none'}; write {self._address}#NAME", fault=EngineFault.UNKNOWN_MODEL)


def _encode(body: dict[str, Any]) -> bytes:
    # Written here, not by httpx: it refuses nothing and leaves non-ASCII text as it is.
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
