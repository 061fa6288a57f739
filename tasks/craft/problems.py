"""Requests for problems about a subject: mathematics, or programming in a language or in any."""

from tasks.craft.turns import in_quotes

ANY_LANGUAGE = "any"


def mathematical(topic: str, n: int, level: str) -> str:
    """Ask for n problems in mathematics."""
    suited = f" They should suit {level}." if level else ""
    return f"Write {n} math problems about {in_quotes(topic)}.{suited} Each states everything that is needed and has one answer. Give no solutions."


def programming(topic: str, n: int, level: str, language: str) -> str:
    """Ask for n problems for programmers."""
    suited = f" for {in_quotes(level)}" if level else ""
    solved = "in whatever language one likes" if language == ANY_LANGUAGE else f"in {language}"
    return (
        f"Write {n} programming problems about {in_quotes(topic)}{suited}. Each is to be solved {solved} "
        "and states what goes in, what comes out, and what happens with input that is wrong. Give no solutions."
    )
