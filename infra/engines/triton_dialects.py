"""The three ways in which models on Triton are asked for text, told apart by what the server declares.

    engine path (`ensemble`, `tensorrt_llm_bls`)   one tensor a knob; tells token counts (newer ones), never a finish reason
    llmapi (`tensorrt_llm`)                        one tensor a knob, other names; tells a finish reason, never counts
    vLLM                                           knobs as one JSON; tells both if asked

A dialect turns a request into inputs, and responses into an answer. It sends no input that this very server does not declare.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from tritonclient.grpc import InferInput, InferResult

from infra.engines.completion import Said, as_completion, strip_echo
from infra.engines.triton_model import ServedModel, count_in, text_in, values_in
from schemas.engine import Answer, GenerateRequest, Request, Sampling
from schemas.errors import EngineError, EngineFault
from schemas.model_card import ModelCard


class Dialect(Protocol):
    """How one served model is talked to."""

    kind: str
    options: frozenset[str]
    tells: frozenset[str]
    attributes: tuple[str, ...]

    def inputs(self, request: Request) -> list[InferInput]:
        """Say the request in this dialect."""
        ...

    def answer(self, results: Sequence[InferResult], request: Request) -> Answer:
        """Read the responses, at least one. Raises EngineError(GARBLED) for what breaks the contract."""
        ...


@dataclass(frozen=True, slots=True)
class Names:
    """What a dialect calls the canonical knobs; several names are tried in order."""

    kind: str
    max_tokens: str
    temperature: str
    top_p: str
    top_k: str
    stop: str
    seed: tuple[str, ...]
    no_echo: str
    repetition_penalty: str = ""
    guide_type: str = ""
    guide: str = ""
    cumulative: bool = False
    """Each chunk repeats the text so far, instead of adding to it."""


ENGINE_PATH = Names(
    kind="triton/ensemble",
    max_tokens="max_tokens",
    temperature="temperature",
    top_p="top_p",
    top_k="top_k",
    stop="stop_words",
    seed=("seed", "random_seed"),  # random_seed up to TensorRT-LLM 0.19
    no_echo="exclude_input_in_output",
    repetition_penalty="repetition_penalty",
    guide_type="guided_decoding_guide_type",
    guide="guided_decoding_guide",
)

LLMAPI = Names(
    kind="triton/llmapi",
    max_tokens="sampling_param_max_tokens",
    temperature="sampling_param_temperature",
    top_p="sampling_param_top_p",
    top_k="sampling_param_top_k",
    stop="sampling_param_stop",
    seed=("sampling_param_seed",),
    no_echo="sampling_param_exclude_input_from_output",
    cumulative=True,
)

_FLAGS = ("return_num_input_tokens", "return_num_output_tokens", "return_finish_reason")
_STREAMS = ("stream", "streaming")
_KNOBS = ("max_tokens", "temperature", "top_p", "top_k", "stop", "repetition_penalty")


def generation_dialect(model: ServedModel, card: ModelCard, *, stream: bool = False) -> Dialect:
    """Choose the dialect of a text model. Raises EngineError(UNSUPPORTED) if it speaks none of the three."""
    if "sampling_parameters" in model.inputs and "text_input" in model.inputs:
        return VllmDialect(model, card, stream=stream)
    if LLMAPI.max_tokens in model.inputs:
        return TensorDialect(model, card, LLMAPI, stream=stream)
    if model.inputs.keys() >= {"text_input", "max_tokens"} and model.batched:
        return TensorDialect(model, card, ENGINE_PATH, stream=stream)
    raise EngineError(
        f"the model {model.name} takes {', '.join(model.inputs) or 'nothing'}: that is no text model of a dialect known here "
        "(TensorRT-LLM ensemble or llmapi, vLLM)",
        fault=EngineFault.UNSUPPORTED,
    )


class _TextDialect:
    """What the dialects share: the prompt in, the text and what is told of it out."""

    def __init__(self, model: ServedModel, card: ModelCard, no_echo: str, *, stream: bool) -> None:
        self.attributes: tuple[str, ...] = ()
        self._model = model
        self._card = card
        self._echoes = no_echo not in model.inputs
        flags = [(name, True) for name in (*_FLAGS, no_echo)] + [(name, stream) for name in _STREAMS]
        self._constant = [model.tensor(name, value) for name, value in flags if name in model.inputs]
        self._cumulative = False
        self._tells_reason = "return_finish_reason" in model.inputs and "finish_reason" in model.outputs
        tells_tokens = {"num_input_tokens", "num_output_tokens"} <= model.outputs.keys()
        self.tells = frozenset((["finish_reason"] if self._tells_reason else []) + (["tokens"] if tells_tokens else []))

    def answer(self, results: Sequence[InferResult], request: Request) -> Answer:
        """Read text, reason and counts."""
        assert isinstance(request, GenerateRequest)
        text = self._text(results)
        counted_in = count_in(results[:1], "num_input_tokens")
        counted_out = count_in(results, "num_output_tokens")
        if self._echoes:
            whole, text = text, strip_echo(text, request.prompt, self._card.control_tokens)
            if len(text) < len(whole) and counted_in is not None and counted_out is not None:
                counted_out = max(0, counted_out - counted_in)  # the count is of what was sent back, the prompt with it
        return as_completion(Said(text, self._reason(results[-1]), counted_in, counted_out), request)

    def _text(self, results: Sequence[InferResult]) -> str:
        texts = [text_in(result, "text_output") for result in results]
        return texts[-1] if self._cumulative else "".join(texts)

    def _reason(self, result: InferResult) -> str | None:
        if not self._tells_reason:
            return None
        values = values_in(result, "finish_reason")
        if values is None or not values.size:
            return None
        reason = text_in(result, "finish_reason").strip().lower()
        # llmapi writes Python's None into the tensor where it has no reason.
        return None if reason in ("", "none") else reason


class TensorDialect(_TextDialect):
    """The engine path and llmapi: a tensor for every knob."""

    def __init__(self, model: ServedModel, card: ModelCard, names: Names, *, stream: bool = False) -> None:
        super().__init__(model, card, names.no_echo, stream=stream)
        self.kind = names.kind
        self._names = names
        self._cumulative = names.cumulative
        self._seed = next((name for name in names.seed if name in model.inputs), None)
        guided = {names.guide_type, names.guide} <= model.inputs.keys()
        told = {knob for knob in _KNOBS if getattr(names, knob) in model.inputs}
        self.options = frozenset(told | {"raw"} | ({"seed"} if self._seed else set()) | ({"json_schema"} if guided else set()))
        # A stage asks thousands of times with one and the same sampling: its tensors are made once.
        self._knobs = lru_cache(maxsize=64)(self._make_knobs)

    def inputs(self, request: Request) -> list[InferInput]:
        """Give the prompt and the seed, beside tensors made before."""
        assert isinstance(request, GenerateRequest)
        inputs = [self._model.tensor("text_input", request.prompt.encode()), *self._knobs(request.sampling), *self._constant]
        if self._seed:
            inputs.append(self._model.tensor(self._seed, request.seed))
        return inputs

    def _make_knobs(self, sampling: Sampling) -> list[InferInput]:
        values = {name: value for name, value in self._values(sampling).items() if name in self._model.inputs}
        return [self._model.tensor(name, *value) for name, value in values.items()]

    def _values(self, sampling: Sampling) -> dict[str, tuple[Any, ...]]:
        names = self._names
        values: dict[str, tuple[Any, ...]] = {names.max_tokens: (sampling.max_tokens,)}
        if sampling.temperature == 0:
            # TensorRT-LLM divides by the temperature; its greedy search is top_k 1.
            values |= {names.top_k: (1,)}
        else:
            values |= {names.temperature: (sampling.temperature,), names.top_p: (sampling.top_p,)}
            values |= {names.top_k: (sampling.top_k,)} if sampling.top_k is not None else {}
        if sampling.repetition_penalty is not None:
            values[names.repetition_penalty] = (sampling.repetition_penalty,)
        if sampling.stop:
            values[names.stop] = tuple(stop.encode() for stop in sampling.stop)
        if sampling.json_schema is not None:
            values |= {names.guide_type: (b"json_schema",), names.guide: (sampling.json_schema.encode(),)}
        return values


class VllmDialect(_TextDialect):
    """vLLM's backend: the knobs are one JSON text."""

    kind = "triton/vllm"
    options = frozenset({*_KNOBS, "raw", "seed", "json_schema"})

    def __init__(self, model: ServedModel, card: ModelCard, *, stream: bool = False) -> None:
        super().__init__(model, card, "exclude_input_in_output", stream=stream)

    def inputs(self, request: Request) -> list[InferInput]:
        """Give the prompt and the JSON of knobs."""
        assert isinstance(request, GenerateRequest)
        knobs = json.dumps(_vllm_parameters(request), ensure_ascii=False)
        prompt, parameters = request.prompt.encode(), knobs.encode()
        return [self._model.tensor("text_input", prompt), self._model.tensor("sampling_parameters", parameters), *self._constant]


def _vllm_parameters(request: GenerateRequest) -> dict[str, Any]:
    sampling = request.sampling
    optional = {
        "top_k": sampling.top_k,
        "repetition_penalty": sampling.repetition_penalty,
        "stop": list(sampling.stop) or None,
        "structured_outputs": {"json": json.loads(sampling.json_schema)} if sampling.json_schema is not None else None,
    }
    always = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p, "seed": request.seed}
    return always | {name: value for name, value in optional.items() if value is not None}
