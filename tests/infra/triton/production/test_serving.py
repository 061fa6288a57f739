"""serve.sh run with an mpirun of ours, which tells what it was asked to run; launch.sh read."""

import os
import subprocess
from pathlib import Path

import pytest

from infra.settings import ROOT, read_settings
from infra.triton.production.launching import launch_script
from infra.triton.production.shapes import choose_shape

SERVE = ROOT / "infra" / "triton" / "production" / "serve.sh"


def serve(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    mpirun = folder / "bin" / "mpirun"
    mpirun.parent.mkdir()
    mpirun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    mpirun.chmod(0o755)
    env = {"PATH": f"{mpirun.parent}:{os.environ['PATH']}"}
    return subprocess.run([str(SERVE), *arguments], env=env, capture_output=True, text=True)


def test_serve_starts_one_server_a_gpu_and_only_the_first_serves_all_models(tmp_path: Path) -> None:
    told = serve(tmp_path, "4", str(tmp_path)).stdout.splitlines()
    ranks = [rank.split("\n") for rank in "\n".join(told[1:]).split("\n:\n")]

    assert told[0] == "--allow-run-as-root"
    assert len(ranks) == 4
    assert all(rank[:3] == ["-n", "1", "tritonserver"] and f"--model-repository={tmp_path}" in rank for rank in ranks)
    assert ["--load-model=tensorrt_llm" in rank for rank in ranks] == [False, True, True, True]
    assert len({option for rank in ranks for option in rank if "shm-region-prefix-name" in option}) == 4


def test_serve_gives_a_second_copy_ports_of_its_own(tmp_path: Path) -> None:
    told = serve(tmp_path, "1", str(tmp_path), "8010").stdout

    assert all(option in told for option in ("--http-port=8010", "--grpc-port=8011", "--metrics-port=8012"))


@pytest.mark.parametrize("arguments", [(), ("0", "."), ("four", "."), ("4", "/nowhere/at/all"), ("4", ".", "http")])
def test_serve_refuses_what_it_cannot_serve(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = serve(tmp_path, *arguments)

    assert done.returncode != 0
    assert done.stderr
    assert done.stdout == ""


@pytest.mark.triton
def test_serve_uses_options_that_tritonserver_has(tmp_path: Path) -> None:
    found = sorted(read_settings().triton_python.parent.parent.glob("lib/python3.*/site-packages/pytriton/tritonserver/bin/tritonserver"))
    if not found:
        pytest.skip("NO TRITON HERE: the embedded server's environment is not installed (`make setup`)")
    libraries = found[0].parents[3] / "nvidia_pytriton.libs"
    usage = subprocess.run([str(found[0]), "--help"], env={"LD_LIBRARY_PATH": str(libraries)}, capture_output=True, text=True)
    words = serve(tmp_path, "2", str(tmp_path)).stdout.split("tritonserver", 1)[1].splitlines()
    options = {word.split("=")[0] for word in words if word.startswith("--")}

    assert len(options) > 10
    assert [option for option in sorted(options) if option not in usage.stdout + usage.stderr] == []


@pytest.mark.parametrize(
    ("card", "hardware", "wire"),
    [
        ("nemotron-4-340b-instruct", "16xH100", "engine"),
        ("nemotron-4-340b-reward", "16xH100", "aligner"),
        ("llama-3.1-nemotron-70b-instruct", "8xH100", "llmapi"),
        ("llama-3.1-nemotron-70b-reward", "8xH200", "engine"),
    ],
)
def test_launch_is_a_script_that_bash_reads(card: str, hardware: str, wire: str) -> None:
    script = launch_script(choose_shape(card, hardware, wire=wire))  # type: ignore[arg-type]

    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True).stderr == ""


def test_launch_gives_each_copy_its_gpus_and_ports() -> None:
    script = launch_script(choose_shape("llama-3.1-nemotron-70b-instruct", "8xH100"))

    assert 'CUDA_VISIBLE_DEVICES=0,1,2,3 "$here/serve.sh" 4 "$here/repository" 8000 &' in script
    assert 'CUDA_VISIBLE_DEVICES=4,5,6,7 "$here/serve.sh" 4 "$here/repository" 8010 &' in script


def test_launch_spreads_a_copy_over_two_nodes() -> None:
    script = launch_script(choose_shape("nemotron-4-340b-base", "16xH100"))

    assert "srun --mpi=pmix --nodes=2 --ntasks-per-node=8" in script
