"""The engine path, decoupled."""

from infra.triton.rehearsal_models.engine_path import DecoupledEnginePath


class TritonPythonModel(DecoupledEnginePath):
    """See infra/triton/rehearsal_models/engine_path.py."""
