"""What looking up a shard's calls costs in a store of a million.

python -m benchmarks.calls [CALLS]
"""

import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from infra.calls import CallStore
from infra.journal import Entry
from schemas.engine import Completion

SHARD = 256
ANSWER_BYTES = 2_000


def shards(calls: int, *, by_id: bool) -> Iterator[list[Entry]]:
    """Make shards: of neighbouring ids, as the flow cuts them, or of random ones, so that every file spans all ids: the worst case."""
    rng = random.Random(1)
    ids = [rng.randbytes(16).hex() for _ in range(calls)]
    items = iter(sorted(ids) if by_id else ids)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5_000)]
    for _ in range(calls // SHARD):
        yield [
            Entry(rng.randbytes(16).hex(), item, Completion(" ".join(rng.choices(words, k=ANSWER_BYTES // 6)), "stop", False, 1, 2, False))
            for item in islice(items, SHARD)
        ]


def load(store: CallStore, items: list[str], what: str) -> None:
    took = []
    for _ in range(5):
        start = time.perf_counter()
        found = len(store.load(items))
        took.append(time.perf_counter() - start)
    print(f"load of {len(items)} items, {what}: {found} calls in {sorted(took)[2] * 1e3:,.0f} ms (median of 5)")


def bench(store: CallStore, calls: int, *, by_id: bool) -> None:
    shard: list[str] = []
    known, adding = [], 0.0
    for number, entries in enumerate(shards(calls, by_id=by_id)):
        start = time.perf_counter()
        store.add(entries, f"run-responses-{number:05d}")
        store.compact()
        adding += time.perf_counter() - start
        known.append(entries[number % SHARD].item)
        if number == calls // SHARD // 2:
            shard = [entry.item for entry in entries]
    files = list(store.root.glob("*.parquet"))
    size = sum(path.stat().st_size for path in files)
    print(f"{calls:,} calls in {len(files)} files, {size / 2**20:,.0f} MiB; {adding / calls * SHARD * 1e3:.0f} ms a shard of {SHARD} to add, merging included")
    rng = random.Random(2)
    load(store, shard, "one shard as it was stored")
    load(store, rng.sample(known, min(SHARD, len(known))), "one call of each of as many shards")
    load(store, [rng.randbytes(16).hex() for _ in range(SHARD)], "none stored, over all ids")


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 2**20
    for by_id in (True, False):
        with tempfile.TemporaryDirectory() as name:
            print("shards of neighbouring ids:" if by_id else "shards of random ids:")
            bench(CallStore(Path(name)), calls, by_id=by_id)
    print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
