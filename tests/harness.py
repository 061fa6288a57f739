"""The product as a user has it: the command line on a data folder of its own, and a real Triton whose calls are counted."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.triton.server import RehearsalOptions, ServedTriton

GRISTMILL = str(Path(sys.executable).with_name("gristmill"))

SMALL = """
name: small
models: {writer: rehearsal-instruct, responder: rehearsal-instruct, user: rehearsal-instruct, reward: rehearsal-reward}
prompts:
  - {technique: open_qa, topics: 3, subtopics: 2, questions: 4, revise: false}
  - {technique: math, topics: 2, problems: 3}
responses:
  - {technique: answer, samples: 3, only: [open_qa, math]}
  - {technique: dialogue, samples: 1, user_turns: 2, only: [open_qa]}
filters:
  - {filter: truncated}
  - {filter: refusal}
  - {filter: below_reward, minimum: 3.0, bars: chosen}
shard_records: 8
"""


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass(frozen=True)
class Factory:
    """A data folder and the engines to use."""

    data: Path
    engines: str
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables."""

    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("GRISTMILL_", "PREFECT_"))}
        return clean | {"GRISTMILL_DATA": str(self.data), "GRISTMILL_ENGINES": self.engines} | dict(self.settings)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen([GRISTMILL, *arguments], env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def call(self, *arguments: str) -> Finished:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=600)
        return Finished(process.returncode, out, err)


def stumbling(call_log: Path) -> RehearsalOptions:
    """Choose models whose answers meet every parser, filter and retry, and a log of what they were really asked."""
    return RehearsalOptions(latency_s=0.02, slots=16, call_log=call_log, wrong_rate=0.3, refusal_rate=0.05, truncation_rate=0.05, malformed_rate=0.1)


def engines_of(served: ServedTriton) -> str:
    return " ".join(f"{card}={address.url}" for card, addresses in served.addresses().items() for address in addresses)


def served_keys(call_log: Path) -> list[str]:
    """List the keys of the calls that the server has answered, in its own order: a call's request id is its key."""
    if not call_log.exists():
        return []
    return [json.loads(line)["request_id"] for line in call_log.read_text(encoding="utf-8").splitlines()]


def data_files(release: Path, *data_sets: str) -> Mapping[str, str]:
    """Hash every Parquet file of a release, or of some of its data sets."""
    paths = sorted(path for folder in data_sets or ("",) for path in (release / folder).rglob("*.parquet"))
    return {str(path.relative_to(release)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
