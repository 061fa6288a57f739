"""One fault's case: runs the product, notes what was paid for before the fault, and proves at the end what the issue asks of every fault."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from infra.journal import Journal
from tests.harness import Factory, Finished, data_files, served_keys

PATIENCE_S = 600


@dataclass(frozen=True, slots=True)
class Site:
    """Services that runs may share."""

    prefect_url: str
    dask_scheduler: str

    @property
    def settings(self) -> dict[str, str]:
        return {"PREFECT_API_URL": self.prefect_url, "GRISTMILL_DASK_SCHEDULER": self.dask_scheduler}


@dataclass(frozen=True, slots=True)
class _Mark:
    """What was journalled or stored at one moment, and how many calls the servers had answered by then."""

    kept: frozenset[str]
    served: int


@dataclass
class Case:
    """A run that something will happen to."""

    factory: Factory
    recipe: Path
    call_log: Path
    undisturbed: Mapping[str, str]
    _told: list[tuple[str, Any]]
    _marks: list[_Mark] = field(default_factory=list)
    _started: list["subprocess.Popen[str]"] = field(default_factory=list)
    _begun: int = 0
    _calls: int = 0
    _repeated: int = 0

    def __post_init__(self) -> None:
        self._begun = len(served_keys(self.call_log))

    @property
    def data(self) -> Path:
        return self.factory.data

    @property
    def served(self) -> list[str]:
        """Keys of the calls that the servers have answered in this case."""
        return served_keys(self.call_log)[self._begun :]

    def start(self) -> "subprocess.Popen[str]":
        process = self.factory.start("run", str(self.recipe), "--json")
        self._started.append(process)
        return process

    def end(self) -> None:
        """Leave nothing running, however the test went."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def run(self) -> Finished:
        return self.factory.call("run", str(self.recipe), "--json")

    def mark(self) -> frozenset[str]:
        """Note what is journalled by now: none of it may be asked again."""
        kept = kept_calls(self.data)
        self._marks.append(_Mark(kept, len(self.served)))
        return kept

    def begin_anew(self) -> None:
        """Go on with the same recipe in a new data folder; the figures add up."""
        self.factory = replace(self.factory, data=self.data.with_name(f"{self.data.name}+"))
        self._marks.clear()
        self._begun = len(served_keys(self.call_log))

    def prove(self, done: Finished, *, most_repeated: int | None = None) -> None:
        """Assert that the release is the undisturbed run's, and that no call was made twice that had been journalled.

        `most_repeated` bounds the calls that may be made twice because their first answer never reached a journal.
        """
        assert done.code == 0, done.err
        served = self.served
        repeated = len(served) - len(set(served))
        journalled = sum(len(mark.kept.intersection(served[mark.served :])) for mark in self._marks)
        identical = dict(data_files(Path(done.json["path"]))) == dict(self.undisturbed)
        self._calls, self._repeated = self._calls + len(served), self._repeated + repeated
        self._told.append(("calls repeated", f"{self._repeated} of {self._calls}"))
        self._told += [("journalled ones", journalled), ("release identical", "yes" if identical else "NO")]
        assert identical
        assert journalled == 0
        assert most_repeated is None or repeated <= most_repeated
        assert not list(self.data.glob("journal/*/*.journal"))


def kept_calls(data: Path) -> frozenset[str]:
    """Gather the keys of all calls that are in a data folder's journals (dead or alive) and in its call store."""
    with tempfile.TemporaryDirectory() as copies:
        if (data / "journal").exists():
            shutil.copytree(data / "journal", Path(copies) / "journal")
        keys: set[str] = set()
        for path in Path(copies).glob("journal/*/*.journal"):
            with Journal.open(path) as journal:
                keys |= {entry.key for entry in journal.entries()}
    return frozenset(keys | {key.hex() for path in data.glob("calls/*.parquet") for key in pq.read_table(path, columns=["key"])["key"].to_pylist()})


def wait_for(moment: Callable[[], bool], process: "subprocess.Popen[str]", *, poll_s: float = 0.002) -> None:
    """Wait until a moment of a run that must still be under way then."""
    until = time.monotonic() + PATIENCE_S
    while not moment() and process.poll() is None and time.monotonic() < until:
        time.sleep(poll_s)
    assert process.poll() is None, process.communicate()[1]


def finish(process: "subprocess.Popen[str]") -> Finished:
    out, err = process.communicate(timeout=PATIENCE_S)
    return Finished(process.returncode, out, err)


def kill(process: "subprocess.Popen[str]", data: Path) -> None:
    """Kill a run's process, and wait until nothing that it had started is left; what it had asked the server is answered by then, too."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until = time.monotonic() + 30
    while (left := processes_of(data)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left, [one.cmdline() for one in left]
    time.sleep(0.5)


def processes_of(data: Path) -> list[psutil.Process]:
    """Find the living processes that were started with this data folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("GRISTMILL_DATA") == str(data) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def journalled(data: Path, stage: str) -> int:
    """Count the bytes in the journals of a stage."""
    return sum(path.stat().st_size for path in data.glob(f"journal/*/{stage}*") if path.exists())
