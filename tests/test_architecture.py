"""The shape of the code base: which way imports point, what start-up loads, what lies at the top."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("cli", "flows", "tasks", "infra", "schemas")
HEAVY = {
    "prefect",
    "distributed",
    "dask",
    "great_expectations",
    "numba",
    "tritonclient",
    "grpc",
    "pyarrow",
    "polars",
    "pandas",
    "numpy",
    "sqlalchemy",
    "httpx",
}
ROOMS_TO_AVOID = {"utils", "util", "helpers", "common", "misc", "base"}
LOADED_BY = "import sys; from cli.main import main; code = main({arguments!r}); print(sorted(sys.modules), file=sys.stderr); sys.exit(code)"


def modules() -> list[Path]:
    return [path for layer in LAYERS for path in (ROOT / layer).rglob("*.py") if "rehearsal" not in path.relative_to(ROOT).parts]


def loaded_by(*arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", LOADED_BY.format(arguments=arguments)], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.partition(".")[0] for name in ast.literal_eval(done.stderr)}


def test_imports_point_one_way() -> None:
    done = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], capture_output=True, text=True, cwd=ROOT)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("version",)], ids=" ".join)
def test_start_up_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert loaded_by(*arguments) & HEAVY == set()


def test_each_module_says_what_lives_in_it() -> None:
    silent = [str(path.relative_to(ROOT)) for path in modules() if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]

    assert silent == []


def test_no_module_is_a_lumber_room() -> None:
    assert [str(path.relative_to(ROOT)) for path in modules() if path.stem in ROOMS_TO_AVOID] == []


def test_flow_files_hold_only_flows() -> None:
    """Prefect loads them under another name, so nothing that crosses to a worker may be defined there."""
    for path in (ROOT / "flows").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            assert not isinstance(node, ast.ClassDef), path.name
            if isinstance(node, ast.FunctionDef):
                assert any("flow" in ast.unparse(decorator) for decorator in node.decorator_list), f"{path.name}: {node.name}"


def test_no_test_folder_is_a_package() -> None:
    """tests/tasks/__init__.py would stand before tasks/ on the import path."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_every_layer_is_packaged() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert tuple(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == ("cli", "flows", "tasks", "schemas", "infra")
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(LAYERS)
