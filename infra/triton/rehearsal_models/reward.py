"""The `reward` model: `sentences` in, `rewards` and `exceeded` out."""

from collections.abc import Iterable

import numpy as np

from infra.triton.rehearsal_language.grading import grade
from infra.triton.rehearsal_language.tokens import count_tokens, cut_tokens
from infra.triton.rehearsal_models.serving import Call, ServedModel, Tensors, text_of

CONTEXT_TOKENS = 4096


class Reward(ServedModel):
    """Grade a rendered conversation on five attributes; of one that is too long, its beginning."""

    def read(self, inputs: Tensors) -> Call:
        """Read a request."""
        return Call(text_of(inputs, "sentences"), 0, inputs)

    def answer(self, call: Call) -> Iterable[Tensors]:
        """Grade."""
        exceeded = count_tokens(call.content) > CONTEXT_TOKENS
        graded = grade(cut_tokens(call.content, CONTEXT_TOKENS))
        yield {"rewards": np.array([graded], np.float32), "exceeded": np.array([[exceeded]], np.int32)}
