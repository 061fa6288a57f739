"""Checks an answer against instructions that a program can verify: IFEval's 25 kinds.

The expected value is JSON, `{"instruction_id_list": […], "kwargs": […], "mode": "strict"}`: as many arguments as instructions, in the data
set's own form (arguments that are null are left out). With the mode `loose` an instruction is followed where any of eight readings follows
it: without the first line, the last, or both, and each of them without asterisks. An answer passes when it follows every instruction; the
verdict's `found` holds the result of each.
"""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from schemas.recipe import Strict
from schemas.records import Verdict
from tasks.ifeval.kinds import KINDS

NAME = "ifeval"


class Expected(Strict):
    """What the reference holds."""

    instruction_id_list: list[str] = Field(min_length=1)
    kwargs: list[dict[str, Any]]
    mode: Literal["strict", "loose"] = "strict"

    @model_validator(mode="after")
    def _is_known(self) -> "Expected":
        if len(self.kwargs) != len(self.instruction_id_list):
            raise ValueError(f"{len(self.instruction_id_list)} instructions have {len(self.kwargs)} sets of arguments")
        unknown = [name for name in self.instruction_id_list if name not in KINDS]
        if unknown:
            raise ValueError(f"no such instructions: {', '.join(unknown)}")
        return self


@dataclass(frozen=True, slots=True)
class Followed:
    """Whether one instruction was followed."""

    instruction: str
    followed: bool


def verify(answer: str, expected: str) -> Verdict:
    """Check an answer against each instruction of the reference."""
    try:
        wanted = Expected.model_validate_json(expected)
        results = check(answer, wanted)
    except ValidationError as error:
        return Verdict(NAME, False, expected, None, f"the reference can't be read: {error.errors()[0]['msg']}")
    except (TypeError, ValueError, AttributeError) as error:
        return Verdict(NAME, False, expected, None, f"the reference's arguments don't fit its instructions: {error}")
    missed = [result.instruction for result in results if not result.followed]
    found = json.dumps([{"instruction": result.instruction, "followed": result.followed} for result in results])
    return Verdict(NAME, not missed, expected, found, f"{wanted.mode}: not followed: {', '.join(missed)}" if missed else f"{wanted.mode}: all followed")


def check(answer: str, wanted: Expected) -> list[Followed]:
    """Check each instruction. Raises TypeError or ValueError where its arguments don't fit."""
    readings = _readings(answer) if wanted.mode == "loose" else [answer]
    readings = [reading for reading in readings if reading.strip()]
    results = []
    for name, kwargs in zip(wanted.instruction_id_list, wanted.kwargs, strict=True):
        follows = partial(KINDS[name], **{key: value for key, value in kwargs.items() if value is not None})
        results.append(Followed(name, any(follows(reading) for reading in readings)))
    return results


def _readings(answer: str) -> list[str]:
    lines = answer.split("\n")
    parts = [answer, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return list(dict.fromkeys([*parts, *(part.replace("*", "") for part in parts)]))
