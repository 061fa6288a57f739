"""Dedup beside its peers: `make bench-dedup`, or `python benchmarks/dedup.py [--documents N] [--peers rensa,…] [--data FOLDER]`.

One seeded corpus of real sentences with labelled near-copies, the same parameters and the same shards for all, reading and writing Parquet (LZ4)
included. Ours runs as a recipe runs it: Prompt shards, `find_copies` on a local cluster of two workers, each shard parted and written, durably.
rensa and datasketch are run as their users would best run them: signed and written on two processes, indexed by one; rensa on one process, too.
Compilation at first use (cached on disk), imports and starting processes are excluded for all. Peers are installed into a throwaway environment.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.dedup_corpus import Document, make_corpus
from benchmarks.dedup_peers import shingles
from benchmarks.environments import install
from benchmarks.memory import watch_descendants
from infra.cluster import open_cluster, preload
from infra.settings import Settings
from infra.storage import read_table, write_table
from schemas.contract import arrow_schema, to_row
from schemas.recipe import DedupOptions, NearOptions
from schemas.records import Lineage, Message, Prompt, Provenance, prompt_id
from tasks.dedup import find_copies, part_copies, plan_bands, read_copies, run_some

if TYPE_CHECKING:
    from distributed import Client

WIDTH, PERMUTATIONS, THRESHOLD = 5, 112, 0.8
SHARDS = 24
ROUNDS = 3
"""Ours and rensa take turns, and the best of each counts: on a machine that others use, too, one run tells of its neighbours."""
PEERS = ("rensa", "datasketch", "datatrove")
PACKAGES = {"rensa": ["rensa"], "datasketch": ["datasketch"], "datatrove": ["datatrove[io,processing]", "spacy"]}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one tool made of the corpus."""

    name: str
    seconds: float
    cpu: float | None
    """Seconds of all its processes' cores: what the clock would say on one idle core. None where they can't all be asked."""
    rss: int
    labels: list[int]
    """Each document's cluster."""


def main() -> None:
    arguments = parse()
    documents = make_corpus(arguments.data, arguments.documents)
    megabytes = sum(len(one.text.encode()) for one in documents) / 1e6
    copies = sum(one.rate is not None for one in documents)
    print(f"{len(documents):,} documents, {megabytes:.0f} MB, {copies:,} made as copies; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        findings = list(measure(documents, folder, arguments.peers))
    report(documents, findings)


def measure(documents: list[Document], folder: Path, names: list[str]) -> Iterator[Finding]:
    """Time ours and rensa in turns, the best of each counting; then the slow ones, once."""
    ids = write_shards(documents, folder / "shards")
    write_halves(documents, folder)
    tried: dict[str, list[Finding]] = defaultdict(list)
    with open_cluster(Settings(data=folder / "data", dask_workers=2, dask_memory="2GiB")) as client:
        preload(client, ["tasks.dedup.steps"])
        for _ in range(ROUNDS):
            turns = [ours(client, ids, folder, verify=False), ours(client, ids, folder, verify=True)]
            turns += [found for processes in (1, 2) if "rensa" in names and (found := peer("rensa", folder, processes))]
            for found in turns:
                tried[found.name].append(found)
    for name, rounds in tried.items():
        print(f"{name}: {', '.join(f'{one.seconds:.2f}' for one in rounds)} s")
        yield min(rounds, key=lambda one: one.seconds)
    yield from (found for name in names if name != "rensa" and (found := peer(name, folder, 2)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=60_000)
    parser.add_argument("--peers", type=lambda names: [name for name in names.split(",") if name], default=list(PEERS))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GRISTMILL_SHARED_DATA", "../shared/data")))
    return parser.parse_args()


def ours(client: "Client", ids: list[str], folder: Path, *, verify: bool) -> Finding:
    """Time the product once."""
    shards = sorted((folder / "shards").glob("*.parquet"))
    options = DedupOptions(near=NearOptions(shingle=WIDTH, permutations=PERMUTATIONS, threshold=THRESHOLD, verify=verify))
    seconds, cpu, rss = time_dedup(client, shards, folder, "ours", options)
    labels = labels_of(ids, folder / "ours" / "work", len(shards))
    return Finding("gristmill, verified" if verify else "gristmill", seconds, cpu, rss, labels)


def time_dedup(client: "Client", shards: list[Path], folder: Path, name: str, options: DedupOptions) -> tuple[float, float, int]:
    """Take the seconds, the CPU seconds and the peak RSS of all processes; clearing and what a first call compiles are not in them."""
    for fresh in ("warm", name):
        shutil.rmtree(folder / fresh, ignore_errors=True)
    dedup(client, shards[:2], folder / "warm", options)
    started, cpu = time.perf_counter(), cpu_of_all(client)
    with watch_descendants() as peak:
        dedup(client, shards, folder / name, options)
    return time.perf_counter() - started, cpu_of_all(client) - cpu, peak.rss


def dedup(client: "Client", shards: list[Path], folder: Path, options: DedupOptions) -> None:
    find_copies(client, shards, folder / "work", options, kind="prompt")
    run_some(client, partial(part_shard, shards, folder), range(len(shards)))


def part_shard(shards: list[Path], folder: Path, number: int) -> None:
    """Write a shard's kept rows and its drops."""
    parted = part_copies(read_table(shards[number]), read_copies(folder / "work", number), "prompt", stage="screen")
    write_table(folder / shards[number].name, parted.kept)
    write_table(folder / "dropped" / shards[number].name, parted.drops)


def cpu_of_all(client: "Client") -> float:
    used: list[float] = list(client.run(time.process_time).values())
    return time.process_time() + sum(used)


def write_shards(documents: list[Document], folder: Path) -> list[str]:
    """Write documents as prompts; return their ids."""
    table = prompts_table([one.text for one in documents])
    size = -(-table.num_rows // SHARDS)
    for number in range(SHARDS):
        write_table(folder / f"part-{number:05}.parquet", table.slice(number * size, size))
    ids: list[str] = table["prompt_id"].to_pylist()
    return ids


def prompts_table(texts: list[str]) -> pa.Table:
    """Make prompts of texts, as rows."""
    provenance = Provenance("benchmark", rehearsal=False)
    messages = [(Message("user", text),) for text in texts]
    prompts = [Prompt(prompt_id("seeds", turns), "seeds", "benchmark", turns, None, Lineage(), provenance) for turns in messages]
    return pa.Table.from_pylist([to_row(prompt) for prompt in prompts], schema=arrow_schema(Prompt))


def labels_of(ids: list[str], work: Path, shards: int) -> list[int]:
    rows, size = {one: row for row, one in enumerate(ids)}, -(-len(ids) // shards)
    labels = list(range(len(ids)))
    for shard in range(shards):
        copies = read_copies(work, shard)
        for place, keeper in zip(copies.records["row"].tolist(), copies.keepers, strict=True):
            labels[shard * size + place] = rows[keeper]
    return labels


def write_halves(documents: list[Document], folder: Path) -> None:
    """Write the corpus as datatrove's two processes read it."""
    table = pa.table({"number": [str(row) for row in range(len(documents))], "text": [one.text for one in documents]})
    (folder / "halves").mkdir()
    for half in range(2):
        pq.write_table(table.slice(half * (len(table) // 2), len(table) // 2 + len(table) % 2 * half), folder / "halves" / f"{half}.parquet", compression="lz4")


def peer(name: str, folder: Path, processes: int) -> Finding | None:
    """Time a peer once, in an environment of its own; say so where it can't be had."""
    python = install(name, ["pyarrow", *PACKAGES[name]], folder / "environments")
    if python is None:
        return None
    shape = plan_bands(THRESHOLD, PERMUTATIONS)
    program = [str(python), str(Path(__file__).with_name("dedup_peers.py")), name, str(folder)]
    program += map(str, (processes, WIDTH, shape.bands, shape.rows))
    with watch_descendants() as peak:
        ran = subprocess.run(program, capture_output=True, text=True, check=False)
    if ran.returncode:
        print(f"SKIPPED: {name} failed: {ran.stderr.strip().splitlines()[-1:]}")
        return None
    return Finding(f"{name}, {processes} process{'es' if processes > 1 else ''}", rss=peak.rss, **json.loads((folder / f"found-{name}.json").read_text()))


def report(documents: list[Document], findings: list[Finding]) -> None:
    """Print one line a tool. Recall is over labelled pairs by their true Jaccard similarity; a drop is right if its cluster has a true like of it."""
    truth = {pair: jaccard(documents, *pair) for pair in labelled_pairs(documents)}
    bands = [[pair for pair, similarity in truth.items() if low <= similarity < high] for low, high in ((0.8, 0.9), (0.9, 1.01))]
    print(f"{'':24} {'docs/s':>9} {'seconds':>8} {'CPU s':>7} {'peak MB':>8} {'dropped':>8} {'precision':>9}  recall 0.8-0.9  recall from 0.9")
    for found in findings:
        rate, dropped = len(documents) / found.seconds, sum(label != row for row, label in enumerate(found.labels))
        cpu = "?" if found.cpu is None else f"{found.cpu:.2f}"
        cost = f"{found.name:24} {rate:>9,.0f} {found.seconds:>8.2f} {cpu:>7} {found.rss / 2**20:>8,.0f}"
        near, nearer = (recall(found, band) for band in bands)
        print(f"{cost} {dropped:>8,} {precision(documents, found):>9.4f} {near:>15.4f} {nearer:>16.4f}")
    for found in findings[2:]:
        by_cpu = f", {found.cpu / findings[0].cpu:.1f} by CPU" if found.cpu and findings[0].cpu else ""
        print(f"{findings[0].name} is {found.seconds / findings[0].seconds:.1f} times as fast as {found.name} by the clock{by_cpu}")


def labelled_pairs(documents: list[Document]) -> Iterator[tuple[int, int]]:
    families: dict[int, list[int]] = defaultdict(list)
    for row, one in enumerate(documents):
        families[one.family].append(row)
    for family in families.values():
        yield from combinations(family, 2)


def recall(found: Finding, pairs: list[tuple[int, int]]) -> float:
    return sum(found.labels[one] == found.labels[other] for one, other in pairs) / max(1, len(pairs))


def precision(documents: list[Document], found: Finding) -> float:
    clusters: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(found.labels):
        clusters[label].append(row)
    dropped = [(row, clusters[label]) for row, label in enumerate(found.labels) if label != row]
    right = sum(any(jaccard(documents, row, other) >= THRESHOLD for other in cluster if other != row) for row, cluster in dropped)
    return right / max(1, len(dropped))


def jaccard(documents: list[Document], one: int, other: int) -> float:
    left, right = set(shingles(documents[one].text, WIDTH)), set(shingles(documents[other].text, WIDTH))
    return len(left & right) / len(left | right)


if __name__ == "__main__":
    main()
