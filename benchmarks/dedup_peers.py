"""One peer's MinHash dedup of Parquet shards, in an environment of its own: `python dedup_peers.py PEER FOLDER PROCESSES WIDTH BANDS ROWS`.

Reads FOLDER/shards, the very files that ours reads (datatrove: number and text in FOLDER/halves), and writes what ours writes: the rows kept, and those
dropped with their keeper's id; and FOLDER/found-PEER.json: a cluster label a row, seconds, CPU seconds. Imports nothing of ours. Tokens are found by
the same rules as ours, in the way these libraries leave to their user: a regular expression (datatrove's are its own).
"""

import json
import re
import resource
import sys
import time
from collections.abc import Iterable
from functools import partial
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

TOKEN = re.compile(r"[^\W_]+|[#%&()*\-/@\[\]\\_{}$+<=>^`|~]")


class Shape(NamedTuple):
    """Shingles of `width` tokens; signatures of `bands` times `rows` values."""

    width: int
    bands: int
    rows: int


def shingles(text: str, width: int) -> list[str]:
    tokens = TOKEN.findall(text.lower())
    return [" ".join(tokens[start : start + width]) for start in range(max(1, len(tokens) - width + 1))]


def cluster(neighbours: Iterable[list[int]]) -> list[int]:
    parents: list[int] = []

    def root(row: int) -> int:
        while parents[row] != row:
            parents[row] = parents[parents[row]]
            row = parents[row]
        return row

    listed = list(neighbours)
    parents.extend(range(len(listed)))
    for row, others in enumerate(listed):
        for other in others:
            one, two = sorted((root(row), root(other)))
            parents[two] = one
    return [root(row) for row in range(len(parents))]


def sign_rensa(texts: list[str], shape: Shape) -> list[Any]:
    from rensa import RMinHash  # type: ignore[import-not-found]

    made: list[Any] = RMinHash.from_token_sets((shingles(text, shape.width) for text in texts), shape.bands * shape.rows, 42)
    return made


def sign_datasketch(texts: list[str], shape: Shape) -> list[Any]:
    from datasketch import MinHash  # type: ignore[import-not-found]

    signatures = []
    for text in texts:
        signature = MinHash(num_perm=shape.bands * shape.rows)
        signature.update_batch([shingle.encode() for shingle in shingles(text, shape.width)])
        signatures.append(signature)
    return signatures


def index_rensa(shape: Shape) -> Any:
    from rensa import RMinHashLSH

    return RMinHashLSH(threshold=0.8, num_perm=shape.bands * shape.rows, num_bands=shape.bands)


def index_datasketch(shape: Shape) -> Any:
    from datasketch import MinHashLSH

    return MinHashLSH(num_perm=shape.bands * shape.rows, params=(shape.bands, shape.rows))


SIGN = {"rensa": sign_rensa, "datasketch": sign_datasketch}
INDEX = {"rensa": index_rensa, "datasketch": index_datasketch}


def datatrove(folder: Path, shape: Shape) -> list[int]:
    """Run datatrove's four stages on two processes; its tokens are its own, spaCy's."""
    from datatrove.executor import LocalPipelineExecutor  # type: ignore[import-not-found]
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature  # type: ignore[import-not-found]
    from datatrove.pipeline.dedup.minhash import MinhashConfig  # type: ignore[import-not-found]
    from datatrove.pipeline.readers import ParquetReader  # type: ignore[import-not-found]
    from datatrove.pipeline.writers import ParquetWriter  # type: ignore[import-not-found]

    work = folder / "datatrove"
    config = MinhashConfig(n_grams=shape.width, num_buckets=shape.bands, hashes_per_bucket=shape.rows)
    reader = ParquetReader(str(folder / "halves"), id_key="number", batch_size=1000)
    out = [ParquetWriter(str(work / name)) for name in ("dropped", "kept")]
    stages = [
        (2, [reader, MinhashDedupSignature(str(work / "signatures"), config=config)]),
        (shape.bands, [MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"), config=config)]),
        (1, [MinhashDedupCluster(str(work / "buckets"), str(work / "removed"), config=config, save_cluster_id=True)]),
        (2, [reader, MinhashDedupFilter(str(work / "removed"), exclusion_writer=out[0], load_cluster_ids=True), out[1]]),
    ]
    for number, (tasks, pipeline) in enumerate(stages):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=2, logging_dir=str(work / f"log-{number}")).run()
    return datatrove_labels(work)


def datatrove_labels(work: Path) -> list[int]:
    rows = [row for name in ("dropped", "kept") for file in sorted((work / name).glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    labels = {int(row["id"]): int(row["metadata"].get("minhash_cluster_id") or -1) for row in rows}
    firsts: dict[int, int] = {}
    for number in sorted(labels):
        firsts.setdefault(labels[number], number)
    return [number if labels[number] < 0 else firsts[labels[number]] for number in sorted(labels)]


def in_memory(peer: str, folder: Path, shape: Shape, pool: Any) -> list[int]:
    """Sign and write shard by shard, on all processes; index and cluster in one, as these libraries leave it to their user."""
    spread = pool.map if pool else map
    shards = sorted((folder / "shards").glob("*.parquet"))
    signed = list(spread(partial(sign_shard, peer, shape), shards))
    index, signatures = INDEX[peer](shape), [one for _, part in signed for one in part]
    for row, signature in enumerate(signatures):
        index.insert(row, signature)
    labels = cluster(index.query(signature) for signature in signatures)
    ids = [one for part, _ in signed for one in part]
    keepers = [None if label == row else ids[label] for row, label in enumerate(labels)]
    ends = list(accumulate((len(part) for part, _ in signed), initial=0))
    jobs = [(shard, folder / f"out-{peer}" / shard.name, keepers[start:end]) for shard, start, end in zip(shards, ends, ends[1:], strict=False)]
    (folder / f"out-{peer}" / "dropped").mkdir(parents=True, exist_ok=True)
    list(spread(write_shard, jobs))
    return labels


def sign_shard(peer: str, shape: Shape, shard: Path) -> tuple[list[str], list[Any]]:
    table = pq.read_table(shard, columns=["prompt_id", "messages"])
    texts = pc.struct_field(table["messages"].combine_chunks().flatten(), "content").to_pylist()
    return table["prompt_id"].to_pylist(), SIGN[peer](texts, shape)


def write_shard(job: tuple[Path, Path, list[str | None]]) -> None:
    """Write the rows kept, and those dropped with their keepers' ids."""
    shard, out, keepers = job
    table, points_to = pq.read_table(shard), pa.array(keepers, pa.string())
    pq.write_table(table.filter(points_to.is_null()), out, compression="lz4")
    dropped = table.append_column("points_to", points_to).filter(points_to.is_valid())
    pq.write_table(dropped, out.parent / "dropped" / out.name, compression="lz4")


def main() -> None:
    peer, folder, processes, shape = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Shape(*map(int, sys.argv[4:]))
    # Started before the clock, as our workers are.
    pool = get_context("fork").Pool(processes) if processes > 1 and peer in SIGN else None
    started, used = time.perf_counter(), time.process_time()
    labels = datatrove(folder, shape) if peer == "datatrove" else in_memory(peer, folder, shape, pool)
    seconds, used = time.perf_counter() - started, time.process_time() - used
    if pool:
        pool.close()
        pool.join()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    # datatrove's processes are another process's children: their time can't be asked for.
    cpu = None if peer == "datatrove" else used + spent.ru_utime + spent.ru_stime
    (folder / f"found-{peer}.json").write_text(json.dumps({"seconds": seconds, "cpu": cpu, "labels": labels}))


if __name__ == "__main__":
    main()
