"""Browsing a large release: how long its index takes, and each kind of page, on a made-up release of a million conversations.

.venv/bin/python -m benchmarks.browse [ROWS]
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from infra.storage import write_records
from schemas.identity import content_id
from schemas.records import Conversation, Lineage, Message, Provenance, Scores
from tasks.browse.asking import read_question
from tasks.browse.library import Library
from tasks.browse.pages import list_page, row_page

PER_FILE = 50_000
TECHNIQUES = ("open_qa", "math", "writing", "coding", "closed_qa")
TEXT = " ".join(f"word{number % 97}" for number in range(250))


def rows(start: int, count: int) -> Iterator[Conversation]:
    for number in range(start, start + count):
        yield Conversation(
            conversation_id=content_id("bench", ["row", number]),
            prompt_id=content_id("bench", number // 4),
            technique=TECHNIQUES[number // 4 % 5],
            category=f"category-{number % 31}",
            response="answer",
            sample_index=number % 4,
            prompt_turns=1,
            messages=(Message("user", f"Question {number}?"), Message("assistant", f"{number} {TEXT}")),
            finish_reason="stop",
            finish_reason_inferred=False,
            prompt_tokens=10,
            completion_tokens=300,
            tokens_inferred=False,
            scores=Scores(number % 1000 / 125, "helpfulness"),
            verdict=None,
            reference=None,
            lineage=Lineage(topics=("science", "physics")),
            provenance=Provenance("bench", rehearsal=True),
        )


def make(folder: Path, count: int) -> None:
    for part, start in enumerate(range(0, count, PER_FILE)):
        write_records(folder / "sft" / "train" / f"part-{part:05d}.parquet", rows(start, min(PER_FILE, count - start)), Conversation)
    manifest = {"format": "gristmill-release/1", "name": "bench", "version": "v1", "rehearsal": True, "rows": {"sft/train": count}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def timed(library: Library, what: str, told: dict[str, str]) -> None:
    began = time.perf_counter()
    question = read_question("sft", told)
    found, listed = library.find(question)
    page = list_page(library, question, found, listed)
    print(f"{what:<42} {1000 * (time.perf_counter() - began):8.0f} ms   {found.total:>9,} rows, page of {len(page) // 1024} KiB")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make(folder, count)
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet")) / 2**20
        print(f"{count:,} conversations, {size:,.0f} MiB of Parquet")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        library = Library(folder)
        began = time.perf_counter()
        library.index("sft")
        print(f"{'index':<42} {1000 * (time.perf_counter() - began):8.0f} ms")
        for what, told in (
            ("first page", {}),
            ("one technique", {"technique": "math"}),
            ("one technique, its 1,000th page", {"technique": "math", "page": "1000"}),
            ("a category with a reward of 7 at least", {"category": "category-7", "least": "7"}),
            ("highest first", {"order": "highest first"}),
            ("an id's beginning", {"id": content_id("bench", ["row", count // 2])[:10]}),
        ):
            timed(library, what, told)
        began = time.perf_counter()
        shown = library.show("sft", content_id("bench", ["row", count // 2]))
        assert shown is not None
        row_page(library, shown)
        print(f"{'a row and its surroundings':<42} {1000 * (time.perf_counter() - began):8.0f} ms")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"memory beside making the release: {max(grown, 0):,.0f} MiB more at its peak")


if __name__ == "__main__":
    main()
