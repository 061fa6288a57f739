"""The reward model."""

from infra.triton.rehearsal_models.reward import Reward


class TritonPythonModel(Reward):
    """See infra/triton/rehearsal_models/reward.py."""
