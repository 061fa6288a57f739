"""Checks that an answer is JSON which fits a schema.

The expected value is the JSON schema itself (draft 2020-12 where it names no other). The answer may be bare JSON or hold it in a fenced block,
of which the last that says `json`, or else the last, counts. Formats are not asserted, and a `$ref` to elsewhere is never fetched.
"""

import json
import re

from jsonschema.exceptions import SchemaError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from schemas.records import Verdict

NAME = "json_schema"

_FENCED = re.compile(r"^[ \t]*```[ \t]*(?P<tag>[\w+-]*)[^\n]*\n(?P<body>.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
_LONGEST_FOUND = 2000


def verify(answer: str, expected: str) -> Verdict:
    """Check an answer against a schema, saying the first fault and where it lies."""
    try:
        validator = _validator(expected)
    except (ValueError, RecursionError, SchemaError) as error:
        return Verdict(NAME, False, expected, None, f"the reference is no JSON schema: {_line(error)}")
    text = find_json(answer)
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return Verdict(NAME, False, expected, None, f"the answer is no JSON: {_line(error)}")
    return Verdict(NAME, *_judge(validator, value, expected, text[:_LONGEST_FOUND]))


def find_schema_fault(schema: str) -> str | None:
    """Say what is wrong with a schema; None for one that can be used."""
    try:
        _validator(schema)
    except (ValueError, RecursionError, SchemaError) as error:
        return _line(error)
    return None


def find_json(answer: str) -> str:
    """Find what of an answer is meant as JSON."""
    blocks = list(_FENCED.finditer(answer))
    marked = [block for block in blocks if block["tag"].lower() == "json"] or blocks
    return marked[-1]["body"].strip() if marked else answer.strip()


def _validator(expected: str) -> Validator:
    schema = json.loads(expected)
    if not isinstance(schema, dict | bool):
        raise ValueError("a schema is an object, true or false")
    kind = validator_for(schema, default=Draft202012Validator)
    kind.check_schema(schema)
    return kind(schema, registry=Registry())


def _judge(validator: Validator, value: object, expected: str, found: str) -> tuple[bool, str, str, str]:
    try:
        fault = best_match(validator.iter_errors(value))
    except (Unresolvable, RecursionError, re.error) as error:
        return False, expected, found, f"the schema can't be applied: {_line(error)}"
    if fault is None:
        return True, expected, found, "fits"
    return False, expected, found, f"at {fault.json_path}: {fault.message[:300]}"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0][:300]
