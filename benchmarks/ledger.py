"""What a commit costs.

python -m benchmarks.ledger [URL]      default: SQLite in a temporary folder
"""

import os
import statistics
import sys
import tempfile
import threading
import time
import uuid

from infra.ledger import Ledger
from schemas.run import ShardReport

COMMITS = 1_000
REPORT = ShardReport(
    rows_in=256, rows_out=250, dropped={"refused": 4, "truncated": 2}, calls=256, prompt_tokens=60_000, completion_tokens=120_000, seconds=12.5
)


def commit_range(ledger: Ledger, run: str, shards: range, took: list[float]) -> None:
    for shard in shards:
        start = time.perf_counter()
        ledger.commit_shard(run, "responses", shard, REPORT)
        took.append(time.perf_counter() - start)


def bench(url: str) -> None:
    start = time.perf_counter()
    ledger = Ledger.open(url)
    opened = time.perf_counter() - start
    run = ledger.begin_run(fingerprint=uuid.uuid4().hex, name="bench", recipe={}, rehearsal=True, fresh=False).run_id
    ledger.plan_stage(run, "responses", 5 * COMMITS)
    took: list[float] = []
    commit_range(ledger, run, range(COMMITS), took)
    p99 = statistics.quantiles(took, n=100)[98]
    print(f"{ledger}: open {opened * 1e3:.0f} ms; commit_shard median {statistics.median(took) * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms")
    took.clear()
    threads = [threading.Thread(target=commit_range, args=(ledger, run, range(at * COMMITS, (at + 1) * COMMITS), took)) for at in range(1, 5)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"4 threads at once: {len(took) / (time.perf_counter() - start):,.0f} commits/s, p99 {statistics.quantiles(took, n=100)[98] * 1e3:.1f} ms")
    start = time.perf_counter()
    stages = ledger.stages(run)
    print(f"adding up {stages[0].committed:,} shards: {(time.perf_counter() - start) * 1e3:.0f} ms; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    ledger.close()


def main() -> None:
    if len(sys.argv) > 1:
        bench(sys.argv[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        bench(f"sqlite:///{folder}/ledger.db")


if __name__ == "__main__":
    main()
