"""The rehearsal options as a stub reads them: the fields of RehearsalOptions, out of the environment."""

import json
import os
from dataclasses import dataclass

from infra.triton.rehearsal_language.speak import Temper

VARIABLE = "REHEARSAL_OPTIONS"
"""An environment variable, so that the model repository is served as it is, and the models' configs say nothing of one run."""


@dataclass(frozen=True, slots=True)
class Options:
    """See RehearsalOptions in infra/triton/options.py, which writes them."""

    seed: int = 0
    latency_s: float = 0.005
    latency_sigma: float = 0.5
    slots: int = 64
    wrong_rate: float = 0.2
    malformed_rate: float = 0.05
    refusal_rate: float = 0.02
    truncation_rate: float = 0.02
    fault_rate: float = 0.0
    queue: int = 0
    replay: tuple[str, ...] = ()
    call_log: str | None = None

    @property
    def temper(self) -> Temper:
        """What concerns the language."""
        return Temper(self.seed, self.wrong_rate, self.malformed_rate, self.refusal_rate, self.truncation_rate)


def read_options() -> Options:
    """Read what the server was started with; a repository served by hand, without it, has the defaults."""
    return Options(**json.loads(os.environ.get(VARIABLE, "{}")))
