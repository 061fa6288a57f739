"""The `embedding` model: `text_input` in, `embedding` out; a row each."""

from collections.abc import Iterable

import numpy as np

from infra.triton.rehearsal_language.embedding import embed
from infra.triton.rehearsal_models.serving import Call, ServedModel, Tensors, texts_of


class Embedding(ServedModel):
    """Give each text's vector."""

    def read(self, inputs: Tensors) -> Call:
        """Read a request."""
        texts = texts_of(inputs, "text_input")
        if not texts:
            raise ValueError("the input text_input is empty")
        return Call("\n".join(texts), 0, inputs)

    def answer(self, call: Call) -> Iterable[Tensors]:
        """Embed."""
        yield {"embedding": np.array([embed(text) for text in texts_of(call.inputs, "text_input")], np.float32)}

    def asked(self, call: Call) -> Iterable[str]:
        """List the texts."""
        return texts_of(call.inputs, "text_input")
