import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.engine import as_messages
from tasks.craft.turns import between_marks, estimate_tokens, fault_in_turns, in_quotes, show_turns

U, A, S = ("user", "Hi."), ("assistant", "Hello."), ("system", "Be brief.")


@pytest.mark.parametrize("turns", [(U,), (S, U), (U, A, U), (S, U, A, U)])
def test_fault_in_turns_accepts_alternating_turns(turns: tuple[tuple[str, str], ...]) -> None:
    assert fault_in_turns(as_messages(*turns), last="user") is None


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        ((), "there is no turn"),
        ((S,), "there is no turn"),
        ((A, U), "turn 1 is by 'assistant', not by 'user'"),
        ((U, U), "turn 2 is by 'user', not by 'assistant'"),
        ((U, S), "turn 2 is by 'system', not by 'assistant'"),
        ((U, A), "the last turn is by 'assistant', not by 'user'"),
        ((("user", " "),), "turn 1 is empty"),
    ],
)
def test_fault_in_turns_names_the_fault(turns: tuple[tuple[str, str], ...], fault: str) -> None:
    assert fault_in_turns(as_messages(*turns), last="user") == fault


@given(st.text(alphabet="<>a \n", max_size=40))
def test_between_marks_lets_no_text_close_the_quotation(text: str) -> None:
    quoted = between_marks(text)
    assert quoted.startswith("<<<\n")
    assert quoted.endswith("\n>>>")
    assert "<<<" not in quoted[4:-4]
    assert ">>>" not in quoted[4:-4]


def test_in_quotes_keeps_a_topic_on_one_line_within_its_quotes() -> None:
    assert in_quotes('the "best"\n tea') == "\"the 'best' tea\""


def test_show_turns_names_the_speakers() -> None:
    assert show_turns(as_messages(U, A)) == "User: Hi.\n\nAssistant: Hello."


def test_estimate_tokens_counts_dense_scripts_by_character() -> None:
    assert estimate_tokens("word " * 8) == 11
    assert estimate_tokens("茶" * 8) == 9
