"""Dedup at 1, 10 and 100 times a size, and a corpus ten times a worker's memory: `make bench-dedup-scale`, or `python benchmarks/dedup_scale.py [--base N]`.

The seeded corpus of benchmarks/dedup_corpus.py, made and written a piece at a time, searched and parted by two workers: seconds and peak memory should
tell of a straight line and of a flat one. Then long texts of 4.6 GB through one worker that may hold 450 MiB, of which code takes some 300.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.dedup import PERMUTATIONS, THRESHOLD, WIDTH, dedup, prompts_table, time_dedup
from benchmarks.dedup_corpus import make_corpus, read_sentences
from benchmarks.memory import watch_descendants
from infra.cluster import open_cluster, preload
from infra.settings import Settings
from infra.storage import write_table
from schemas.recipe import DedupOptions, NearOptions
from tasks.dedup import read_copies

OPTIONS = DedupOptions(near=NearOptions(shingle=WIDTH, permutations=PERMUTATIONS, threshold=THRESHOLD))
PIECE = 3_000
"""Documents of one shard, and of one piece of the corpus: copies are of documents of the same piece."""
LIMIT_MB = 450
LONG_SHARDS, LONG_TEXTS = 288, 125
"""Of the long texts: 16 MB a shard."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=int, default=6_000)
    parser.add_argument("--factors", type=lambda given: [int(one) for one in given.split(",") if one], default=[1, 10, 100])
    parser.add_argument("--long", type=int, default=LONG_SHARDS, metavar="SHARDS", help="of long texts, 16 MB each; 0 for none")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GRISTMILL_SHARED_DATA", "../shared/data")))
    parser.add_argument("--keep", type=Path, help="a folder for both corpora, used again where they are there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, kept = Path(name), arguments.keep or Path(name)
        if arguments.factors:
            shards = write_pieces(arguments.data, kept / "shards", arguments.base * max(arguments.factors))
            grow(shards, folder, [max(1, arguments.base * factor // PIECE) for factor in arguments.factors])
        if arguments.long:
            exceed(write_long(arguments.data, kept / "long", arguments.long), folder)


def write_pieces(data: Path, folder: Path, documents: int) -> list[Path]:
    shards = [folder / f"part-{number:05}.parquet" for number in range(-(-documents // PIECE))]
    sentences = read_sentences(data)
    for number, shard in enumerate(shards):
        if not shard.exists():
            write_table(shard, prompts_table([one.text for one in make_corpus(data, PIECE, seed=number + 1, sentences=sentences)]))
    return shards


def write_long(data: Path, folder: Path, count: int) -> list[Path]:
    shards = [folder / f"part-{number:05}.parquet" for number in range(count)]
    sentences = read_sentences(data)
    for number, shard in enumerate(shards):
        rng = random.Random(number)
        if not shard.exists():
            write_table(shard, prompts_table([" ".join(rng.choices(sentences, k=1_200)) for _ in range(LONG_TEXTS)]))
    return shards


def grow(shards: list[Path], folder: Path, sizes: list[int]) -> None:
    """Search the first shards, then more and more of them."""
    print(f"{'documents':>10} {'MB':>7} {'seconds':>8} {'CPU s':>7} {'docs/s':>8} {'peak MB, both workers':>22} {'copies':>8}")
    for size in sizes:
        mine = shards[:size]
        with open_cluster(Settings(data=folder / "data", dask_workers=2, dask_memory="2GiB")) as client:
            preload(client, ["tasks.dedup.steps"])
            seconds, cpu, rss = time_dedup(client, mine, folder, "out", OPTIONS)
        copies = sum(len(read_copies(folder / "out" / "work", number).records) for number in range(size))
        rows = size * PIECE
        print(f"{rows:>10,} {rows * 1.85 / 1000:>7,.0f} {seconds:>8.2f} {cpu:>7.2f} {rows / seconds:>8,.0f} {rss / 2**20:>22,.0f} {copies:>8,}", flush=True)


def exceed(shards: list[Path], folder: Path) -> None:
    """Put ten times a worker's memory through it."""
    stored = sum(shard.stat().st_size for shard in shards) / 1e6
    shutil.rmtree(folder / "out", ignore_errors=True)
    with open_cluster(Settings(data=folder / "data", dask_workers=1, dask_memory=f"{LIMIT_MB}MiB")) as client:
        worker = list(client.run(os.getpid).values())
        started = time.perf_counter()
        with watch_descendants() as peak:
            dedup(client, shards, folder / "out", OPTIONS)
        same = list(client.run(os.getpid).values()) == worker
    ended = "its process lived on" if same else "its process was ended and replaced"
    print(
        f"{len(shards) * 16 / 1000:.1f} GB of text ({stored:,.0f} MB stored) through one worker of {LIMIT_MB} MiB: {time.perf_counter() - started:.1f} s, ",
        end="",
    )
    print(f"peak {peak.rss / 2**20:,.0f} MB of worker and nanny; {ended}")


if __name__ == "__main__":
    main()
