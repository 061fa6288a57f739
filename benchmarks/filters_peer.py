"""datatrove's filters over the same texts, in an environment of its own: `python filters_peer.py FOLDER`.

Reads FOLDER/texts.parquet (text), prints JSON: group to {seconds, hits}. One process, documents in memory, nothing written: each filter's
own `filter` (the formatter's `format`), as its pipeline calls it. Imports nothing of ours.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def main() -> None:
    texts = pq.read_table(Path(sys.argv[1]) / "texts.parquet")["text"].to_pylist()
    warm = texts[:50]
    measured = {}
    for group, checks in groups().items():
        run(checks, warm)
        started = time.perf_counter()
        hits = run(checks, texts)
        measured[group] = {"seconds": time.perf_counter() - started, "hits": hits}
    print(json.dumps(measured))


def groups() -> dict[str, list[Callable[[Any], bool]]]:
    """Group filters by what they look for, as ours are; a formatter hits where it changes the text."""
    from datatrove.pipeline.filters import (  # type: ignore[import-not-found]
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.pipeline.formatters import PIIFormatter  # type: ignore[import-not-found]

    quality = [GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter()]
    return {
        "quality": [partial(is_filtered, one) for one in quality],
        "repetition": [partial(is_filtered, GopherRepetitionFilter())],
        "privacy": [partial(is_formatted, PIIFormatter())],
    }


def is_filtered(one: Any, document: Any) -> bool:
    return one.filter(document) is not True


def is_formatted(one: Any, document: Any) -> bool:
    return bool(one.format(document.text) != document.text)


def run(checks: list[Callable[[Any], bool]], texts: list[str]) -> int:
    """Ask every check of every text, as ours do; count texts hit."""
    from datatrove.data import Document  # type: ignore[import-not-found]

    hits = 0
    for number, text in enumerate(texts):
        found = [check(Document(text=text, id=str(number))) for check in checks]
        hits += any(found)
    return hits


if __name__ == "__main__":
    main()
