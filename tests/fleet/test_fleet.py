"""One recipe on a fleet of nine hosts is the laptop's, byte for byte; and it is with a host cut off in mid-run."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from infra.environment import environment
from infra.shared import place
from tasks.release.manifest import verify_release
from tasks.release.publish import find_release
from tests.fleet.fleet import Fleet, fleet_up
from tests.harness import Factory, data_files

pytestmark = [pytest.mark.fleet, pytest.mark.slow, pytest.mark.triton, pytest.mark.postgres, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with fleet_up() as fleet:
        yield fleet


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The data files of the same recipe, run with nothing set but the data folder."""
    data = tmp_path_factory.mktemp("laptop") / "data"
    ended = Factory(data, "").call("run", "recipes/rehearsal.yaml", "--quiet")
    assert ended.code == 0, ended.err
    return data_files(find_release(data, "rehearsal"))


def release_of(fleet: Fleet, data: str, scratch: Path) -> Mapping[str, str]:
    """Read and check a release of the fleet's from here, as its operator would."""
    with environment({**fleet.s3, "GRISTMILL_SCRATCH": str(scratch)}):
        release = find_release(place(data), "rehearsal")
        assert verify_release(release) == []
        return data_files(release)


def test_a_run_on_a_fleet_publishes_what_the_laptop_does(fleet: Fleet, laptop: Mapping[str, str], tmp_path: Path) -> None:
    fleet.finish(fleet.trigger("s3://bucket/whole"))
    assert release_of(fleet, "s3://bucket/whole", tmp_path) == laptop


@pytest.mark.parametrize(("host", "stage"), [("triton-a", "responses"), ("dask-worker-a", "score")])
def test_a_host_cut_off_in_mid_run_changes_nothing_of_the_release(fleet: Fleet, laptop: Mapping[str, str], tmp_path: Path, host: str, stage: str) -> None:
    data = f"s3://bucket/without-{host}"
    runs, flow_run = fleet.runs(), fleet.trigger(data)
    fleet.wait_until(lambda: fleet.runs() > runs and fleet.committed(stage), f"a shard of {stage}")
    fleet.network[host].pull_out()
    try:
        assert fleet.state(flow_run) == "RUNNING"
        fleet.finish(flow_run)
    finally:
        fleet.network[host].plug_in()
    assert release_of(fleet, data, tmp_path) == laptop
