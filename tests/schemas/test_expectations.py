import re

import pytest

from schemas.contract import field_contracts
from schemas.expectations import ROW_RULES, expectations
from schemas.records import Conversation, Drop, Message, Preference, Prompt

RECORDS = [Prompt, Conversation, Preference, Drop]


@pytest.mark.parametrize("record", RECORDS)
def test_expectations_have_names_of_their_own_fit_for_drop_reasons(record: type) -> None:
    names = [one.name for one in expectations(record)]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


@pytest.mark.parametrize("record", RECORDS)
def test_expectations_cover_every_mark_and_required_field(record: type) -> None:
    names = {one.name for one in expectations(record)}

    for contract in field_contracts(record):
        assert all(any(name.startswith(f"{contract.arrow.name}_") for name in names) for _ in contract.marks)
        if not contract.arrow.nullable and contract.record is None:
            assert f"{contract.arrow.name}_not_null" in names


def test_expectations_reach_into_lists_and_optional_records() -> None:
    found = {one.name: one for one in expectations(Conversation)}

    role = found["messages_role_in_set"]
    assert (role.table, role.column, role.kwargs) == ("messages", "role", {"value_set": ["system", "user", "assistant"]})
    assert (found["messages_not_empty"].table, found["messages_not_empty"].column) == ("", "messages.count")
    assert found["scores_reward_not_null"].table == "scores"
    assert found["provenance_models_licence_not_empty"].table == "provenance.models"
    assert found["provenance_recipe_not_empty"].column == "provenance.recipe"


def test_expectations_warn_about_a_score_out_of_its_usual_range() -> None:
    warnings = {one.name for one in expectations(Conversation) if one.severity == "warning"}

    assert warnings == {f"scores_{name}_in_range" for name in ("helpfulness", "correctness", "coherence", "complexity", "verbosity")}


def test_expectations_end_with_the_row_rules() -> None:
    for record, rules in ROW_RULES.items():
        assert [one.name for one in expectations(record)][-len(rules) :] == [rule.name for rule in rules]


def test_field_contract_names_the_record_inside() -> None:
    contracts = {one.arrow.name: one.record for one in field_contracts(Conversation)}

    assert contracts["messages"] is Message
    assert contracts["technique"] is None
