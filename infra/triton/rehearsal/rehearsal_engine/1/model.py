"""The step of `ensemble`."""

from infra.triton.rehearsal_models.engine_path import EnginePath


class TritonPythonModel(EnginePath):
    """See infra/triton/rehearsal_models/engine_path.py."""
