"""Stands in for a trainer: reads a release as one would, names its weights by what it read, and says where the "trained" engine is served.

python stand_in_trainer.py ADDRESS LOG [NAME]
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import pyarrow.parquet as pq

address, log, name = sys.argv[1], Path(sys.argv[2]), (sys.argv[3:] or ["trained"])[0]
release, number = Path(os.environ["GRISTMILL_RELEASE"]), os.environ["GRISTMILL_ROUND"]
rows = sum(pq.read_table(path).num_rows for path in (release / "sft").rglob("*.parquet"))
weights = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((release / "sft").rglob("*.parquet")))).hexdigest()
with log.open("a", encoding="utf-8") as file:
    print(number, release.parent.name, release.name, rows, file=file)
if name == "broken":
    sys.exit("out of memory on device 0")
Path(os.environ["GRISTMILL_TRAINED"]).write_text(json.dumps({"id": f"{name}-{number}", "revision": weights[:16], "address": address}), encoding="utf-8")
