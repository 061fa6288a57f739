"""Parts documents into pieces within token limits, at the ends of their lines; nothing is cut and nothing is lost silently."""

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.craft.turns import estimate_tokens


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in tokens, by estimate."""

    document: int
    """Shorter documents are dropped."""
    segment: int
    """Shorter segments are dropped."""
    longest: int
    """Longest segment; a line that is longer is dropped."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a document."""

    text: str
    fault: str | None = None
    """The drop reason of one that is outside the limits."""


def segment_document(text: str, limits: Limits) -> tuple[Segment, ...]:
    """Part a document: whole lines, as many together as the limit lets."""
    if estimate_tokens(text) < limits.document:
        return (Segment(text, "document_too_short"),)
    return tuple(_judge(piece, limits) for piece in _join_lines(text, limits.longest))


def _join_lines(text: str, longest: int) -> Iterator[str]:
    lines: list[str] = []
    for line in filter(str.strip, text.splitlines()):
        if lines and estimate_tokens("\n".join([*lines, line])) > longest:
            yield "\n".join(lines)
            lines = []
        lines.append(line)
    if lines:
        yield "\n".join(lines)


def _judge(piece: str, limits: Limits) -> Segment:
    tokens = estimate_tokens(piece)
    if tokens > limits.longest:
        return Segment(piece, "segment_too_long")
    return Segment(piece, "segment_too_short" if tokens < limits.segment else None)
