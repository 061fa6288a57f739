"""Which hardware serves what, and the commands that build it."""

import os
import subprocess
from pathlib import Path

import pytest

from infra.triton.production.building import build_gpus, build_script, commands
from infra.triton.production.running import run_build
from infra.triton.production.shapes import choose_shape
from schemas.errors import SettingsError


@pytest.mark.parametrize(
    ("card", "hardware", "served"),
    [
        ("nemotron-4-340b-instruct", "8xH200", ("bf16", 8, 1, 1)),
        ("nemotron-4-340b-instruct", "8xH100", ("fp8", 8, 1, 1)),
        ("nemotron-4-340b-instruct", "16xH100", ("bf16", 8, 2, 1)),
        ("nemotron-4-340b-reward", "16xH100", ("bf16", 8, 2, 1)),
        ("llama-3.1-nemotron-70b-instruct", "8xH100", ("bf16", 4, 1, 2)),
        ("llama-3.1-nemotron-70b-reward", "2xH200", ("fp8", 2, 1, 1)),
    ],
)
def test_shape_follows_the_model_cards(card: str, hardware: str, served: tuple[str, int, int, int]) -> None:
    shape = choose_shape(card, hardware)

    assert (shape.precision, shape.tensor, shape.pipeline, shape.copies) == served


@pytest.mark.parametrize(
    ("card", "hardware", "wire", "said"),
    [
        ("gpt-5", "8xH100", None, "no build is known for 'gpt-5'"),
        ("nemotron-4-340b-base", "9xH100", None, "multiple of 8"),
        ("nemotron-4-340b-base", "some", None, "8xH100"),
        ("nemotron-4-340b-base", "4xH100", None, "340 GB of weights.*choose 8xH100"),
        ("nemotron-4-340b-instruct", "8xH100", "llmapi", "published as .nemo"),
        ("nemotron-4-340b-reward", "8xH100", None, "--wire engine --precision fp8"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_can(card: str, hardware: str, wire: str | None, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        choose_shape(card, hardware, wire=wire)  # type: ignore[arg-type]


def test_340b_is_quantised_and_built_in_fp8_for_eight_h100() -> None:
    quantise, build = commands(choose_shape("nemotron-4-340b-instruct", "8xH100"))

    # The weights are first loaded in BF16, for which eight H100 are too small.
    assert quantise[0].startswith("mpirun --allow-run-as-root -np 16 python3")
    assert {"--qformat fp8", "--tp_size 8", "--calib_tp_size 8", "--calib_pp_size 2"} <= set(quantise)
    assert {"--max_seq_len 4096", "--max_input_len 3072", "--workers 8"} <= set(build)
    assert not any("gemm_plugin" in option for option in build)
    assert build_gpus(choose_shape("nemotron-4-340b-instruct", "8xH100")) == 16


def test_reward_engine_gathers_logits_and_has_room_for_one_token_more() -> None:
    convert, build = commands(choose_shape("llama-3.1-nemotron-70b-reward", "8xH100"))

    assert "convert_checkpoint.py" in convert[0]
    assert {"--gather_generation_logits", "--max_input_len 4096", "--max_seq_len 4097"} <= set(build)


def test_checkpoint_that_is_served_as_it_is_has_no_build() -> None:
    assert commands(choose_shape("nemotron-4-340b-reward", "16xH100")) == ()
    assert commands(choose_shape("llama-3.1-nemotron-70b-instruct", "8xH100", wire="llmapi")) == ()


def test_build_script_runs_its_commands_in_order_and_stops_at_the_first_that_fails(tmp_path: Path) -> None:
    tools, script = tmp_path / "bin", tmp_path / "build.sh"
    tools.mkdir()
    script.write_text(build_script(choose_shape("llama-3.1-nemotron-70b-instruct", "8xH100")), encoding="utf-8")
    for name, code in (("python3", 0), ("trtllm-build", 3)):
        (tools / name).write_text(f"#!/bin/sh\necho {name} $1 $2 >> {tmp_path}/told\nexit {code}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "CHECKPOINT": "/a folder/of weights"}
    done = subprocess.run(["bash", str(script)], env=env, capture_output=True, text=True)

    assert done.returncode == 3
    assert (tmp_path / "told").read_text(encoding="utf-8").splitlines() == [
        "python3 /app/examples/models/core/llama/convert_checkpoint.py --model_dir",
        f"trtllm-build --checkpoint_dir {tmp_path}/checkpoint",
    ]


def test_build_refuses_to_run_without_checkpoint_or_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHECKPOINT", raising=False)
    with pytest.raises(SettingsError, match="CHECKPOINT"):
        run_build(tmp_path, needed=8, there=0)
    monkeypatch.setenv("CHECKPOINT", "/weights")
    with pytest.raises(SettingsError, match="takes 8 GPUs and here are 0"):
        run_build(tmp_path, needed=8, there=0)
