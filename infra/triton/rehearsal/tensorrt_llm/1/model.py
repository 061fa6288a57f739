"""The llmapi dialect."""

from infra.triton.rehearsal_models.llmapi import LlmApi


class TritonPythonModel(LlmApi):
    """See infra/triton/rehearsal_models/llmapi.py."""
