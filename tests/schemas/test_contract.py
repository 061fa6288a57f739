"""A contract's three faces agree: dataclass, Arrow schema, rows."""

from dataclasses import dataclass, fields
from typing import Annotated

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.contract import Float32, Id, Int32, NonEmpty, Range, arrow_schema, field_contracts, from_row, from_table, to_row, to_table
from schemas.records import Conversation, Drop, Lineage, Message, ModelUse, Preference, Prompt, Provenance, Reference, Source, WorkItem


@dataclass(frozen=True, slots=True)
class Leaf:
    name: str
    weight: Float32 | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    tree_id: Id
    height: Annotated[Int32, Range(0, 9)]
    leaves: Annotated[tuple[Leaf, ...], NonEmpty()]
    crown: Leaf | None = None


def test_arrow_schema_says_required_and_nullable() -> None:
    schema = arrow_schema(Tree)
    assert schema.field("tree_id") == pa.field("tree_id", pa.string(), nullable=False)
    assert schema.field("height").type == pa.int32()
    assert schema.field("crown").nullable
    assert schema.field("leaves").type.value_type.field("weight").type == pa.float32()


def test_field_contracts_carry_the_marks() -> None:
    marks = {contract.arrow.name: contract.marks for contract in field_contracts(Tree)}
    assert Range(0, 9) in marks["height"]
    assert NonEmpty() in marks["leaves"]


def test_a_field_of_two_types_is_refused() -> None:
    @dataclass(frozen=True)
    class Torn:
        either: int | str

    with pytest.raises(TypeError, match="one type"):
        field_contracts(Torn)


text = st.text(st.characters(codec="utf-8"))
ids = st.text("0123456789abcdef", min_size=32, max_size=32)
uses = st.builds(ModelUse, role=text, model=text, revision=text, licence=text, engine=text, seed=st.none() | st.integers(0, 2**64 - 1))
provenances = st.builds(
    Provenance,
    recipe=text,
    rehearsal=st.booleans(),
    models=st.lists(uses, max_size=2).map(tuple),
    sources=st.lists(st.builds(Source, text, text), max_size=2).map(tuple),
)
lineages = st.builds(Lineage, seeds=st.lists(text, max_size=2).map(tuple), topics=st.lists(text, max_size=2).map(tuple), parent=st.none() | text)
prompts = st.builds(
    Prompt,
    prompt_id=ids,
    technique=text,
    category=text,
    messages=st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), text), max_size=3).map(tuple),
    reference=st.none() | st.builds(Reference, text, text),
    lineage=lineages,
    provenance=provenances,
)


@given(st.lists(prompts, max_size=3))
def test_records_survive_arrow_and_back(records: list[Prompt]) -> None:
    table = to_table(records, Prompt)
    assert table.schema.equals(arrow_schema(Prompt))
    assert from_table(table, Prompt) == records


@given(prompts)
def test_records_survive_rows_and_back(prompt: Prompt) -> None:
    assert from_row(Prompt, to_row(prompt)) == prompt


@pytest.mark.parametrize("record", [WorkItem, Prompt, Conversation, Preference, Drop])
def test_every_record_class_has_an_arrow_schema(record: type) -> None:
    assert arrow_schema(record).names == [field.name for field in fields(record)]
