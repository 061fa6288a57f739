"""What thousands of tiny shards cost a whole run: seconds a stage, rows of Prefect's database, peak memory; every shard one prompt.

python -m benchmarks.many_shards [SHARDS]        default: 1,000
"""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil

from benchmarks.driving import scratch

RECIPE = """
name: many
models: {responder: rehearsal-instruct, reward: rehearsal-reward}
prompts:
  - {technique: seeds, path: seeds.jsonl, source: bench, licence: cc0-1.0, columns: {prompt: prompt}}
responses:
  - {technique: answer, samples: 1}
shard_records: 1
"""
TABLES = ("task_run", "task_run_state", "flow_run", "artifact", "events")


def run(folder: Path, shards: int) -> tuple[float, int]:
    lines = [json.dumps({"prompt": f"What should a gardener know about bed number {number} in a dry year?"}) for number in range(shards)]
    (folder / "seeds.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "many.yaml").write_text(RECIPE, encoding="utf-8")
    environment = os.environ | {"GRISTMILL_DATA": str(folder / "data")}
    started, peak = time.monotonic(), 0
    with (folder / "out").open("w") as out:
        child = subprocess.Popen([Path(sys.executable).with_name("gristmill"), "run", folder / "many.yaml"], env=environment, stdout=out, stderr=out)
        while child.poll() is None:
            time.sleep(0.2)
            try:
                peak = max(peak, psutil.Process(child.pid).memory_info().rss)
            except psutil.Error:
                break
    if child.wait():
        sys.exit((folder / "out").read_text()[-2000:])
    return time.monotonic() - started, peak


def tell_stages(database: Path) -> None:
    with closing(sqlite3.connect(database)) as ledger:
        rows = ledger.execute(
            "select stage, count(*), sum(rows_out), (julianday(max(committed_at)) - julianday(min(committed_at))) * 86400 "
            "from shards group by stage order by min(committed_at)"
        ).fetchall()
    for stage, shards, rows_out, seconds in rows:
        print(f"  {stage}: {shards:,} shards, {rows_out:,} rows out, {seconds:.1f} s from first to last commit, {1000 * seconds / shards:.1f} ms a shard")


def tell_prefect(database: Path) -> None:
    with closing(sqlite3.connect(database)) as prefect:
        counts = {table: prefect.execute(f"select count(*) from {table}").fetchone()[0] for table in TABLES}
    print(f"  Prefect's database: {database.stat().st_size / 1e6:.1f} MB, rows: {', '.join(f'{table} {count:,}' for table, count in counts.items())}")


def main() -> None:
    shards = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with scratch() as folder:
        seconds, peak = run(folder, shards)
        print(f"{shards:,} shards of one prompt: {seconds:.0f} s, peak memory of the flow's process {peak / 1e6:.0f} MB")
        tell_stages(folder / "data" / "ledger.db")
        tell_prefect(folder / "data" / "prefect" / "prefect.db")


if __name__ == "__main__":
    main()
