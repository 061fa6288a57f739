"""The `reward` model: `sentences` in, `rewards` and `exceeded` out."""

from typing import Any

import numpy as np
import triton_python_backend_utils as pb

from infra.triton.rehearsal_language.grading import grade
from infra.triton.rehearsal_language.tokens import count_tokens
from infra.triton.rehearsal_models.serving import ServedModel

_CONTEXT_TOKENS = 4096


class Reward(ServedModel):
    """Grade a rendered conversation on five attributes."""

    def answer(self, request: Any) -> Any:
        """Grade."""
        text = pb.get_input_tensor_by_name(request, "sentences").as_numpy().reshape(-1)[0].decode()
        exceeded = int(count_tokens(text) > _CONTEXT_TOKENS)
        return pb.InferenceResponse([pb.Tensor("rewards", np.array([grade(text)], np.float32)), pb.Tensor("exceeded", np.array([[exceeded]], np.int32))])
