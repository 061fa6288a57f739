"""The rehearsal options as a stub reads them: the fields of RehearsalOptions, out of the environment."""

import json
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """See infra/triton/server.py, which writes them."""

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


def read_options() -> Options:
    """Read what the server was started with; a repository served by hand, without it, has the defaults."""
    return Options(**json.loads(os.environ.get("REHEARSAL_OPTIONS", "{}")))
