import json
import sys
from pathlib import Path

import pytest

from infra.triton.environment import check_glibc, inspect_environment
from schemas.errors import SettingsError


def a_python(folder: Path, **facts: str) -> Path:
    """A program that tells the same facts about itself as a Python would."""
    whole = {"version": "3.11", "site": str(folder), "prefix": sys.base_prefix, "libdir": str(folder), "multiarch": "", "numpy": "1.26.4", "pytriton": "0.7.0"}
    (folder / "libpython3.11.so.1.0").touch()
    python = folder / "python"
    python.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(whole | facts)}\nEND\n", encoding="utf-8")
    python.chmod(0o755)
    return python


def test_inspect_environment_says_make_setup_where_there_is_no_python(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="make setup"):
        inspect_environment(tmp_path / "nothing")


def test_inspect_environment_refuses_a_file_that_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("not a program", encoding="utf-8")
    with pytest.raises(SettingsError, match="does not run"):
        inspect_environment(tmp_path / "python")


def test_inspect_environment_refuses_a_python_without_pytriton() -> None:
    with pytest.raises(SettingsError, match="nvidia-pytriton is not installed"):
        inspect_environment(Path(sys.executable))


@pytest.mark.parametrize("version", ["2.1.0", ""])
def test_inspect_environment_refuses_any_numpy_but_1(tmp_path: Path, version: str) -> None:
    with pytest.raises(SettingsError, match=r"needs numpy 1\.x"):
        inspect_environment(a_python(tmp_path, numpy=version))


def test_inspect_environment_names_the_package_of_a_missing_libpython(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"libpython3\.97\.so\.1\.0 was not found.*apt-get install libpython3\.97"):
        inspect_environment(a_python(tmp_path, version="3.97"))


def test_inspect_environment_lists_the_stubs_there_are(tmp_path: Path) -> None:
    (tmp_path / "pytriton" / "tritonserver" / "python_backend_stubs" / "3.9").mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"no Python stub for Python 3\.11 \(it has 3\.9\)"):
        inspect_environment(a_python(tmp_path))


@pytest.mark.parametrize(
    ("told", "message"),
    [("glibc 2.31", "this system has 2.31"), ("", "needs Linux with glibc"), ("musl 1.2", "needs Linux with glibc")],
    ids=["old", "none", "musl"],
)
def test_check_glibc_refuses(told: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_glibc(told)


@pytest.mark.parametrize("told", ["glibc 2.35", "glibc 2.36", "glibc 3.0"])
def test_check_glibc_accepts(told: str) -> None:
    check_glibc(told)


@pytest.mark.triton
def test_inspect_environment_finds_the_real_one(triton_python: Path) -> None:
    environment = inspect_environment(triton_python)
    assert environment.stub.is_file()
    assert (environment.libpython / f"libpython{environment.version}.so.1.0").exists()
