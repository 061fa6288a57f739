"""How the rehearsal models behave: written by the server's owner, read by the models in Triton's stubs. Standard library only, as both sides import it."""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "REHEARSAL_OPTIONS"
"""Options travel in the environment, so that the model repository is served as it is and the models' configs say nothing of one run."""

_SHARES = ("wrong_rate", "malformed_rate", "refusal_rate", "truncation_rate", "biased_rate", "fault_rate")
_LEAST = {"latency_s": 0, "latency_sigma": 0, "slots": 1, "queue": 0}


@dataclass(frozen=True, slots=True)
class RehearsalOptions:
    """How the rehearsal models behave. Shares are of answers, chosen by `seed`, prompt and sampling seed, except where said."""

    seed: int = 0
    """Root of every share and latency below."""
    latency_s: float = 0.005
    """Median service time of a call."""
    latency_sigma: float = 0.5
    """Spread of the service time, log-normal."""
    slots: int = 64
    """Calls served at once by each model; the others wait."""
    wrong_rate: float = 0.2
    """Share of mathematical answers with a wrong number."""
    malformed_rate: float = 0.05
    """Share of lists in another form or of another length than asked for, and of other answers that get stuck or are in another language."""
    refusal_rate: float = 0.02
    """Share of answers that decline."""
    truncation_rate: float = 0.02
    """Share of answers that run on until max_tokens."""
    biased_rate: float = 0.15
    """Share of cases in which the model as judge prefers the answer that it reads first, whichever it is."""
    fault_rate: float = 0.0
    """Share of attempts, not of prompts, that fail: the same call asked again may pass."""
    queue: int = 0
    """Calls that may wait; one more is refused as Triton refuses it ('Exceeds maximum queue size'). 0 sets no limit."""
    replay: tuple[Path, ...] = ()
    """Recorded answers, given to the prompts they belong to; see rehearsal_language/replay.py."""
    call_log: Path | None = None
    """A file that gets one JSON line per answered call (model, request_id, seed, content_sha256): what was really asked, told by the server."""
    control: Path | None = None
    """A file that may change `slots` while the models serve (`{"slots": 8}`); written by `ServedTriton.set_slots`."""

    def to_json(self) -> str:
        """Encode for the models."""
        return json.dumps(dataclasses.asdict(self), default=lambda path: str(path.absolute()))


def explain_fault(options: RehearsalOptions) -> str | None:
    """Say what is wrong with a value; None if nothing is."""
    for name in _SHARES:
        if not 0 <= getattr(options, name) <= 1:
            return f"{name} is a share between 0 and 1, not {getattr(options, name)}"
    for name, least in _LEAST.items():
        if not getattr(options, name) >= least:
            return f"{name} must be at least {least}, not {getattr(options, name)}"
    return None


def read_options() -> RehearsalOptions:
    """Read, in a stub, what the server was started with; a repository served by hand has the defaults."""
    told = json.loads(os.environ.get(VARIABLE, "{}"))
    told["replay"] = tuple(map(Path, told.get("replay", ())))
    told["control"] = Path(told["control"]) if told.get("control") else None
    return RehearsalOptions(**told)


def read_slots(control: Path) -> int | None:
    """Read what a control file asks for; None where it asks for nothing."""
    try:
        slots = json.loads(control.read_text(encoding="utf-8"))["slots"]
    except FileNotFoundError:
        return None
    return int(slots)


def write_slots(control: Path, slots: int) -> None:
    """Ask the models for so many slots; they look ten times a second."""
    new = control.with_suffix(".new")
    new.write_text(json.dumps({"slots": slots}), encoding="utf-8")
    new.replace(control)
