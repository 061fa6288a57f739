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
from pathlib import Path

from infra.calls import CallStore
from infra.journal import Entry
from schemas.engine import Completion

SHARD = 256
ANSWER_BYTES = 2_000


def shards(calls: int) -> Iterator[list[Entry]]:
    """Make shards of random items, the worst case: every file spans the whole range of ids."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5_000)]
    for _ in range(calls // SHARD):
        yield [
            Entry(rng.randbytes(16).hex(), rng.randbytes(16).hex(), Completion(" ".join(rng.choices(words, k=ANSWER_BYTES // 6)), "stop", False, 1, 2, False))
            for _ in range(SHARD)
        ]


def load(store: CallStore, items: list[str], what: str) -> None:
    took = []
    for _ in range(5):
        start = time.perf_counter()
        found = len(store.load(items))
        took.append(time.perf_counter() - start)
    print(f"load of {len(items)} items, {what}: {found} calls in {sorted(took)[2] * 1e3:,.0f} ms (median of 5)")


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 2**20
    with tempfile.TemporaryDirectory() as name:
        store, known, adding = CallStore(Path(name)), [], 0.0
        for number, entries in enumerate(shards(calls)):
            start = time.perf_counter()
            store.add(entries, f"run-responses-{number:05d}")
            store.compact()
            adding += time.perf_counter() - start
            known.append(entries[number % SHARD].item)
        files = list(store.root.glob("*.parquet"))
        size = sum(path.stat().st_size for path in files)
        print(
            f"{calls:,} calls in {len(files)} files, {size / 2**20:,.0f} MiB; {adding / calls * SHARD * 1e3:.0f} ms a shard of {SHARD} to add, merging included"
        )
        rng = random.Random(2)
        load(store, rng.sample(known, min(SHARD, len(known))), "one call of each stored, over all ids")
        load(store, [rng.randbytes(16).hex() for _ in range(SHARD)], "none stored, over all ids")
        load(store, [f"{number:08x}".rjust(16, "7").ljust(32, "0") for number in range(SHARD)], "none stored, neighbouring ids")
        print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
