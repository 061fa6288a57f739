"""The `embedding` model: `text_input` in, `embedding` out."""

from collections.abc import Iterable

import numpy as np

from infra.triton.rehearsal_language.embedding import embed
from infra.triton.rehearsal_models.serving import Call, ServedModel, Tensors, text_of


class Embedding(ServedModel):
    """Give a text's vector."""

    def read(self, inputs: Tensors) -> Call:
        """Read a request."""
        return Call(text_of(inputs, "text_input"), 0, inputs)

    def answer(self, call: Call) -> Iterable[Tensors]:
        """Embed."""
        yield {"embedding": np.array([embed(call.content)], np.float32)}
