"""Exports are read by the readers that people use, in environments that know nothing of us.

`datasets` reads all, OpenAI's own types check what is meant for its interfaces, LLaMA-Factory's converter reads ShareGPT, and each of TRL's four
trainers takes a step on its own. NeMo's loaders can't be installed here (NeMo Gym and NeMo-RL want a newer Python, NeMo-Aligner wants Megatron):
test_formats.py holds their rows against what their documentation and sources say.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.release.exporting import find_format, format_names
from tests.tasks.export_builders import a_release, exported, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TRL_EXPERIMENTAL_SILENCE": "1"}
TORCH = "torch==2.13.0"
LOAD = """
import json, sys
import datasets
folder, cache, *name = sys.argv[1:]
loaded = datasets.load_dataset(folder, *name, cache_dir=cache)
print(json.dumps({split: rows.to_list() for split, rows in loaded.items()}))
"""
CHECK_OPENAI = """
import json, sys
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter
chat, asked = TypeAdapter(list[ChatCompletionMessageParam]), TypeAdapter(ResponseCreateParamsNonStreaming)
rows = json.load(sys.stdin)
for row in rows["sft"]:
    chat.validate_python(row["messages"])
for row in rows["preferences"]:
    chat.validate_python(row["input"]["messages"] + row["preferred_output"])
    chat.validate_python(row["input"]["messages"] + row["non_preferred_output"])
for row in rows["prompts"]:
    asked.validate_python(row["responses_create_params"])
print(sum(map(len, rows.values())))
"""
CONVERT = """
import importlib.util, json, sys, types
from types import SimpleNamespace
# The package imports audio, video and a web server at its front; the converter needs none of them.
root = importlib.util.find_spec("llamafactory").submodule_search_locations[0]
for name, folder in (("llamafactory", root), ("llamafactory.data", f"{root}/data")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from llamafactory.data.converter import SharegptDatasetConverter
from llamafactory.data.parser import DatasetAttr
rows, files = json.load(sys.stdin), SimpleNamespace(media_dir="")
sft = SharegptDatasetConverter(DatasetAttr("file", "sft", formatting="sharegpt"), files)
pairs = SharegptDatasetConverter(DatasetAttr("file", "pairs", formatting="sharegpt", ranking=True, chosen="chosen", rejected="rejected"), files)
read = {"sft": [sft(row) for row in rows["sft"]], "preferences": [pairs(row) for row in rows["preferences"]]}
print(json.dumps({name: [[one["_prompt"], one["_response"], one["_system"]] for one in found] for name, found in read.items()}))
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_release(tmp_path_factory.mktemp("data"), prompts=20)


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment with `datasets` and OpenAI's own types of what is sent to it."""
    folder = tmp_path_factory.mktemp("readers")
    yield _environment(folder, "datasets", "openai")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def trainers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment with TRL and LLaMA-Factory, where Torch comes without gigabytes of CUDA; or GRISTMILL_TRAINERS_PYTHON, an interpreter with both."""
    if given := os.environ.get("GRISTMILL_TRAINERS_PYTHON"):
        yield Path(given)
        return
    folder = tmp_path_factory.mktemp("trainers")
    python = _environment(folder)
    plan = _call([str(python), "-m", "pip", "install", "-q", "--dry-run", "--report", "-", TORCH])
    heavy = [one["metadata"]["name"] for one in json.loads(plan)["install"] if one["metadata"]["name"].startswith("nvidia-")]
    if heavy:
        pytest.skip(f"NO TRAINERS: {TORCH} would come here with {len(heavy)} packages of CUDA; set GRISTMILL_TRAINERS_PYTHON to an interpreter with trl")
    _call([str(python), "-m", "pip", "install", "-q", TORCH])
    _call([str(python), "-m", "pip", "install", "-q", "trl", "peft"])
    _call([str(python), "-m", "pip", "install", "-q", "--no-deps", "llamafactory"])
    yield python
    shutil.rmtree(folder)  # 1.5 GB; pytest would keep those of three sessions.


@pytest.mark.parametrize("to", format_names())
def test_datasets_reads_an_export_unchanged(release: Path, readers: Path, tmp_path: Path, to: str) -> None:
    out = tmp_path / "out"
    exported(release, to, out, rows_per_file=4)

    for data_set in find_format(to).reads:
        read = json.loads(_run(readers, tmp_path, "-c", LOAD, str(out / data_set), str(tmp_path / "cache")))
        assert read == {split: rows_of(out, f"{data_set}/{split}") for split in ("train", "validation")}


def test_datasets_finds_the_parts_of_an_export_by_its_card(release: Path, readers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    exported(release, "openai", out, rows_per_file=4)

    for data_set in find_format("openai").reads:
        read = json.loads(_run(readers, tmp_path, "-c", LOAD, str(out), str(tmp_path / "cache"), data_set))
        assert read == {split: rows_of(out, f"{data_set}/{split}") for split in ("train", "validation")}


def test_openais_own_types_take_what_is_written_for_it(release: Path, readers: Path, tmp_path: Path) -> None:
    for to in ("openai", "nemo-gym"):
        exported(release, to, tmp_path / to)
    rows = {name: rows_of(tmp_path / to, name) for to in ("openai", "nemo-gym") for name in find_format(to).reads}

    assert int(_run(readers, tmp_path, "-c", CHECK_OPENAI, given=json.dumps(rows))) == 50


@pytest.mark.parametrize(
    ("trainer", "to", "columns"),
    [
        ("SFT", "trl-sft", {"input_ids": "{whole}"}),
        ("DPO", "trl-dpo", {"prompt_ids": "{prompt}", "chosen_ids": "{chosen}", "rejected_ids": "{rejected}"}),
        ("KTO", "trl-kto", {"prompt_ids": "{prompt}", "completion_ids": "{chosen}"}),
        ("Reward", "trl-reward", {"chosen_ids": "{prompt}{chosen}", "rejected_ids": "{prompt}{rejected}"}),
    ],
)
def test_a_trainer_of_trl_takes_a_step_on_what_was_exported(
    release: Path, trainers: Path, tmp_path: Path, trainer: str, to: str, columns: dict[str, str]
) -> None:
    """What the trainer tokenised, written out again, is our first row in the toy tokenizer's chat template."""
    made = exported(release, to, tmp_path / "out", rows_per_file=7)
    data_set = next(iter(find_format(to).reads))

    script = str(Path(__file__).with_name("train_a_step.py"))
    told = json.loads(_run(trainers, tmp_path, script, trainer, str(tmp_path / "out" / data_set), str(tmp_path)).splitlines()[-1])

    rows = {split: made["rows"][f"{data_set}/{split}"]["rows"] for split in ("train", "validation")}
    assert (told["rows"], told["seen"]) == (rows, rows["train"])
    first = _rendered(release, tmp_path)
    assert {name: told["first"][name] for name in columns} == {name: pattern.format(**first) for name, pattern in columns.items()}
    assert told["loss"] > 0


def test_llama_factorys_converter_reads_what_was_exported(release: Path, trainers: Path, tmp_path: Path) -> None:
    for to in ("sharegpt", "trl-sft", "trl-dpo"):
        exported(release, to, tmp_path / to)
    given = {name: rows_of(tmp_path / "sharegpt", name) for name in ("sft", "preferences")}

    read = json.loads(_run(trainers, tmp_path, "-c", CONVERT, given=json.dumps(given)).splitlines()[-1])

    whole = [row["messages"] for row in rows_of(tmp_path / "trl-sft", "sft")]
    assert read["sft"] == [[turns[:-1], turns[-1:], ""] for turns in whole]
    pairs = rows_of(tmp_path / "trl-dpo", "preferences")
    assert read["preferences"] == [[pair["prompt"], pair["chosen"] + pair["rejected"], ""] for pair in pairs]


def _rendered(release: Path, scratch: Path) -> dict[str, str]:
    """Write the first conversation and the first pair in the toy template."""
    for to in ("trl-sft", "trl-dpo"):
        exported(release, to, scratch / f"first-{to}")
    pair = rows_of(scratch / "first-trl-dpo", "preferences/train")[0]
    whole = rows_of(scratch / "first-trl-sft", "sft/train")[0]["messages"]
    return {
        "whole": "".join(f"<|{turn['role']}|>{turn['content']}<|end|>" for turn in whole),
        "prompt": f"<|user|>{pair['prompt'][0]['content']}<|end|><|assistant|>",
        "chosen": f"{pair['chosen'][0]['content']}<|end|>",
        "rejected": f"{pair['rejected'][0]['content']}<|end|>",
    }


def _environment(folder: Path, *packages: str) -> Path:
    uv = shutil.which("uv") if packages else None
    make = [uv, "venv", "-q", "-p", sys.executable, str(folder)] if uv else [sys.executable, "-m", "venv", str(folder)]
    python = str(folder / "bin" / "python")
    install = [uv, "pip", "install", "-q", "-p", python] if uv else [python, "-m", "pip", "install", "-q"]
    _call(make)
    if packages:
        _call([*install, *packages])
    return Path(python)


def _call(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        pytest.skip(f"NO READERS: {command} failed: {done.stderr[-300:]}")
    return done.stdout


def _run(python: Path, scratch: Path, *arguments: str, given: str = "") -> str:
    done = subprocess.run(
        [str(python), "-P", *arguments], capture_output=True, text=True, cwd=scratch, env=OFFLINE | {"HOME": str(scratch)}, input=given, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
