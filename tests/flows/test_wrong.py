"""What is wrong is told once, clearly, before any work, and publishes nothing."""

import json
import random
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness import SMALL, Factory, Finished

pytestmark = [pytest.mark.triton, pytest.mark.slow]

SEEDS = """
name: seeded
models: {responder: rehearsal-instruct, reward: rehearsal-reward}
prompts: [{technique: seeds, path: rows.jsonl, source: made-up, licence: cc0-1.0, columns: {prompt: question}}]
responses: [{technique: answer}]
"""


def a_recipe(folder: Path, text: str) -> str:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def assert_told(done: Finished, factory: Factory, *, code: int, told: str) -> None:
    assert done.code == code, done.err
    assert told in " ".join(done.err.split()), done.err
    assert "Traceback" not in done.err
    assert not list(factory.data.glob("releases/*/v*"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("name: small", "name: small\nsede: 3"), "sede: unknown key"),
        (("open_qa,", "opne_qa,"), "unknown prompt technique 'opne_qa': did you mean 'open_qa'?"),
        (("topics: 3", "topics: -3"), "topics"),
        (("samples: 3", "samples: -1"), "responses.0.samples"),
        (("filter: refusal", "filter: rudeness"), "unknown filter 'rudeness'"),
        (("rehearsal-reward", "rehearsal-rewrad"), "rehearsal-rewrad"),
    ],
    ids=["unknown key", "unknown technique", "negative option", "negative number", "unknown filter", "unknown model"],
)
def test_a_wrong_recipe_is_refused(change: tuple[str, str], told: str, factory: Factory, tmp_path: Path) -> None:
    assert_told(factory.call("run", a_recipe(tmp_path, SMALL.replace(*change))), factory, code=2, told=told)


def test_a_missing_recipe_is_named(factory: Factory, tmp_path: Path) -> None:
    assert_told(factory.call("run", str(tmp_path / "absent.yaml")), factory, code=2, told="absent.yaml")


def test_a_missing_seed_file_is_named(factory: Factory, tmp_path: Path) -> None:
    assert_told(factory.call("run", a_recipe(tmp_path, SEEDS)), factory, code=2, told="rows.jsonl")


def test_a_seed_file_out_of_the_recipes_reach_is_refused(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "rows.jsonl").write_text('{"question": "Whose is this?"}', encoding="utf-8")
    recipe = a_recipe(tmp_path / "recipes", SEEDS.replace("rows.jsonl", "../rows.jsonl"))
    assert_told(factory.call("run", recipe), factory, code=2, told=f"set GRISTMILL_READ_PATHS={tmp_path}")
    assert not factory.data.exists()


def test_an_unreadable_seed_row_is_named_by_its_number(factory: Factory, tmp_path: Path) -> None:
    rows = [json.dumps({"question": f"What is {number} plus one?"}) for number in range(30)]
    rows[16] = '{"question": "torn'
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    assert_told(factory.call("run", a_recipe(tmp_path, SEEDS)), factory, code=2, told="row 17")


def test_an_engine_that_is_down_is_named_with_its_address(factory: Factory, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    down = replace(factory, engines=f"rehearsal-instruct=grpc://127.0.0.1:{port}/ensemble rehearsal-reward=grpc://127.0.0.1:{port}/reward")
    assert_told(down.call("run", a_recipe(tmp_path, SMALL)), down, code=3, told=f"127.0.0.1:{port}")


def test_an_engine_without_the_model_is_named_with_the_model(factory: Factory, tmp_path: Path) -> None:
    wrong = replace(factory, engines=factory.engines.replace("/ensemble", "/nemotron"))
    assert_told(wrong.call("run", a_recipe(tmp_path, SMALL)), wrong, code=3, told="nemotron")


@pytest.mark.timeout(900)
def test_a_full_disk_stops_the_run_with_its_cure(factory: Factory, tmp_path: Path, small_disk: Path) -> None:
    noise = random.Random(7)  # zstd must not make it small; in words, as the rehearsal model answers in words of the question, and counts them as tokens
    rows = [json.dumps({"question": f"What does {noise.randbytes(3000).hex(' ', 4)} stand for?"}) for _ in range(1200)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    recipe = a_recipe(tmp_path, SEEDS)
    cramped = replace(factory, data=small_disk / "data")
    assert_told(cramped.call("run", recipe), cramped, code=5, told="left)")
    subprocess.run(["mount", "-o", "remount,size=400m", str(small_disk)], check=True)
    resumed = cramped.call("run", recipe)
    assert resumed.code == 0, resumed.err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB: Prefect's database and the ledger fit, the run's shards don't."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"NO SMALL DISK: this user may not mount one ({mounted.stderr.strip()})")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
