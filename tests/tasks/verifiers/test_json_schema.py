import json

import pytest

from tasks.verifiers.json_schema import find_json, verify

SCHEMA = json.dumps({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}}, "required": ["name"]})


@pytest.mark.parametrize(
    "answer",
    [
        '{"name": "Ada", "age": 36}',
        'Here it is:\n```json\n{"name": "Ada"}\n```\nAnything else?',
        '```\n{"name": "Ada"}\n```',
        '```json\n{"name": "cut off fence"}',
        'First I ran\n```python\nprint(1)\n```\nthen\n```json\n{"name": "Ada"}\n```\nwith\n```sh\nls\n```',
    ],
)
def test_verify_passes_what_fits(answer: str) -> None:
    assert verify(answer, SCHEMA).passed


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ('{"age": 3}', "at $: 'name' is a required property"),
        ('{"name": "Ada", "age": -1}', "at $.age: -1 is less than the minimum of 0"),
        ("Sure!", "the answer is no JSON"),
        ("", "the answer is no JSON"),
        ('{"name": "Ada", "age": NaN}', "NaN is not JSON"),
        ("[" * 100_000, "the answer is no JSON"),
    ],
    ids=["missing", "below", "chatter", "empty", "nan", "deep"],
)
def test_verify_fails_what_does_not_fit_and_says_where(answer: str, detail: str) -> None:
    verdict = verify(answer, SCHEMA)
    assert not verdict.passed
    assert detail in verdict.detail


@pytest.mark.parametrize("schema", ["", "3", '{"type": "objekt"}', '"text"'])
def test_verify_says_that_a_reference_is_no_schema(schema: str) -> None:
    assert "no JSON schema" in verify("{}", schema).detail


def test_verify_never_fetches_a_schema() -> None:
    verdict = verify("{}", '{"$ref": "http://127.0.0.1:9/schema.json"}')
    assert (verdict.passed, verdict.found) == (False, "{}")
    assert "can't be applied" in verdict.detail


def test_verify_says_that_a_schema_of_endless_references_cannot_be_applied() -> None:
    assert "can't be applied" in verify("{}", '{"$ref": "#"}').detail


def test_find_json_takes_the_last_block_that_says_so() -> None:
    assert find_json("```json\n1\n```\n```json\n2\n```\n```\n3\n```") == "2"
