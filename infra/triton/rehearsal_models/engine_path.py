"""TensorRT-LLM's engine path: what `ensemble` and its decoupled twin `tensorrt_llm_bls` say on the wire.

As upstream: the output repeats the prompt unless told not to, and the token count then includes it; a stop string that ended the answer stays in the text;
there is no finish reason. Inputs that steer a neural network (penalties, beams, LoRA …) are accepted and have no effect.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from infra.triton.rehearsal_language.speak import Asked, Said
from infra.triton.rehearsal_language.tokens import count_tokens, split_words
from infra.triton.rehearsal_models.generation import Generator
from infra.triton.rehearsal_models.serving import Call, Tensors, text_of, text_tensor, texts_of, value_of

_INT32 = (
    "batch_index",
    "sequence_index",
    "kv_cache_alloc_new_blocks",
    "kv_cache_reused_blocks",
    "kv_cache_alloc_total_blocks",
    "total_accepted_draft_tokens",
    "total_draft_tokens",
    "num_input_tokens",
    "num_output_tokens",
)
_INT64 = ("arrival_time_ns", "first_scheduled_time_ns", "first_token_time_ns", "last_token_time_ns")
# An ensemble fails ("unexpected deadlock") if its step leaves out an output that the caller wants, so there is a zero for each.
_ZEROS: Tensors = {
    "cum_log_probs": np.zeros((1, 1), np.float32),
    "output_log_probs": np.zeros((1, 1, 1), np.float32),
    "context_logits": np.zeros((1, 1, 1), np.float32),
    "generation_logits": np.zeros((1, 1, 1, 1), np.float32),
    "acceptance_rate": np.zeros((1, 1), np.float32),
    **{name: np.zeros((1, 1), np.int32) for name in _INT32},
    **{name: np.zeros((1, 1), np.int64) for name in _INT64},
}
_MOST_SEQUENCES = 64
_ANY_JSON = '{"type": "object", "properties": {"answer": {"type": "string"}}}'
_CHUNK_WORDS = 8


class EnginePath(Generator):
    """One text in, one text out."""

    def read(self, inputs: Tensors) -> Call:
        """Read a request."""
        if value_of(inputs, "stream", False):
            raise ValueError("Streaming needs the decoupled model: call tensorrt_llm_bls")
        if value_of(inputs, "num_return_sequences", 1) > 1:
            raise ValueError("Several sequences need the decoupled model: call tensorrt_llm_bls")
        return _call(inputs)

    def answer(self, call: Call) -> Iterable[Tensors]:
        """Answer a call."""
        yield _response(self.say(_asked(call)), call)


class DecoupledEnginePath(Generator):
    """The decoupled twin: several sequences, and streaming by chunks that are deltas."""

    def read(self, inputs: Tensors) -> Call:
        """Read a request."""
        if not 1 <= value_of(inputs, "num_return_sequences", 1) <= _MOST_SEQUENCES:
            raise ValueError(f"num_return_sequences must be between 1 and {_MOST_SEQUENCES}")
        return _call(inputs)

    def answer(self, call: Call) -> Iterable[Tensors]:
        """Answer a call."""
        asked = _asked(call)
        for index in range(value_of(call.inputs, "num_return_sequences", 1)):
            said = self.say(replace(asked, seed=asked.seed + index))
            chunks = _chunks(said) if value_of(call.inputs, "stream", False) else [said]
            for number, chunk in enumerate(chunks):
                yield _response(chunk, call, first=number == 0) | {"sequence_index": np.array([[index]], np.int32)}


def _call(inputs: Tensors) -> Call:
    return Call(text_of(inputs, "text_input"), value_of(inputs, "seed", 0), inputs)


def _asked(call: Call) -> Asked:
    greedy = value_of(call.inputs, "top_k", 0) == 1
    temperature = 0.0 if greedy else value_of(call.inputs, "temperature", 1.0)
    most, stops = value_of(call.inputs, "max_tokens", 16), texts_of(call.inputs, "stop_words")
    return Asked(call.content, most, temperature, call.seed, stops, _schema(call.inputs))


def _schema(inputs: Tensors) -> str | None:
    if "guided_decoding_guide_type" not in inputs:
        return None
    kind = text_of(inputs, "guided_decoding_guide_type")
    if kind not in ("json", "json_schema"):
        raise ValueError(f"guided_decoding_guide_type {kind!r} is not served here: json or json_schema")
    return text_of(inputs, "guided_decoding_guide") if kind == "json_schema" else _ANY_JSON


def _response(said: Said, call: Call, *, first: bool = True) -> Tensors:
    echoed = first and not value_of(call.inputs, "exclude_input_in_output", False)
    text = (call.content if echoed else "") + said.text + (said.stop_reason or "")
    told: dict[str, Any] = {"text_output": text_tensor(text, dims=2)}
    if value_of(call.inputs, "return_num_input_tokens", False):
        told["num_input_tokens"] = np.array([[said.prompt_tokens]], np.int32)
    if value_of(call.inputs, "return_num_output_tokens", False):
        told["num_output_tokens"] = np.array([[said.completion_tokens + (said.prompt_tokens if echoed else 0)]], np.int32)
    return _ZEROS | told


def _chunks(said: Said) -> list[Said]:
    pieces = split_words(said.text, _CHUNK_WORDS) or [""]
    last = len(pieces) - 1
    reasons = [said.stop_reason if number == last else None for number in range(len(pieces))]
    return [
        replace(said, text=piece, stop_reason=reason, completion_tokens=count_tokens(piece + (reason or "")))
        for piece, reason in zip(pieces, reasons, strict=True)
    ]
