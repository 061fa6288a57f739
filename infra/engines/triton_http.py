"""Reward models on Triton over HTTP alone, as PyTriton serves NeMo-Aligner's: KServe's v2 protocol, JSON out and numbers back.

Where a server speaks gRPC too, triton.py is the better wire: it streams, and cancels at the server. Here a closed connection is all that tells.
"""

import asyncio
import json
from typing import Any

import httpx
import numpy as np
from tritonclient.utils import triton_to_np_dtype

from infra import traces
from infra.engines.http_line import HttpLine, refuse_failure
from infra.engines.openai_wire import parse_json
from infra.engines.rewards import reward_from_numbers
from infra.engines.triton_model import ServedModel
from infra.engines.triton_scores import check_reward_model
from infra.settings import Address, Settings
from schemas.engine import Answer, Deadlines, EngineFacts, Request, RewardRequest, ServerLoad
from schemas.errors import EngineError, EngineFault
from schemas.model_card import ModelCard, RewardFacts

_HEADER = "inference-header-content-length"
"""Where the JSON of a response ends and the tensors' bytes begin. JSON knows no NaN, so rewards are asked for as bytes."""


def open_engine(address: Address, card: ModelCard, settings: Settings) -> "TritonHttpEngine":
    """Open the adapter; see infra.engines.open_engine."""
    if card.role != "reward":
        message = f"{address}: Triton is spoken to over HTTP for reward models only, and {card.id} is {card.role}: write grpc://…"
        raise EngineError(message, fault=EngineFault.UNSUPPORTED)
    return TritonHttpEngine(address, card, settings)


class TritonHttpEngine:
    """One reward model on one server."""

    def __init__(self, address: Address, card: ModelCard, settings: Settings) -> None:
        self._address = address
        self._card = card
        self._settings = settings
        self._name = address.path.strip("/") or "reward"
        self._line = HttpLine(address, settings, "")
        self._known: tuple[ServedModel, RewardFacts, EngineFacts] | None = None
        self._inspecting = asyncio.Lock()

    async def inspect(self) -> EngineFacts:
        """Read what is served here."""
        return (await self._knowledge())[2]

    async def call(self, request: Request, deadlines: Deadlines) -> Answer:
        """Make one attempt at one request."""
        assert isinstance(request, RewardRequest)
        model, facts, _ = self._known or await self._knowledge()
        timeout = httpx.Timeout(deadlines.total_s, connect=deadlines.connect_s, pool=None)
        async with self._line.one_error(deadlines.total_s):
            path = f"/v2/models/{model.name}/infer"
            response = await self._line.client.post(path, content=_body(model, request), headers=traces.headers(), timeout=timeout)
            refuse_failure(response)
            outputs = read_outputs(response.content, response.headers.get(_HEADER))
            if "rewards" not in outputs:
                raise _garbled(f"the answer has no rewards, but {', '.join(outputs) or 'nothing'}")
            exceeded = bool(np.any(outputs.get("exceeded", False)))
            return reward_from_numbers([float(number) for number in outputs["rewards"].flat], facts, exceeded=exceeded)

    async def load(self) -> ServerLoad | None:
        """Tell nothing: such servers have their metrics switched off as a rule, and at another port."""
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._line.close()

    async def _knowledge(self) -> tuple[ServedModel, RewardFacts, EngineFacts]:
        async with self._inspecting:
            if self._known is None:
                async with self._line.one_error(self._settings.connect_s):
                    self._known = await self._read_server()
        return self._known

    async def _read_server(self) -> tuple[ServedModel, RewardFacts, EngineFacts]:
        server = await self._get("/v2")
        model = _served_model(await self._get(f"/v2/models/{self._name}"), await self._get(f"/v2/models/{self._name}/config"))
        facts = check_reward_model(model, self._card)
        tells = frozenset({"exceeded"} if "exceeded" in model.outputs else ())
        named = f"{server.get('name', 'unnamed')} {server.get('version', '')}".strip()
        return model, facts, EngineFacts(str(self._address), model.name, "triton/reward-http", named, tells=tells, attributes=facts.attributes)

    async def _get(self, path: str) -> dict[str, Any]:
        response = await self._line.client.get(path, timeout=self._settings.connect_s)
        refuse_failure(response)
        body = parse_json(response.content)
        if not isinstance(body, dict):
            raise _garbled(f"no object at {path} but {body!r:.80}: is this a Triton server?")
        return body


def read_outputs(content: bytes, header_length: str | None) -> dict[str, Any]:
    """Read a response's tensors by name: those of the JSON, and those whose bytes follow it. Raises EngineError(GARBLED)."""
    end = int(header_length) if header_length and header_length.isdigit() else len(content)
    body = parse_json(content[:end])
    outputs = body.get("outputs") if isinstance(body, dict) else None
    if not isinstance(outputs, list):
        raise _garbled(f"the answer has no outputs: {body!r:.80}")
    found: dict[str, Any] = {}
    for one in outputs:
        found[str(one.get("name"))], end = _read_tensor(one, content, end)
    return found


def _read_tensor(described: dict[str, Any], content: bytes, at: int) -> tuple[Any, int]:
    name = described.get("name")
    size = (described.get("parameters") or {}).get("binary_data_size")
    try:
        kind = triton_to_np_dtype(described["datatype"])
        if size is None:
            return np.array(described["data"], dtype=kind), at
        return np.frombuffer(content[at : at + size], dtype=kind), at + size
    except (KeyError, TypeError, ValueError) as error:
        raise _garbled(f"{name} can't be decoded: {error}") from error


def _body(model: ServedModel, request: RewardRequest) -> bytes:
    shape = [1, 1] if model.batched else [1]
    sentences = {"name": "sentences", "shape": shape, "datatype": "BYTES", "data": [request.prompt]}
    asked = {"id": request.key, "inputs": [sentences], "parameters": {"binary_data_output": True}}
    return json.dumps(asked, ensure_ascii=False).encode()


def _served_model(metadata: dict[str, Any], config: dict[str, Any]) -> ServedModel:
    inputs, outputs = ({one["name"]: one["datatype"] for one in metadata.get(part, [])} for part in ("inputs", "outputs"))
    parameters = {name: str(value.get("string_value", "")) for name, value in (config.get("parameters") or {}).items()}
    batched = int(config.get("max_batch_size", 0)) > 0
    return ServedModel(name=str(metadata.get("name")), inputs=inputs, outputs=outputs, batched=batched, decoupled=False, parameters=parameters)


def _garbled(message: str) -> EngineError:
    return EngineError(message, fault=EngineFault.GARBLED)
