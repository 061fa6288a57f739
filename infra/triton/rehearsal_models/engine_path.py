"""TensorRT-LLM's engine path: what `ensemble` and its decoupled twin `tensorrt_llm_bls` say on the wire."""

from typing import Any

import numpy as np
import triton_python_backend_utils as pb

from infra.triton.rehearsal_language.speak import Asked, speak
from infra.triton.rehearsal_models.serving import ServedModel


def _one(request: Any, name: str, default: Any) -> Any:
    tensor = pb.get_input_tensor_by_name(request, name)
    return default if tensor is None else tensor.as_numpy().reshape(-1)[0]


_ZERO = {
    "cum_log_probs": np.zeros((1, 1), np.float32),
    "output_log_probs": np.zeros((1, 1, 1), np.float32),
    "context_logits": np.zeros((1, 1, 1), np.float32),
    "generation_logits": np.zeros((1, 1, 1, 1), np.float32),
    **{
        name: np.zeros((1, 1), np.int32)
        for name in (
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
    },
    **{name: np.zeros((1, 1), np.int64) for name in ("arrival_time_ns", "first_scheduled_time_ns", "first_token_time_ns", "last_token_time_ns")},
    "acceptance_rate": np.zeros((1, 1), np.float32),
}


class EnginePath(ServedModel):
    def answer(self, request: Any) -> Any:
        prompt = _one(request, "text_input", b"").decode()
        stops = pb.get_input_tensor_by_name(request, "stop_words")
        stop = () if stops is None else tuple(word.decode() for word in stops.as_numpy().reshape(-1))
        asked = Asked(prompt, int(_one(request, "max_tokens", 16)), float(_one(request, "temperature", 1.0)), int(_one(request, "seed", 0)), stop)
        said = speak(asked)
        excluded = bool(_one(request, "exclude_input_in_output", False))
        out = dict(_ZERO)
        out["text_output"] = np.array([[(said.text if excluded else prompt + said.text).encode()]], dtype=np.object_)
        if _one(request, "return_num_input_tokens", False):
            out["num_input_tokens"] = np.array([[said.prompt_tokens]], np.int32)
        if _one(request, "return_num_output_tokens", False):
            out["num_output_tokens"] = np.array([[said.completion_tokens + (0 if excluded else said.prompt_tokens)]], np.int32)
        wanted = request.requested_output_names()
        return pb.InferenceResponse([pb.Tensor(name, value) for name, value in out.items() if name in wanted])
