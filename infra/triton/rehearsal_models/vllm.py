"""The vLLM backend's dialect: sampling as one JSON string, always decoupled, chunks that are deltas."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from infra.triton.rehearsal_language.speak import Asked, Said
from infra.triton.rehearsal_models.generation import Generator
from infra.triton.rehearsal_models.serving import Call, Tensors, text_of, text_tensor, value_of

_DEFAULT_MAX_TOKENS = 16


class Vllm(Generator):
    """One text in, one text out."""

    def read(self, inputs: Tensors) -> Call:
        """Read a request."""
        sampling = _sampling(inputs)
        seed = sampling.get("seed", 0)
        if not isinstance(seed, int):
            raise ValueError(f"sampling_parameters: seed must be a whole number, not {seed!r}")
        return Call(text_of(inputs, "text_input"), seed, inputs | {"sampling": sampling})

    def answer(self, call: Call) -> Iterable[Tensors]:
        """Answer a call."""
        sampling = call.inputs["sampling"]
        stop = sampling.get("stop") or ()
        stops = (stop,) if isinstance(stop, str) else tuple(stop)
        most, temperature = sampling.get("max_tokens", _DEFAULT_MAX_TOKENS), float(sampling.get("temperature", 1.0))
        yield _response(self.say(Asked(call.content, most, temperature, call.seed, stops, _schema(sampling))), call)


def _sampling(inputs: Tensors) -> dict[str, Any]:
    if "sampling_parameters" not in inputs:
        return {}
    sampling = json.loads(text_of(inputs, "sampling_parameters"))
    if not isinstance(sampling, dict):
        raise ValueError("sampling_parameters is not a JSON object")
    return sampling


def _schema(sampling: dict[str, Any]) -> str | None:
    schema = (sampling.get("structured_outputs") or {}).get("json")
    return schema if schema is None or isinstance(schema, str) else json.dumps(schema)


def _response(said: Said, call: Call) -> Tensors:
    excluded = value_of(call.inputs, "exclude_input_in_output", False)
    told: Tensors = {"text_output": text_tensor(said.text if excluded else call.content + said.text, dims=1)}
    if value_of(call.inputs, "return_finish_reason", False):
        told["finish_reason"] = text_tensor(said.finish_reason, dims=1)
    if value_of(call.inputs, "return_cumulative_logprob", False):
        told["cumulative_logprob"] = np.zeros(1, np.float32)
    if value_of(call.inputs, "return_logprobs", False):
        told["logprobs"] = text_tensor("[]", dims=1)
    if value_of(call.inputs, "return_num_input_tokens", False):
        told["num_input_tokens"] = np.array([said.prompt_tokens], np.uint32)
    if value_of(call.inputs, "return_num_output_tokens", False):
        told["num_output_tokens"] = np.array([said.completion_tokens], np.uint32)
    return told
