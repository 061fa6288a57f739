"""NeMo Gym's JSONL of verifiable prompts: `responses_create_params.input`, and what the environment needs to judge an answer.

Which keys those are is the environment's business: `math_with_judge` takes `question` and `expected_answer` (the number, read out of a worked
solution), `instruction_following` the list of instructions with their arguments, `structured_outputs` the schema. For any other verifier the
reference is `expected_answer` as it stands. `verifier_metadata` says which verifier it is, to part a mixed file by; `gym dataset collate` adds the agent.
"""

import json
from typing import Any

from schemas.records import Prompt
from tasks.release.export_rows import LeftOut, Rows, metadata, turns
from tasks.verifiers.final_number import find_final_number


def from_prompts(row: Prompt) -> Rows | LeftOut:
    """Write a prompt whose right answer is known."""
    if row.reference is None or not row.reference.value.strip():
        return LeftOut("not_verifiable")
    judged = _JUDGED.get(row.reference.verifier, _by_answer)(row, row.reference.value)
    if judged is None:
        return LeftOut("bad_reference", f"{row.reference.verifier}: {row.reference.value[:80]!r}")
    about = {"verifier_metadata": {"verifier": row.reference.verifier, "reference": row.reference.value}, "metadata": metadata(row)}
    return [{"responses_create_params": {"input": turns(row.messages)}, **judged, **about}]


def _by_answer(row: Prompt, value: str) -> dict[str, Any] | None:
    return {"question": row.messages[-1].content, "expected_answer": value}


def _by_number(row: Prompt, value: str) -> dict[str, Any] | None:
    found = find_final_number(value)
    return _by_answer(row, found.text) if found else None


def _by_instructions(row: Prompt, value: str) -> dict[str, Any] | None:
    """Name the row by 52 bits of its own id, as the environment wants a number; all instructions must be followed, as our verifier has it."""
    wanted = _object(value)
    if not wanted or not {"instruction_id_list", "kwargs"} <= wanted.keys():
        return None
    asked = {"id": int(row.prompt_id[:13], 16), "prompt": row.messages[-1].content}
    return {**asked, "instruction_id_list": wanted["instruction_id_list"], "kwargs": wanted["kwargs"], "grading_mode": "binary"}


def _by_schema(row: Prompt, value: str) -> dict[str, Any] | None:
    return {"schema_str": value, "schema_type": "json"} if _object(value) is not None else None


def _object(value: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(value)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


_JUDGED = {"final_number": _by_number, "ifeval": _by_instructions, "json_schema": _by_schema}
