"""The embedding model."""

from infra.triton.rehearsal_models.embedding import Embedding


class TritonPythonModel(Embedding):
    """See infra/triton/rehearsal_models/embedding.py."""
