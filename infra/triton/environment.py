"""The embedded server's own Python environment: found out and checked before anything is started.

What can be missing is known (reference: DESIGN §3), and each lack has its own message: started blindly, tritonserver answers
them with a stub that dies later, on the first tensor.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import SettingsError

_PROBE = """
import importlib.metadata as metadata, json, sys, sysconfig
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2], "site": sysconfig.get_path("purelib"), "prefix": sys.base_prefix,
    "libdir": sysconfig.get_config_var("LIBDIR") or "", "multiarch": sysconfig.get_config_var("MULTIARCH") or "",
    "numpy": version("numpy"), "pytriton": version("nvidia-pytriton"),
}))
"""
_OLDEST_GLIBC = (2, 35)
"""tritonserver 2.51 was built on Ubuntu 22.04."""


@dataclass(frozen=True, slots=True)
class TritonEnvironment:
    """A checked environment that can run tritonserver."""

    python: Path
    version: str
    """Of Python, as in `3.11`: the stub must match it."""
    site: Path
    """Its site-packages."""
    libpython: Path
    """The folder that holds libpython for that version."""

    @property
    def tritonserver(self) -> Path:
        """The folder of the server as the wheel ships it."""
        return self.site / "pytriton" / "tritonserver"

    @property
    def stub(self) -> Path:
        """The Python backend's stub for this Python."""
        return self.tritonserver / "python_backend_stubs" / self.version / "triton_python_backend_stub"


def inspect_environment(python: Path) -> TritonEnvironment:
    """Check that tritonserver can run with this Python. Raises SettingsError saying what lacks and how to get it."""
    check_glibc(_glibc_version())
    facts = _probe(python)
    if not facts["pytriton"]:
        raise SettingsError(f"nvidia-pytriton is not installed for {python}: run `make setup`, or set GRISTMILL_TRITON_PYTHON")
    if facts["numpy"].split(".")[0] != "1":
        raise SettingsError(
            f"the Triton environment of {python} has numpy {facts['numpy'] or 'missing'}, and Triton's Python stub needs numpy 1.x "
            "(with numpy 2 it corrupts every string): run `make setup`"
        )
    environment = TritonEnvironment(python, facts["version"], Path(facts["site"]), _find_libpython(facts))
    if not environment.stub.is_file():
        there = ", ".join(sorted(path.name for path in environment.stub.parent.parent.glob("3.*"))) or "none"
        raise SettingsError(
            f"nvidia-pytriton has no Python stub for Python {environment.version} (it has {there}): make the environment with Python 3.11 or 3.12"
        )
    return environment


def _probe(python: Path) -> dict[str, str]:
    if not python.exists():
        raise SettingsError(f"no Python for the embedded Triton server at {python}: run `make setup`, or set GRISTMILL_TRITON_PYTHON")
    try:
        done = subprocess.run([python, "-I", "-c", _PROBE], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise SettingsError(f"{python} does not run ({error}): run `make setup`, or set GRISTMILL_TRITON_PYTHON to the Triton environment's Python") from error
    facts: dict[str, str] = json.loads(done.stdout)
    return facts


def _find_libpython(facts: dict[str, str]) -> Path:
    name = f"libpython{facts['version']}.so.1.0"
    multiarch = facts["multiarch"]
    folders = [facts["libdir"], f"{facts['prefix']}/lib", f"/usr/lib/{multiarch}", f"/usr/local/lib/{multiarch}", "/usr/lib64", "/usr/lib"]
    for folder in folders:
        if folder and (Path(folder) / name).exists():
            return Path(folder)
    raise SettingsError(
        f"{name} was not found, and Triton's Python stub needs it: `apt-get install libpython{facts['version']}`, or use a Python built with --enable-shared"
    )


def _glibc_version() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError, AttributeError):
        return ""


def check_glibc(told: str) -> None:
    """Check the C library by the name and version that it tells. Raises SettingsError."""
    name, _, number = told.partition(" ")
    if name != "glibc":
        raise SettingsError("the embedded Triton server needs Linux with glibc 2.35 or newer: on this system, point GRISTMILL_ENGINES at a server elsewhere")
    if tuple(int(part) for part in number.split(".")[:2]) < _OLDEST_GLIBC:
        raise SettingsError(f"the embedded Triton server needs glibc 2.35 or newer and this system has {number}: use Debian 12, Ubuntu 22.04 or newer")
