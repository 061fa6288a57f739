"""A column of texts to texts without personal data."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from schemas.records import PersonalKind
from tasks.redaction.kinds import PERSONAL, Real


@dataclass(slots=True)
class Redacted:
    """A text as it may be shown."""

    text: str
    counts: dict[PersonalKind, int] = field(default_factory=dict)
    """How many of each kind were taken out."""


def redact_texts(texts: Sequence[str], kinds: Sequence[PersonalKind]) -> list[Redacted]:
    """Put `[EMAIL_ADDRESS]` and the like in the place of what is real of each kind; a text looked through twice stays as it is."""
    found = [Redacted(text) for text in texts]
    for kind in PERSONAL:
        if kind in kinds:
            _redact_kind(found, kind)
    return found


def placeholder(kind: PersonalKind) -> str:
    """Write what stands for a kind."""
    return f"[{kind.upper()}]"


def _redact_kind(texts: Sequence[Redacted], kind: PersonalKind) -> None:
    candidates = pl.Series([one.text for one in texts], dtype=pl.String).str.extract_all(PERSONAL[kind].pattern)
    for number in (candidates.list.len() > 0).arg_true().to_list():
        _replace(texts[number], candidates[number].to_list(), PERSONAL[kind].real, kind)


def _replace(one: Redacted, candidates: Sequence[str], real: Real, kind: PersonalKind) -> None:
    parts, done, at = list[str](), 0, 0
    for candidate in candidates:
        at = one.text.index(candidate, at)
        if one.text[:at].endswith("\\"):  # the candidate begins with the letter of an escape in JSON, which must stay whole
            at, candidate = at + 1, candidate[1:]
        part = real(candidate)
        if part is not None:
            parts += [one.text[done:at], placeholder(kind)]
            done = at + len(part)
            one.counts[kind] = one.counts.get(kind, 0) + 1
        at += len(candidate)
    one.text = "".join([*parts, one.text[done:]])
