"""Runs a rendered build where its GPUs are."""

import os
import shutil
import subprocess
from pathlib import Path

from schemas.errors import SettingsError

_TOOLS = ("trtllm-build", "python3")


def count_gpus() -> int:
    """Count this machine's NVIDIA GPUs; 0 where their driver is not there."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    listed = subprocess.run([tool, "--list-gpus"], capture_output=True, text=True, check=False)  # noqa: S603
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines()) if listed.returncode == 0 else 0


def run_build(folder: Path, *, needed: int, there: int) -> None:
    """Run build.sh. Raises SettingsError, before anything is run, for what it lacks; and if it fails."""
    if not os.environ.get("CHECKPOINT"):
        raise SettingsError("no checkpoint to build from: set CHECKPOINT to its folder or .nemo file")
    if there < needed:
        raise SettingsError(f"the build takes {needed} GPUs and here are {there}: run it on a machine that has them, or leave out --run to see the commands")
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise SettingsError(f"{', '.join(missing)} is not here: run this in TensorRT-LLM's container (the head of {folder / 'build.sh'} names it)")
    done = subprocess.run([str(folder / "build.sh")], check=False)  # noqa: S603
    if done.returncode:
        raise SettingsError(f"{folder / 'build.sh'} ended with code {done.returncode}: its own output above says why")
