"""The filter chain beside datatrove's: `python benchmarks/filters.py [--documents N] [--data FOLDER] [--threads N]`.

The same texts of real sentences, held in memory, as answers in a table of conversations for us and as documents for datatrove; one core
each, unless --threads says otherwise (of ours, that is: datatrove's filters run in one). Compared by groups that look for like faults, with each
side's own tests of them: hits differ, and are shown. Nothing is read or written in the time that is taken. datatrove is installed into
a throwaway environment; its language filter needs a model from the network, so ours stands alone there, as decontamination does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.environments import install

if TYPE_CHECKING:
    from tasks.catalogue import LoadedFilter

SHARD = 4_096
"""Conversations of a batch."""
PACKAGES = ["pyarrow", "datatrove[io,processing]", "spacy"]
GROUPS: dict[str, dict[str, dict[str, Any]]] = {
    "quality": {
        "too_short": {},
        "too_long": {},
        "odd_word_length": {},
        "too_many_symbols": {},
        "mostly_uppercase": {},
        "mostly_digits": {},
        "unprintable": {},
        "mojibake": {},
        "too_many_links": {},
        "boilerplate": {},
        "unfinished_sentence": {},
        "open_code_fence": {},
        "refusal": {},
        "truncated": {},
        "too_many_tokens": {},
        "echoed_prompt": {},
        "unbalanced_latex": {},
        "unparsable_python": {},
        "mostly_bullets": {},
        "mostly_ellipses": {},
        "mostly_white_space": {},
        "words_without_letters": {},
        "endless_word": {},
        "html_tags": {},
        "turn_marks": {},
        "unfilled_placeholder": {},
        "speaks_as_model": {},
    },
    "repetition": {"repeated_ngrams": {}, "dominant_ngram": {}, "repeated_lines": {}, "repeated_paragraphs": {}},
    "privacy": {
        "email_address": {},
        "phone_number": {},
        "ip_address": {},
        "payment_card": {},
        "bank_account": {},
        "social_security_number": {},
        "access_key": {},
    },
    "language": {"wrong_language": {"language": "en"}},
}
BENCHMARKS = {
    "gsm8k_test.jsonl": ("question",),
    "humaneval.jsonl": ("prompt",),
    "mbpp.jsonl": ("text",),
    "mt_bench_questions.jsonl": ("turns",),
    "ifeval_prompts.jsonl": ("prompt",),
}


@dataclass(frozen=True, slots=True)
class Timing:
    """What one side took for one group."""

    seconds: float
    hits: int


def main() -> None:
    arguments = parse()
    os.environ["POLARS_MAX_THREADS"] = str(arguments.threads)  # before polars is imported
    from benchmarks.dedup_corpus import make_corpus

    texts = [one.text for one in make_corpus(arguments.data, arguments.documents)]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts):,} texts, {megabytes:.0f} MB; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; polars threads: {arguments.threads}")
    tables = make_tables(texts)
    chosen = {name: load_group(group) for name, group in GROUPS.items()}
    ours = {name: time_filters(tables, group) for name, group in chosen.items()}
    shared = [one for name in ("quality", "repetition", "privacy") for one in chosen[name]]
    whole = {"these, one pass": time_filters(tables, shared), "all, one pass": time_filters(tables, [*shared, *chosen["language"]])}
    ours |= whole | {"decontamination": time_decontamination(tables, arguments.data)}
    report(len(texts), ours, time_peer(texts))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GRISTMILL_SHARED_DATA", "../shared/data")))
    return parser.parse_args()


def make_tables(texts: list[str]) -> list[pa.Table]:
    from schemas.contract import to_table
    from schemas.records import Conversation, Lineage, Message, Provenance, conversation_id

    def make(text: str) -> Conversation:
        messages = (Message("user", "Write something about the first thing that comes to your mind."), Message("assistant", text))
        one = conversation_id("0" * 32, "answer", 0, messages)
        known: dict[str, Any] = {"scores": None, "verdict": None, "reference": None, "lineage": Lineage(), "provenance": Provenance("bench", False)}
        told: dict[str, Any] = {"finish_reason": "stop", "finish_reason_inferred": False, "tokens_inferred": True}
        return Conversation(one, "0" * 32, "seeds", "any", "answer", 0, 1, messages, prompt_tokens=20, completion_tokens=len(text) // 4, **told, **known)

    return [to_table(map(make, texts[start : start + SHARD]), Conversation) for start in range(0, len(texts), SHARD)]


def load_group(group: dict[str, dict[str, Any]]) -> "list[LoadedFilter]":
    from tasks.catalogue import LoadedFilter
    from tasks.discovery import options_of

    # No filter bars a row, so that each is asked of every row, as datatrove's are here; the batch is made anew for each pass.
    return [LoadedFilter(name, dict(options_of("filters", name)(**given)), bars_row=False) for name, given in group.items()]


def time_filters(tables: list[pa.Table], filters: "list[LoadedFilter]") -> Timing:
    from tasks.filtering import find_hits, to_batch

    find_hits(to_batch(tables[0].slice(0, 50)), filters)
    started = time.perf_counter()
    hits = sum(find_hits(to_batch(table), filters)["gated_by"].count() for table in tables)
    return Timing(time.perf_counter() - started, hits)


def time_decontamination(tables: list[pa.Table], data: Path) -> Timing:
    """Time the screening of answers against five benchmarks, their index made before."""
    from schemas.recipe import BenchmarkOptions
    from tasks.decontamination.benchmarks import keep_benchmarks
    from tasks.decontamination.screening import drop_contaminated_conversations

    with tempfile.TemporaryDirectory() as folder:
        options = [BenchmarkOptions(path=name, columns=columns) for name, columns in BENCHMARKS.items()]
        kept = keep_benchmarks(options, data, Path(folder) / "benchmarks.parquet")
        drop_contaminated_conversations(tables[0].slice(0, 50), kept)
        started = time.perf_counter()
        hits = sum(len(drop_contaminated_conversations(table, kept)[1]) for table in tables)
        return Timing(time.perf_counter() - started, hits)


def time_peer(texts: list[str]) -> dict[str, Timing]:
    """Time datatrove; say so loudly where it can't be had."""
    with tempfile.TemporaryDirectory() as folder:
        python = install("datatrove", PACKAGES, Path(folder))
        if python is None:
            return {}
        pq.write_table(pa.table({"text": texts}), Path(folder) / "texts.parquet")
        ran = subprocess.run([str(python), str(Path(__file__).with_name("filters_peer.py")), folder], capture_output=True, text=True, check=False)
        if ran.returncode:
            print(f"SKIPPED: datatrove failed: {ran.stderr.strip().splitlines()[-1:]}")
            return {}
    measured = {name: Timing(**one) for name, one in json.loads(ran.stdout.splitlines()[-1]).items()}
    return measured | {"these, one pass": Timing(sum(one.seconds for one in measured.values()), 0)}


def report(texts: int, ours: dict[str, Timing], theirs: dict[str, Timing]) -> None:
    print(f"{'':18} {'ours/s':>10} {'hits':>7} {'datatrove/s':>12} {'hits':>7} {'ratio':>7}")
    for name, one in ours.items():
        other = theirs.get(name)
        beside = f"{texts / other.seconds:>12,.0f} {other.hits or '':>7} {other.seconds / one.seconds:>6.1f}x" if other else ""
        print(f"{name:18} {texts / one.seconds:>10,.0f} {one.hits:>7} {beside}")


if __name__ == "__main__":
    main()
