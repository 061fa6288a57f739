"""What a fault's test has: a data folder, real engines whose calls are counted, an undisturbed run to compare with, and a row in the table at the end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.cluster import open_cluster
from infra.prefect_home import prefect_api
from infra.settings import Settings
from infra.triton.server import ServedTriton, serve_triton
from tests.faults.case import Case, Site
from tests.harness import SMALL, Factory, data_files, engines_of, stumbling

LONGEST_S = 900
COLUMNS = ("fault", "survived", "calls repeated", "journalled ones", "release identical")


@pytest.fixture(scope="session")
def call_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file in which every server of the session writes down what it has answered."""
    return tmp_path_factory.mktemp("calls") / "calls.jsonl"


@pytest.fixture(scope="session")
def triton(call_log: Path) -> Iterator[ServedTriton]:
    with serve_triton(stumbling(call_log), python=Settings().triton_python) as served:
        yield served


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A Prefect API and Dask workers that all runs share whose fault is another: their start is most of a small run's time."""
    folder = tmp_path_factory.mktemp("site")
    with prefect_api(folder) as api, open_cluster(Settings(data=folder)) as client:
        api.wait()
        yield Site(api.url, client.scheduler_info()["address"])


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, triton: ServedTriton, recipe: Path, site: Site) -> dict[str, str]:
    """Run the recipe once without a fault: its data files."""
    factory = Factory(tmp_path_factory.mktemp("undisturbed") / "data", engines_of(triton), site.settings)
    done = factory.call("run", str(recipe), "--json")
    assert done.code == 0, done.err
    return dict(data_files(Path(done.json["path"])))


@pytest.fixture
def case(
    request: pytest.FixtureRequest, tmp_path: Path, triton: ServedTriton, recipe: Path, site: Site, call_log: Path, undisturbed: dict[str, str]
) -> Iterator[Case]:
    """A fault to come: a fresh data folder, the session's engines, Prefect and Dask."""
    factory = Factory(tmp_path / "data", engines_of(triton), site.settings)
    found = Case(factory, recipe, call_log, undisturbed, request.node.user_properties)
    yield found
    found.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a fault's test, and the starting of servers before it, all the time that two busy cores may take."""
    for item in items:
        if "/faults/" in item.nodeid and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONGEST_S))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print a row for each fault."""
    rows = [_row(report) for outcome in ("passed", "failed", "skipped") for report in terminalreporter.stats.get(outcome, []) if _counts(report)]
    if not rows:
        return
    widths = [max(len(row[column]) for row in [COLUMNS, *rows]) for column in range(len(COLUMNS))]
    terminalreporter.section("faults")
    for row in [COLUMNS, *sorted(rows)]:
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _counts(report: Any) -> bool:
    return "/faults/" in report.nodeid and (report.when == "call" or report.outcome != "passed")


def _row(report: Any) -> tuple[str, ...]:
    told = dict(report.user_properties)
    fault = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    survived = {"passed": "yes", "failed": "NO", "skipped": "SKIPPED"}[report.outcome]
    return (fault, survived, *(str(told.get(column, "-")) for column in COLUMNS[2:]))
