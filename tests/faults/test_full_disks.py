"""A disk that fills up under a run: it stops with the cure in its message, and goes on once there is room."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.faults.case import Case, finish, journalled, wait_for

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.faults]


@dataclass(frozen=True, slots=True)
class Disk:
    """A small file system of its own under a part of the data folder."""

    path: Path

    def fill(self) -> None:
        try:
            with open(self.path / "filler", "wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(65536))
        except OSError:
            return

    def free(self) -> None:
        (self.path / "filler").unlink()


@pytest.fixture
def disk(request: pytest.FixtureRequest, case: Case) -> Iterator[Disk]:
    path = case.data / request.param
    path.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(path)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"NO SMALL DISK: this user may not mount one ({mounted.stderr.strip()})")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.parametrize("disk", ["journal", "runs", "calls", "ledger", "releases"], indirect=True)
def test_disk_filled_up_under(disk: Disk, case: Case) -> None:
    if disk.path.name == "ledger":
        case.factory = replace(case.factory, settings={**case.factory.settings, "GRISTMILL_DATABASE_URL": f"sqlite:///{disk.path / 'ledger.db'}"})
    process = case.start()
    if disk.path.name == "releases":
        wait_for(lambda: any(case.data.glob("runs/*/pair/sft/part-*.parquet")), process)
    else:
        wait_for(lambda: journalled(case.data, "responses") > 500, process)
    disk.fill()
    stopped = finish(process)
    told = " ".join(stopped.err.split())
    assert stopped.code == 5, stopped.err
    assert "MiB left)" in told
    assert f"gristmill run {case.recipe}" in told
    assert "Traceback" not in told
    assert not list(case.data.glob("releases/*/v*"))
    case.mark()
    disk.free()
    case.prove(case.run(), most_repeated=0 if disk.path.name in ("ledger", "releases") else None)
