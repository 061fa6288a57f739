"""The vLLM dialect."""

from infra.triton.rehearsal_models.vllm import Vllm


class TritonPythonModel(Vllm):
    """See infra/triton/rehearsal_models/vllm.py."""
