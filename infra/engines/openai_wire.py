"""What is said and heard over OpenAI's HTTP API: chat completions, completions, embeddings, and reward models behind a chat.

Pure: bodies out, parsed JSON in. Only standard fields are sent, and `top_k` and `repetition_penalty` where a recipe sets them.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infra.engines.completion import Said, as_completion
from infra.engines.rewards import reward_from_content, reward_from_logprobs
from schemas.engine import Completion, EmbedBatch, Embedding, Embeddings, EmbedRequest, GenerateRequest, Request, Reward, RewardRequest, Sampling, texts_of
from schemas.errors import EngineError, EngineFault
from schemas.model_card import RewardFacts
from schemas.records import Message, Messages

OPTIONS = frozenset({"max_tokens", "temperature", "top_p", "stop", "seed", "top_k", "repetition_penalty"})
"""A server of this kind declares nothing, so these are what the API and its common extensions know."""


_MOST = 3.4e38
"""Of a 32-bit float."""


def path_and_body(request: Request, served_model: str) -> tuple[str, dict[str, Any]]:
    """Say a request: the path under the base, and the JSON body."""
    named = {"model": served_model}
    if isinstance(request, EmbedRequest | EmbedBatch):
        return "/embeddings", named | {"input": [one.prompt for one in texts_of(request)]}
    if isinstance(request, RewardRequest):
        # The graded conversation and nothing else: NVIDIA's reward endpoints refuse sampling fields.
        return "/chat/completions", named | {"messages": _plain(fold_system(request.messages))}
    knobs = _knobs(request.sampling) | {"seed": request.seed}
    if request.messages:
        return "/chat/completions", named | {"messages": _plain(request.messages)} | knobs | _guide(request.sampling)
    if request.sampling.json_schema is not None:
        raise EngineError("completions can't be told a JSON schema: give messages, not a raw prompt", fault=EngineFault.UNSUPPORTED)
    return "/completions", named | {"prompt": request.prompt} | knobs


def read_completion(body: Any, request: GenerateRequest) -> Completion:
    """Read the answer to a chat completion or a completion."""
    choice = _first(body, "choices")
    text = _message(choice).get("content") if request.messages else choice.get("text")
    # Servers with a reasoning parser tell the thoughts apart, and give no content where the answer never came.
    thoughts = _message(choice).get("reasoning_content") or _message(choice).get("reasoning") or ""
    text = "" if text is None and thoughts else text
    if not isinstance(text, str):
        raise _garbled(f"the answer's text is {text!r:.80}")
    usage = body.get("usage") if isinstance(body.get("usage"), dict) else {}
    reason = choice.get("finish_reason")
    said = Said(text, str(reason) if reason is not None else None, _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))
    return replace(as_completion(said, request), reasoning=str(thoughts).strip())


def read_reward(body: Any, facts: RewardFacts) -> Reward:
    """Read a grade: from the content first; from the log-probabilities where the content is none."""
    choice = _first(body, "choices")
    content = _message(choice).get("content")
    if isinstance(content, str):
        reward = reward_from_content(content, facts)
        if reward is not None:
            return reward
    logprobs = choice.get("logprobs")
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _garbled(f"no reward in {content!r:.80}: it should be like helpfulness:1.2,correctness:3.4 or reward:-7.3")
    return reward_from_logprobs(entries, facts)


def read_embedding(body: Any) -> Embedding:
    """Read a vector."""
    return _embedding(_first(body, "data"))


def read_embeddings(body: Any, wanted: int) -> Embeddings:
    """Read as many vectors as there were texts, in the order of their `index`."""
    _first(body, "data")
    data = body["data"]
    places = {one.get("index"): one for one in data if isinstance(one, dict)}
    if len(data) != wanted or places.keys() != set(range(wanted)):
        raise _garbled(f"{len(data)} vectors, numbered {sorted(places, key=str)[:8]}, for {wanted} texts")
    return Embeddings(tuple(_embedding(places[number]) for number in range(wanted)))


def _embedding(entry: Mapping[str, Any]) -> Embedding:
    vector = entry.get("embedding")
    if not isinstance(vector, list) or not vector or not all(_finite(value) and abs(value) < _MOST for value in vector):
        raise _garbled(f"no vector of finite numbers in {vector!r:.80}")
    # Models compute in 32 bits at most: so much of a number is kept.
    return Embedding(tuple(struct.unpack(f"<{len(vector)}f", struct.pack(f"<{len(vector)}f", *vector))))


def model_names(body: Any) -> list[str]:
    """Read the model list."""
    listed = body.get("data") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        raise _garbled(f"no model list in {body!r:.80}: is this an OpenAI-compatible server, and does the address end in /v1?")
    return [str(one["id"]) for one in listed if isinstance(one, dict) and "id" in one]


def parse_json(content: bytes) -> Any:
    """Decode a body. Raises EngineError(GARBLED)."""
    try:
        return json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise _garbled(f"the answer is not JSON ({error}): {content[:80]!r}") from error


def fold_system(messages: Messages) -> Messages:
    """Put a system message into the first user turn: reward endpoints take only user and assistant turns."""
    if len(messages) < 2 or messages[0].role != "system":
        return messages
    system, first, *rest = messages
    return (Message("user", f"{system.content}\n\n{first.content}"), *rest)


def _knobs(sampling: Sampling) -> dict[str, Any]:
    knobs: dict[str, Any] = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p}
    optional = {"top_k": sampling.top_k, "repetition_penalty": sampling.repetition_penalty, "stop": list(sampling.stop) or None}
    return knobs | {name: value for name, value in optional.items() if value is not None}


def _guide(sampling: Sampling) -> dict[str, Any]:
    if sampling.json_schema is None:
        return {}
    schema = {"name": "answer", "schema": json.loads(sampling.json_schema), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _plain(messages: Messages) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in messages]


def _first(body: Any, name: str) -> dict[str, Any]:
    items = body.get(name) if isinstance(body, dict) else None
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        raise _garbled(f"the answer has no {name}: {body!r:.80}")
    return items[0]


def _message(choice: Mapping[str, Any]) -> dict[str, Any]:
    message = choice.get("message")
    return message if isinstance(message, dict) else {}


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and value >= 0 else None


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _garbled(message: str) -> EngineError:
    return EngineError(message, fault=EngineFault.GARBLED)
