from infra.triton.rehearsal_language.chat import Turn, last_user_text, read_turns
from schemas.engine import as_messages
from schemas.model_card import load_card


def test_read_turns_reads_what_the_card_renders() -> None:
    messages = as_messages(("system", "Be brief."), ("user", "Hello"), ("assistant", "Good day."), ("user", "Two\nlines?"))
    card = load_card("rehearsal-instruct")
    turns = read_turns(card.render(messages, generate=True))
    assert turns == (*(Turn(turn.role, turn.content) for turn in messages), Turn("assistant", ""))


def test_read_turns_reads_a_finished_conversation_without_its_end_mark() -> None:
    messages = as_messages(("user", "Hello"), ("assistant", "Good day."))
    assert read_turns(load_card("rehearsal-reward").render(messages, generate=False))[1:] == (Turn("user", "Hello"), Turn("assistant", "Good day."))


def test_read_turns_takes_a_raw_prompt_as_one_turn() -> None:
    assert read_turns("Once upon a time") == (Turn("", "Once upon a time"),)


def test_last_user_text_is_the_last_thing_that_the_user_said() -> None:
    messages = as_messages(("user", "First"), ("assistant", "Yes"), ("user", "Second"))
    assert last_user_text(load_card("rehearsal-instruct").render(messages, generate=True)) == "Second"
    assert last_user_text(" raw ") == "raw"
