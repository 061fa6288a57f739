"""One peer's MinHash dedup of a Parquet file, in an environment of its own: `python dedup_peers.py PEER FOLDER WIDTH BANDS ROWS`.

Reads FOLDER/corpus.parquet (number, text), or the same in FOLDER/halves; writes what it keeps as Parquet, and FOLDER/found-PEER.json: a
cluster label a row, seconds, CPU seconds. Imports nothing of ours. Tokens are found by the same rules as ours, in the way these libraries
leave to their user: a regular expression (datatrove's are its own).
"""

import json
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TOKEN = re.compile(r"[^\W_]+|[#%&()*\-/@\[\]\\_{}$+<=>^`|~]")


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


def rensa(texts: list[str], width: int, bands: int, rows: int) -> list[int]:
    from rensa import RMinHash, RMinHashLSH  # type: ignore[import-not-found]

    signatures = []
    for text in texts:
        signature = RMinHash(num_perm=bands * rows, seed=42)
        signature.update(shingles(text, width))
        signatures.append(signature)
    index = RMinHashLSH(threshold=0.8, num_perm=bands * rows, num_bands=bands)
    for row, signature in enumerate(signatures):
        index.insert(row, signature)
    return cluster(index.query(signature) for signature in signatures)


def datasketch(texts: list[str], width: int, bands: int, rows: int) -> list[int]:
    from datasketch import MinHash, MinHashLSH  # type: ignore[import-not-found]

    signatures = []
    for text in texts:
        signature = MinHash(num_perm=bands * rows)
        signature.update_batch([shingle.encode() for shingle in shingles(text, width)])
        signatures.append(signature)
    index = MinHashLSH(num_perm=bands * rows, params=(bands, rows))
    for row, signature in enumerate(signatures):
        index.insert(row, signature)
    return cluster(index.query(signature) for signature in signatures)


def datatrove(folder: Path, width: int, bands: int, rows: int) -> list[int]:
    """Run datatrove's four stages on two processes; its tokens are its own, spaCy's."""
    from datatrove.executor import LocalPipelineExecutor  # type: ignore[import-not-found]
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature  # type: ignore[import-not-found]
    from datatrove.pipeline.dedup.minhash import MinhashConfig  # type: ignore[import-not-found]
    from datatrove.pipeline.readers import ParquetReader  # type: ignore[import-not-found]
    from datatrove.pipeline.writers import ParquetWriter  # type: ignore[import-not-found]

    work = folder / "datatrove"
    config = MinhashConfig(n_grams=width, num_buckets=bands, hashes_per_bucket=rows)
    reader = ParquetReader(str(folder / "halves"), id_key="number", batch_size=1000)
    out = [ParquetWriter(str(work / name)) for name in ("dropped", "kept")]
    stages = [
        (2, [reader, MinhashDedupSignature(str(work / "signatures"), config=config)]),
        (bands, [MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"), config=config)]),
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


def in_memory(peer: str, folder: Path, width: int, bands: int, rows: int) -> list[int]:
    table = pq.read_table(folder / "corpus.parquet")
    labels = {"rensa": rensa, "datasketch": datasketch}[peer](table["text"].to_pylist(), width, bands, rows)
    kept = pa.array([label == row for row, label in enumerate(labels)])
    pq.write_table(table.filter(kept), folder / f"kept-{peer}.parquet", compression="zstd")
    return labels


def main() -> None:
    peer, folder, width, bands, rows = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])
    started = time.perf_counter()
    labels = datatrove(folder, width, bands, rows) if peer == "datatrove" else in_memory(peer, folder, width, bands, rows)
    seconds = time.perf_counter() - started
    # datatrove's processes are another process's children: their time can't be asked for.
    cpu = None if peer == "datatrove" else time.process_time()
    (folder / f"found-{peer}.json").write_text(json.dumps({"seconds": seconds, "cpu": cpu, "labels": labels}))


if __name__ == "__main__":
    main()
