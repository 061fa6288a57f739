"""What is published is read unchanged by the readers that people use, each in an environment that knows nothing of us."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from infra.triton.server import ServedTriton
from tests.harness import SMALL, Factory, engines_of

pytestmark = [pytest.mark.triton, pytest.mark.slow]

READ = """
import json, sys
import datasets, duckdb
release, cache = sys.argv[1:]
rows = {}
for name in ("sft", "preferences"):
    loaded = datasets.load_dataset("parquet", data_files=f"{release}/{name}/*/*.parquet", split="train", cache_dir=cache)
    counted = duckdb.sql(f"select count(*) from '{release}/{name}/*/*.parquet'").fetchall()[0][0]
    first = duckdb.sql(f"select to_json(columns(*)) from '{release}/{name}/*/*.parquet' limit 1").fetchall()[0]
    rows[name] = {"datasets": loaded.num_rows, "duckdb": counted, "columns": loaded.column_names, "typed": len(first)}
print(json.dumps(rows))
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, triton: ServedTriton) -> Path:
    folder = tmp_path_factory.mktemp("read")
    (folder / "small.yaml").write_text(SMALL, encoding="utf-8")
    done = Factory(folder / "data", engines_of(triton)).call("run", str(folder / "small.yaml"), "--json")
    assert done.code == 0, done.err
    return Path(done.json["path"])


@pytest.fixture(scope="module")
def throwaway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with `datasets` and DuckDB alone."""
    folder = tmp_path_factory.mktemp("readers")
    uv = shutil.which("uv")
    make = [[uv, "venv", "-q", "-p", sys.executable, str(folder)]] if uv else [[sys.executable, "-m", "venv", str(folder)]]
    python = str(folder / "bin" / "python")
    install = [uv, "pip", "install", "-q", "-p", python] if uv else [python, "-m", "pip", "install", "-q"]
    for command in [*make, [*install, "datasets", "duckdb"]]:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"NO READERS: {command} failed: {done.stderr[-300:]}")
    return Path(python)


def test_datasets_and_duckdb_read_a_release_unchanged(release: Path, throwaway: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(throwaway), "-P", "-c", READ, str(release), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, found in json.loads(done.stdout).items():
        ours = pl.read_parquet(release / name / "**" / "*.parquet")
        assert found["datasets"] == found["duckdb"] == ours.height > 0
        assert found["columns"] == ours.columns
        assert found["typed"] == len(ours.columns)
