"""Real input: GSM8K's problems answered by the rehearsal model, and four real models' recorded solutions paired by ground truth."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from infra.settings import Settings
from infra.triton.server import RehearsalOptions, serve_triton
from tests.harness import Factory, engines_of

pytestmark = [pytest.mark.triton, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]


def a_copy(name: str, folder: Path, shared_data: Path) -> Path:
    """Copy a recipe, its seed path made absolute: the real data may be elsewhere."""
    text = (ROOT / "tests" / "recipes" / name).read_text(encoding="utf-8")
    path = folder / name
    path.write_text(text.replace("../../../shared/data", str(shared_data)), encoding="utf-8")
    return path


def test_every_row_made_from_gsm8k_has_a_prompt_of_the_file(factory: Factory, tmp_path: Path, shared_data: Path) -> None:
    reading = replace(factory, settings={"GRISTMILL_READ_PATHS": str(shared_data)})
    done = reading.call("run", str(a_copy("gsm8k.yaml", tmp_path, shared_data)), "--json")
    assert done.code == 0, done.err
    release = Path(done.json["path"])
    with (shared_data / "gsm8k_train.jsonl").open(encoding="utf-8") as lines:
        questions = {json.loads(line)["question"].strip() for line in lines}
    # The rehearsal model can't solve most of these: few answers are right, and fewer pair up.
    for data_set, column, least in (("sft", "messages", 5), ("preferences", "prompt", 1), ("prompts", "messages", 400)):
        rows = pl.read_parquet(release / data_set / "**" / "*.parquet")
        assert rows.height >= least
        assert set(rows[column].list.first().struct.field("content").str.strip_chars()) <= questions
    accounts = json.loads((release / "manifest.json").read_text())["accounts"]
    assert [account["requested"] for account in accounts] == [500, 4 * accounts[0]["kept"]]
    assert all(account["requested"] == account["kept"] + sum(loss["rows"] for loss in account["losses"]) for account in accounts)


def test_recorded_answers_pair_as_their_publisher_judged_them(tmp_path: Path, shared_data: Path) -> None:
    recorded = shared_data / "gsm8k_model_solutions.jsonl.gz"
    with serve_triton(RehearsalOptions(latency_s=0.0, replay=(recorded,)), python=Settings().triton_python) as replaying:
        reading = Factory(tmp_path / "data", engines_of(replaying), {"GRISTMILL_READ_PATHS": str(shared_data)})
        done = reading.call("run", str(a_copy("gsm8k-replay.yaml", tmp_path, shared_data)), "--json")
    assert done.code == 0, done.err
    script = ROOT / "tests" / "proofs" / "check_gsm8k_pairs.py"
    alone = shutil.copy(script, tmp_path)  # away from the repository, so that it can share no code
    checked = subprocess.run([sys.executable, "-P", alone, done.json["path"], str(recorded)], capture_output=True, text=True, cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    assert "missing 0 too many 0" in checked.stdout
