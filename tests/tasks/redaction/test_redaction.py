import json
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.contract import from_table, to_table
from schemas.records import Conversation, Drop, Message, PersonalKind, Prompt, Redaction, Reference, Verdict, drop_record
from tasks.redaction import redact_drops, redact_table
from tasks.redaction.texts import placeholder, redact_texts
from tests.tasks.builders import a_conversation, a_prompt
from tests.tasks.filter_examples import FALSE, TRUE

KINDS: tuple[PersonalKind, ...] = get_args(PersonalKind)


def text_of(conversation: Conversation) -> str:
    return conversation.messages[-1].content


@pytest.mark.parametrize(("kind", "text"), [(kind, text_of(one)) for kind in KINDS for one, _ in TRUE[kind]])
def test_what_a_filter_finds_is_replaced_by_its_kind(kind: PersonalKind, text: str) -> None:
    (redacted,) = redact_texts([text], [kind])
    assert redacted.counts == {kind: 1}
    assert placeholder(kind) in redacted.text
    assert redact_texts([redacted.text], KINDS)[0].counts == {}


@pytest.mark.parametrize(("kind", "text"), [(kind, text_of(one)) for kind in KINDS for one, _ in FALSE[kind]])
def test_what_a_filter_lets_pass_is_left_alone(kind: PersonalKind, text: str) -> None:
    assert redact_texts([text], [kind])[0].text == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to jane@firm.de or to info@example.com, then jane@firm.de.", "Write to [EMAIL_ADDRESS] or to info@example.com, then [EMAIL_ADDRESS]."),
        ("FR14 2004 1010 0505 0001 3M02 606 AND MORE", "[BANK_ACCOUNT] AND MORE"),
        ("219-09-4567 and 212-736-5000", "[SOCIAL_SECURITY_NUMBER] and [PHONE_NUMBER]"),
        ("5500 0055 5555 5559, 8.8.8.8", "[PAYMENT_CARD], [IP_ADDRESS]"),
        ("", ""),
    ],
)
def test_texts_are_redacted_where_it_stands(text: str, expected: str) -> None:
    assert redact_texts([text], KINDS)[0].text == expected


@given(st.lists(st.text() | st.from_regex(r"[a-z]{1,5}@[a-z]{1,5}\.(de|com) ?(\+49 30 901820)?", fullmatch=True), max_size=5))
def test_redacting_twice_is_redacting_once(texts: list[str]) -> None:
    once = redact_texts(texts, KINDS)
    again = redact_texts([one.text for one in once], KINDS)
    assert [one.text for one in again] == [one.text for one in once]
    assert all("@" not in one.text or not one.counts.get("email_address") or "[EMAIL_ADDRESS]" in one.text for one in once)


def a_private_conversation() -> Conversation:
    one = a_conversation("Mail bob@firm.de, twice: bob@firm.de.", prompt=a_prompt("I am at 8.8.8.8, who are you?"))
    return replace(
        one,
        reasoning="His number is +44 20 7946 0958.",
        reference=Reference("json", '{"to": "eve@firm.de\\nann@firm.de"}'),
        verdict=Verdict("json", True, "x", "bob@firm.de", "found bob@firm.de"),
    )


def test_a_conversation_is_redacted_in_every_text_and_tells_what_where_and_how_often() -> None:
    plain = a_conversation("Nothing to see.")
    table = redact_table(to_table([plain, a_private_conversation()], Conversation), Conversation, KINDS)
    untouched, redacted = from_table(table, Conversation)
    assert untouched == plain
    assert [turn.content for turn in redacted.messages] == ["I am at [IP_ADDRESS], who are you?", "Mail [EMAIL_ADDRESS], twice: [EMAIL_ADDRESS]."]
    assert redacted.reasoning == "His number is [PHONE_NUMBER]."
    assert redacted.reference is not None
    assert json.loads(redacted.reference.value) == {"to": "[EMAIL_ADDRESS]\n[EMAIL_ADDRESS]"}
    assert redacted.verdict == Verdict("json", True, "x", "[EMAIL_ADDRESS]", "found [EMAIL_ADDRESS]")
    assert set(redacted.redacted) == {
        Redaction("ip_address", "prompt", 1),
        Redaction("email_address", "answer", 2),
        Redaction("phone_number", "answer", 1),
        Redaction("email_address", "reference", 4),
    }
    assert redacted.conversation_id == a_private_conversation().conversation_id


def test_only_the_kinds_asked_for_are_redacted_and_a_table_without_any_is_as_it_was() -> None:
    table = to_table([a_private_conversation()], Conversation)
    (redacted,) = from_table(redact_table(table, Conversation, ["ip_address"]), Conversation)
    assert redacted.redacted == (Redaction("ip_address", "prompt", 1),)
    assert redact_table(table, Conversation, ["payment_card"]) is table
    (prompt,) = from_table(redact_table(to_table([a_prompt("Ask a@firm.de")], Prompt), Prompt, KINDS), Prompt)
    assert (prompt.messages, prompt.redacted) == ((Message("user", "Ask [EMAIL_ADDRESS]"),), (Redaction("email_address", "prompt", 1),))


def test_drops_are_redacted_with_the_record_that_they_keep() -> None:
    drop = replace(drop_record(a_private_conversation(), stage="filter", reason="truncated", detail="by bob@firm.de"), raw="8.8.8.8")
    (redacted,) = from_table(redact_drops(to_table([drop], Drop), KINDS), Drop)
    assert "@" not in redacted.record + redacted.detail
    assert redacted.raw == "[IP_ADDRESS]"
    assert json.loads(redacted.record)["messages"][-1]["content"] == "Mail [EMAIL_ADDRESS], twice: [EMAIL_ADDRESS]."
    assert redacted.drop_id == drop.drop_id
