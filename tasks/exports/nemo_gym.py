"""NeMo Gym's JSONL of verifiable prompts: `responses_create_params.input`, and what the environment needs to judge an answer.

A number's reference becomes `question` and `expected_answer`, as the environment `math_with_judge` takes them, the number read out of a worked
solution; any other verifier's reference stands in `verifier_metadata` as it is. `gym dataset collate` adds the agent.
"""

import json
from typing import Any

from schemas.records import Prompt, Reference
from tasks.export_rows import LeftOut, Rows, metadata, turns
from tasks.verifiers.final_number import NAME as FINAL_NUMBER
from tasks.verifiers.final_number import find_final_number


def from_prompts(row: Prompt) -> Rows | LeftOut:
    """Write a prompt whose right answer is known."""
    if row.reference is None or not row.reference.value.strip():
        return LeftOut("not_verifiable")
    expected = _expected(row.reference)
    if expected is None:
        return LeftOut("bad_reference", f"no number in {row.reference.value[:80]!r}")
    judged = {"verifier": row.reference.verifier, "reference": _parsed(row.reference.value)}
    asked = {"responses_create_params": {"input": turns(row.messages)}, "question": row.messages[-1].content}
    return [{**asked, "expected_answer": expected, "verifier_metadata": judged, "metadata": metadata(row)}]


def _expected(reference: Reference) -> str | None:
    if reference.verifier != FINAL_NUMBER:
        return reference.value
    found = find_final_number(reference.value)
    return found.text if found else None


def _parsed(value: str) -> Any:
    """Open up a reference that is a JSON object; anything else is text, also where it looks like a JSON number."""
    try:
        parsed = json.loads(value)
    except ValueError:
        return value
    return parsed if isinstance(parsed, dict) else value
