"""Text of models and seeds made fit to be shown: cut, and with invisible and direction-changing characters spelt out. HTML escaping is Jinja's."""

import unicodedata

LIMIT = 2_000
"""Characters shown of one text."""

_KEPT = frozenset("\n\t\u200c\u200d")
"""New lines, tabs, and the two joiners without which Persian, Indic scripts and emoji fall apart."""


def show(text: object, limit: int = LIMIT) -> str:
    """Cut a text, saying by how much, and write control and bidirectional characters as their code points."""
    whole = str(text)
    cut = whole if len(whole) <= limit else f"{whole[:limit]}… [{len(whole) - limit:,} more characters]"
    return "".join(_visible(one) for one in cut)


def compact(number: float) -> str:
    """Write a number shortly: 1234567 as 1.2M, 0.125 as 0.12."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            return f"{number / (1e3 if suffix == 'k' else size):.1f}".removesuffix(".0") + suffix
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:.2f}"


def duration(seconds: float) -> str:
    """Write seconds for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _visible(one: str) -> str:
    # Cc: C0 and C1 controls. Cf: bidirectional overrides and isolates, zero-width characters. Cs: lone surrogates, which UTF-8 can't hold.
    if unicodedata.category(one) in ("Cc", "Cf", "Cs") and one not in _KEPT:
        return f"⟦U+{ord(one):04X}⟧"
    return one
