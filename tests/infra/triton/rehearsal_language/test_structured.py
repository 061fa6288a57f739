import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from infra.triton.rehearsal_language.draw import Draw
from infra.triton.rehearsal_language.structured import write_structured


class Step(BaseModel):
    text: str = Field(max_length=40)
    certain: bool


class Verdict(BaseModel):
    winner: Literal["A", "B", "tie"]
    rating: int = Field(ge=1, le=5)
    share: float = Field(ge=0, le=1)
    steps: list[Step] = Field(min_length=2, max_length=3)
    remark: str | None


@given(st.integers(0, 10**9))
def test_write_structured_fits_a_schema_made_by_pydantic(seed: int) -> None:
    text = write_structured(json.dumps(Verdict.model_json_schema()), "Why do glaciers move?", Draw(seed))
    Verdict.model_validate_json(text, strict=True)


@pytest.mark.parametrize(
    "schema",
    ["{", "[]", '{"type": "string", "pattern": "a+"}', '{"$ref": "#/nowhere"}', '{"$ref": "#/a", "a": {"$ref": "#/a"}}', '{"type": "date"}'],
    ids=["no json", "no schema", "pattern", "no such part", "circle", "type"],
)
def test_write_structured_refuses_what_it_can_not_follow(schema: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        write_structured(schema, "Why?", Draw(1))
