"""The shape of conversations: who speaks when, and how text by others is quoted inside a request."""

from schemas.records import Messages


def fault_in_turns(messages: Messages, *, last: str) -> str | None:
    """Say what is wrong with the order of turns: at most one system turn, first; then user and assistant in turn, ending with `last`."""
    turns = messages[1:] if messages and messages[0].role == "system" else messages
    if not turns:
        return "there is no turn"
    for number, turn in enumerate(turns):
        expected = "assistant" if number % 2 else "user"
        if turn.role != expected:
            return f"turn {number + 1} is by {turn.role!r}, not by {expected!r}"
        if not turn.content.strip():
            return f"turn {number + 1} is empty"
    return None if turns[-1].role == last else f"the last turn is by {turns[-1].role!r}, not by {last!r}"


def between_marks(text: str) -> str:
    """Quote a text by others between <<< and >>>; it can't close the quotation itself."""
    return f"<<<\n{_without_marks(text)}\n>>>"


def in_quotes(text: str) -> str:
    """Quote a topic inside a sentence, on one line."""
    return '"' + " ".join(_without_marks(text).replace('"', "'").split()) + '"'


def show_turns(messages: Messages) -> str:
    """Write a conversation down as a reader would follow it."""
    return "\n\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in messages)


def estimate_tokens(text: str) -> int:
    """Estimate a text's tokens: about four characters of English, or a character of a script without spaces, each."""
    dense = sum(char >= "\u2e80" for char in text)
    return dense + (len(text) - dense) // 4 + 1


def _without_marks(text: str) -> str:
    while "<<<" in text or ">>>" in text:
        text = text.replace("<<<", "<").replace(">>>", ">")
    return text
