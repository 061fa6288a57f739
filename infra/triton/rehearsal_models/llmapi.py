"""TensorRT-LLM's llmapi dialect: what `tensorrt_llm` says on the wire, its oddities included.

Optional outputs come only where asked for, and the numeric ones among them as strings, as upstream's code sends them.
"""

from collections.abc import Iterable
from typing import Any

from infra.triton.rehearsal_language.speak import Asked
from infra.triton.rehearsal_models.generation import Generator
from infra.triton.rehearsal_models.serving import Call, Tensors, text_of, text_tensor, texts_of, value_of

_DEFAULT_MAX_TOKENS = 32
_METRICS = (
    "kv_cache_reused_block",
    "kv_cache_missed_block",
    "kv_cache_alloc_new_blocks",
    "kv_cache_alloc_total_blocks",
    "kv_cache_hit_rate",
    "arrival_time_ns",
    "first_scheduled_time_ns",
    "first_token_time_ns",
    "last_token_time_ns",
    "acceptance_rate",
    "total_accepted_draft_tokens",
    "total_draft_tokens",
)


class LlmApi(Generator):
    """One text in, one text out, with a finish reason."""

    def read(self, inputs: Tensors) -> Call:
        """Read a request."""
        if value_of(inputs, "streaming", False):
            raise ValueError("Streaming is only possible in decoupled mode")
        if value_of(inputs, "stop", False):
            raise ValueError("A request to stop another is not served here: cancel the call instead")
        return Call(text_of(inputs, "text_input"), value_of(inputs, "sampling_param_seed", 0), inputs)

    def answer(self, call: Call) -> Iterable[Tensors]:
        """Answer a call."""
        said = self.say(_asked(call))
        excluded = value_of(call.inputs, "sampling_param_exclude_input_from_output", False)
        told: dict[str, Any] = {"text_output": text_tensor(said.text if excluded else call.content + said.text, dims=1)}
        if value_of(call.inputs, "return_finish_reason", False):
            told["finish_reason"] = text_tensor(said.finish_reason, dims=1)
        if value_of(call.inputs, "return_stop_reason", False):
            told["stop_reason"] = text_tensor(str(said.stop_reason), dims=1)
        if value_of(call.inputs, "return_cumulative_logprob", False):
            told["cumulative_logprob"] = text_tensor("0.0", dims=1)
        if value_of(call.inputs, "sampling_param_return_perf_metrics", False):
            told |= {name: text_tensor("0.0", dims=1) for name in _METRICS}
        yield told


def _asked(call: Call) -> Asked:
    greedy = value_of(call.inputs, "sampling_param_top_k", 0) == 1
    temperature = 0.0 if greedy else value_of(call.inputs, "sampling_param_temperature", 1.0)
    most = value_of(call.inputs, "sampling_param_max_tokens", _DEFAULT_MAX_TOKENS)
    return Asked(call.content, most, temperature, call.seed, texts_of(call.inputs, "sampling_param_stop"))
