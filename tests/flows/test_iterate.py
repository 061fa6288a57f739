"""Release, training by a stand-in, the next release by what it hands back: with lineage, and nothing done twice."""

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infra.settings import Settings
from infra.triton.server import RehearsalOptions, ServedTriton, serve_triton
from tests.harness import Factory

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.timeout(900)]

TRAINER = Path(__file__).with_name("stand_in_trainer.py")
RECIPE = """
name: weak-to-strong
models: {writer: rehearsal-instruct, responder: rehearsal-instruct, reward: rehearsal-reward}
prompts:
  - {technique: math, topics: 2, problems: 4}
responses:
  - {technique: answer, samples: 4}
"""


@pytest.fixture(scope="module")
def stronger() -> Iterator[ServedTriton]:
    """Serve the model that "training" yields: it makes no mistakes."""
    with serve_triton(
        RehearsalOptions(latency_s=0.002, wrong_rate=0, malformed_rate=0, refusal_rate=0, truncation_rate=0), python=Settings().triton_python
    ) as it:
        yield it


def trainer(served: ServedTriton, log: Path, *name: str) -> str:
    return shlex.join([sys.executable, str(TRAINER), f"grpc://127.0.0.1:{served.grpc_port}/ensemble", str(log), *name])


def manifest(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(path) / "manifest.json").read_text(encoding="utf-8"))
    return found


def test_each_generation_is_made_by_the_model_trained_on_the_one_before(factory: Factory, tmp_path: Path, stronger: ServedTriton) -> None:
    recipe, log = tmp_path / "recipe.yaml", tmp_path / "trainings"
    recipe.write_text(RECIPE, encoding="utf-8")
    broken = factory.call("iterate", str(recipe), "--trainer", trainer(stronger, log, "broken"))
    assert broken.code == 8
    assert "out of memory on device 0" in broken.err
    assert "gristmill iterate" in broken.err

    command = ("iterate", str(recipe), "--trainer", trainer(stronger, log), "--rounds", "3", "--json")
    done = factory.call(*command)
    assert done.code == 0, done.err
    releases = json.loads(done.out)
    assert [one["release"] for one in releases] == ["weak-to-strong/v1", "weak-to-strong/v2", "weak-to-strong/v3"]
    assert [line.split()[:3] for line in log.read_text().splitlines()] == [["2", "weak-to-strong", "v1"]] * 2 + [["3", "weak-to-strong", "v2"]]

    first, second, third = (manifest(one["path"])["descent"] for one in releases)
    assert (first["kind"], first["round"], first["release"]) == ("generation", 1, None)
    assert (second["round"], second["release"], second["run"], second["model"]) == (2, "weak-to-strong/v1", releases[0]["run_id"], "trained-2")
    assert (third["round"], third["release"], third["model"]) == (3, "weak-to-strong/v2", "trained-3")
    assert "grpc://" not in json.dumps(manifest(releases[1]["path"])["descent"])
    rows = pl.read_parquet(Path(releases[1]["path"]) / "sft" / "**" / "*.parquet")
    uses = rows["provenance"].struct.field("models").explode().struct.unnest().filter(pl.col("role") != "reward")
    assert set(uses["model"]) == {"trained-2"}
    assert set(uses["revision"]) == {second["revision"]}
    assert factory.call("runs", "show", releases[2]["run_id"], "--json").json["notes"]["descent"] == third

    again = factory.call(*command)
    assert [one["already_finished"] for one in json.loads(again.out)] == [True, True, True]
    assert len(log.read_text().splitlines()) == 3
