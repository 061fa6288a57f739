"""Peers' throwaway environments: none of them is in our lock."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def install(name: str, packages: Sequence[str], folder: Path) -> Path | None:
    """Make the environment `folder`/`name`, or find it made, and give its Python; None, with the reason printed, where a package can't be had."""
    python = folder / name / "bin" / "python"
    if python.exists():
        return python
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.prefix) / ".uv" / "bin"))
    make = [uv, "venv", "-q", "-p", sys.executable] if uv else [sys.executable, "-m", "venv"]
    fetch = [uv, "pip", "install", "-q", "-p", str(python)] if uv else [str(python), "-m", "pip", "install", "-q"]
    for command in ([*make, str(folder / name)], [*fetch, *packages]):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            print(f"SKIPPED: can't install {name}: {ran.stderr.strip().splitlines()[-1:]}", flush=True)
            return None
    return python
