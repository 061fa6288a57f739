from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.contract import arrow_schema, from_table, to_table
from schemas.records import Conversation, Message
from tasks.catalogue import LoadedFilter
from tasks.filtering import filter_conversations, filter_table, to_batch
from tests.tasks.builders import a_conversation, a_prompt, rewarded, verified

SHORT = LoadedFilter("too_short", {"words": 3}, bars_row=True)
LANGUAGE = LoadedFilter("wrong_language", {"language": "en", "confidence": 0.8, "letters": 20}, bars_row=True)
REFUSAL = LoadedFilter("refusal", {}, bars_row=False)
REWARD = LoadedFilter("below_reward", {"minimum": 2.0, "attribute": "reward"}, bars_row=False)
TRUNCATED = LoadedFilter("truncated", {}, bars_row=True)

GOOD = a_conversation("This is a good answer in plain English words.")
FRENCH = a_conversation("La bouilloire chauffe l'eau, puis le thé doit infuser pendant quatre minutes.")
REFUSED = a_conversation("I'm sorry, but I can't help with that.")


def test_filter_table_keeps_order_and_schema() -> None:
    rows = [GOOD, a_conversation("No."), replace(REFUSED, finish_reason="stop"), FRENCH]
    filtered = filter_table(to_table(rows, Conversation), [SHORT, LANGUAGE, REFUSAL])
    assert filtered.kept.schema == arrow_schema(Conversation)
    assert from_table(filtered.kept, Conversation) == [GOOD, replace(REFUSED, gate="refusal")]
    assert [(drop.reason, drop.stage) for drop in filtered.drops] == [("too_short", "filter"), ("wrong_language", "filter")]
    assert filtered.gated == {"refusal": 1}


@pytest.mark.parametrize(("order", "reason"), [((TRUNCATED, LANGUAGE), "truncated"), ((LANGUAGE, TRUNCATED), "wrong_language")])
def test_filter_table_gives_the_first_filter_in_order_as_the_reason(order: tuple[LoadedFilter, ...], reason: str) -> None:
    _, drops = filter_conversations([replace(FRENCH, finish_reason="length")], order)
    assert [drop.reason for drop in drops] == [reason]


def test_filter_table_gates_by_the_first_and_still_drops_by_a_later_filter() -> None:
    low = rewarded(REFUSED, 1.0)
    kept, drops = filter_conversations([low, replace(low, finish_reason="length")], [REFUSAL, REWARD, TRUNCATED])
    assert [one.gate for one in kept] == ["refusal"]
    assert [drop.reason for drop in drops] == ["truncated"]


def test_filter_table_leaves_a_gate_that_is_set() -> None:
    kept, _ = filter_conversations([replace(REFUSED, gate="before")], [REFUSAL])
    assert kept[0].gate == "before"


def test_filter_table_says_with_which_parameters_a_row_was_dropped() -> None:
    _, drops = filter_conversations([a_conversation("No.")], [SHORT])
    assert drops[0].detail == "words=3"
    assert drops[0].record_id == a_conversation("No.").conversation_id


@pytest.mark.parametrize("filters", [(), (SHORT, LANGUAGE, REFUSAL)], ids=["no-filters", "filters"])
def test_filter_table_takes_an_empty_table(filters: tuple[LoadedFilter, ...]) -> None:
    filtered = filter_table(to_table([], Conversation), filters)
    assert (filtered.kept.num_rows, filtered.drops, filtered.gated) == (0, (), {})
    assert filtered.kept.schema == arrow_schema(Conversation)


def test_filter_table_without_filters_keeps_everything() -> None:
    assert filter_conversations([GOOD, REFUSED], []) == ((GOOD, REFUSED), ())


TEXTS = st.sampled_from(["No.", "Two words", "This is a longer answer in plain words.", "I can't help with that.", "go go go go go go go go"])


@settings(max_examples=30)
@given(st.lists(st.tuples(TEXTS, st.sampled_from(["stop", "length"]), st.none() | st.floats(0, 4, width=32)), max_size=12))
def test_filter_table_accounts_for_every_row_whatever_the_batch(rows: list[tuple[str, str, float | None]]) -> None:
    conversations = []
    for number, (text, finish, reward) in enumerate(rows):
        one = replace(a_conversation(text, sample_index=number), finish_reason=finish)
        conversations.append(one if reward is None else rewarded(one, reward))
    filters = [SHORT, REFUSAL, TRUNCATED, REWARD, LANGUAGE]
    kept, drops = filter_conversations(conversations, filters)
    assert Counter([*(one.conversation_id for one in kept), *(drop.record_id for drop in drops)]) == Counter(one.conversation_id for one in conversations)
    alone = [filter_conversations([one], filters) for one in conversations]
    assert kept == tuple(one for part in alone for one in part[0])
    assert drops == tuple(drop for part in alone for drop in part[1])


def test_to_batch_shows_generated_turns_apart_from_the_prompt() -> None:
    one = a_conversation("first", prompt=a_prompt("Why?"))
    one = replace(one, messages=(*one.messages, Message("user", "And?"), Message("assistant", "second")))
    batch = to_batch(to_table([verified(rewarded(one, 3.5, helpfulness=2.0), passed=True)], Conversation))
    row = batch.row(0, named=True)
    assert (row["prompt"], row["answers"], row["answer"], row["last_answer"]) == ("Why?", ["first", "second"], "first\n\nsecond", "second")
    assert (row["reward"], row["helpfulness"], row["correctness"], row["passed"], row["technique"]) == (3.5, 2.0, None, True, "seeds")
