"""What people do on a run's page in Prefect: cancel, retry, pause, resume; each is sent as the page sends it, to a real server with a real worker.

Dask's workers are of a cluster that outlives the run, as a fleet's are: what they ask engines for has to end with the run all the same.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from infra.cluster import open_cluster
from infra.ledger import Ledger
from infra.settings import Settings
from infra.triton.server import RehearsalOptions, serve_triton
from tasks.prefect_artifacts import MOST_BYTES
from tests.faults.case import kept_calls
from tests.flows.prefect_site import CALM_S, PATIENCE_S, ROOT, Site, finished, serve_site, wait_until
from tests.harness import engines_of, served_keys

pytestmark = [pytest.mark.slow, pytest.mark.triton, pytest.mark.timeout(4 * PATIENCE_S)]

RECIPE = """
name: watched
models: {writer: rehearsal-instruct, responder: rehearsal-instruct, reward: rehearsal-reward}
prompts:
  - {technique: open_qa, topics: 3, subtopics: 2, questions: 6, revise: false}
responses:
  - {technique: answer, samples: 6}
shard_records: 12
"""
QUIET_S = 4.0
"""Ten times what a call takes: whoever asks for nothing so long has stopped."""
REWARD, WRITER = "engine:rehearsal-reward", "engine:rehearsal-instruct"


@dataclass
class Watched:
    """A run of a deployment, and the engines' own record of what it asked for."""

    site: Site
    recipe: Path
    call_log: Path
    run_id: str = ""

    def start(self, **parameters: Any) -> None:
        """Start it as the deployment's form does."""
        deployment = next(one for one in self.site.read("deployments/filter") if one["name"] == "nemotron4-340b")
        told = {"parameters": {"recipe": str(self.recipe), **parameters}}
        self.run_id = httpx.post(f"{self.site.url}/deployments/{deployment['id']}/create_flow_run", json=told, timeout=CALM_S).raise_for_status().json()["id"]

    def put_into(self, kind: str, name: str, *, force: bool = True, **details: Any) -> None:
        """Set its state as the page does."""
        told = {"state": {"type": kind, "name": name, "state_details": details}, "force": force}
        answer = httpx.post(f"{self.site.url}/flow_runs/{self.run_id}/set_state", json=told, timeout=CALM_S).raise_for_status().json()
        assert answer["status"] == "ACCEPT", answer

    @property
    def seen(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.site.url}/flow_runs/{self.run_id}", timeout=CALM_S).raise_for_status().json()
        return found

    def wait_for(self, *names: str) -> None:
        wait_until(lambda: self.seen["state_name"] in names or finished(self.seen), f"state {names}", self.site)
        assert self.seen["state_name"] in names, f"{self.seen['state']}\n{self.site.explain()}"

    def wait_for_calls(self, model: str, more: int) -> None:
        wanted = self.count(model) + more
        wait_until(lambda: self.count(model) >= wanted or finished(self.seen), f"{wanted} calls of {model}", self.site)
        assert not finished(self.seen), f"{self.seen['state']}\n{self.site.explain()}"

    def count(self, model: str) -> int:
        lines = self.call_log.read_text(encoding="utf-8").splitlines() if self.call_log.exists() else []
        return sum(model in json.loads(line)["model"] for line in lines)

    def keeps_quiet(self) -> bool:
        """Say that the engines are asked for nothing more."""
        before = len(served_keys(self.call_log))
        time.sleep(QUIET_S)
        return len(served_keys(self.call_log)) == before

    def status(self) -> str:
        """How the ledger says the newest run stands."""
        ledger = Ledger.open(Settings(data=self.site.folder / "data").ledger_url)
        try:
            return ledger.runs()[0].status
        finally:
            ledger.close()

    def slots(self, change: str, **more: Any) -> None:
        """Take all slots of the writer's limit, as other runs would, or give them back."""
        limit = httpx.get(f"{self.site.url}/v2/concurrency_limits/{WRITER}", timeout=CALM_S).raise_for_status().json()["limit"]
        told = {"names": [WRITER], "slots": limit, **more}
        httpx.post(f"{self.site.url}/v2/concurrency_limits/{change}", json=told, timeout=CALM_S).raise_for_status()

    def log(self) -> str:
        """What the run's page shows as its log."""
        return "\n".join(line["message"] for line in self.site.read("logs/filter", logs={"flow_run_id": {"any_": [self.run_id]}}))

    def slots_taken(self, name: str) -> int:
        return int(httpx.get(f"{self.site.url}/v2/concurrency_limits/{name}", timeout=CALM_S).raise_for_status().json()["active_slots"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Path]]:
    folder = tmp_path_factory.mktemp("page")
    log, options = folder / "calls.jsonl", RehearsalOptions(latency_s=0.4, latency_sigma=0.1, slots=6, call_log=folder / "calls.jsonl")
    with serve_triton(options, python=Settings().triton_python) as triton, open_cluster(Settings(data=folder / "dask")) as client:
        settings = {"GRISTMILL_ENGINES": engines_of(triton), "GRISTMILL_DASK_SCHEDULER": client.scheduler_info()["address"]}
        with serve_site(folder, settings) as served:
            yield served, log


@pytest.fixture
def watched(site: tuple[Site, Path], tmp_path: Path) -> Watched:
    recipe = tmp_path / "watched.yaml"
    recipe.write_text(RECIPE + f"seed: {int.from_bytes(os.urandom(3))}\n", encoding="utf-8")
    return Watched(site[0], recipe, site[1])


def none_asked_again(watched: Watched, kept: frozenset[str], since: int) -> bool:
    return not kept.intersection(served_keys(watched.call_log)[since:])


def stop(watched: Watched, order: Callable[[], None], *ends: str) -> tuple[frozenset[str], int]:
    """Give an order, see it obeyed and the engines left alone; give what was paid for by then."""
    order()
    watched.wait_for(*ends)
    wait_until(lambda: watched.status() == "interrupted", "the run's own end", watched.site)
    wait_until(watched.keeps_quiet, "the end of calls", watched.site)
    assert watched.seen["state_name"] in ends
    return kept_calls(watched.site.folder / "data"), len(served_keys(watched.call_log))


def test_run_can_be_cancelled_retried_paused_and_resumed_and_pays_for_no_call_twice(watched: Watched) -> None:
    watched.start(fresh=True)
    watched.wait_for_calls("rehearsal_engine", 40)
    assert watched.slots_taken(WRITER) == 1

    first = stop(watched, lambda: watched.put_into("CANCELLING", "Cancelling"), "Cancelled")
    assert watched.slots_taken(WRITER) == 0

    watched.put_into("SCHEDULED", "AwaitingRetry", force=False)
    watched.wait_for_calls("rehearsal_engine", 20)
    second = stop(watched, lambda: watched.put_into("PAUSED", "Suspended", pause_timeout="2099-01-01T00:00:00Z", pause_reschedule=True), "Suspended")

    httpx.post(f"{watched.site.url}/flow_runs/{watched.run_id}/resume", json={}, timeout=CALM_S).raise_for_status()
    watched.wait_for_calls("reward", 12)
    third = stop(watched, lambda: watched.put_into("CANCELLING", "Cancelling"), "Cancelled")

    watched.put_into("SCHEDULED", "AwaitingRetry", force=False)
    watched.wait_for("Completed")
    assert all(none_asked_again(watched, kept, since) for kept, since in (first, second, third))
    assert watched.status() == "finished"
    assert len(list((watched.site.folder / "data" / "releases" / "watched").glob("v*/manifest.json"))) == 1
    artifacts = watched.site.read("artifacts/filter")
    assert {f"watched-{name}" for name in ("progress", "funnel", "release", "scores", "rows", "report")} <= {one["key"] for one in artifacts}
    assert max(len(json.dumps(one["data"])) for one in artifacts) <= MOST_BYTES


def test_run_waits_for_its_turn_and_when_it_crashed_goes_on_by_the_automation_of_the_repository(watched: Watched) -> None:
    watched.site.prefect("automation", "create", "--from-file", str(ROOT / "infra" / "prefect" / "automations.yaml"))
    asked = len(served_keys(watched.call_log))
    watched.slots("increment", mode="concurrency")
    watched.start()
    wait_until(lambda: "waiting for a turn" in watched.log(), "its place in the line", watched.site)
    assert watched.keeps_quiet()
    assert (len(served_keys(watched.call_log)), "has its turn" in watched.log()) == (asked, False)

    watched.slots("decrement", occupancy_seconds=1)
    watched.wait_for_calls("rehearsal_engine", 30)

    kill_processes_of(watched)
    kept, since = kept_calls(watched.site.folder / "data"), len(served_keys(watched.call_log))
    wait_until(lambda: watched.seen["run_count"] > 1, "the automation's new start", watched.site)
    wait_until(lambda: watched.seen["state_name"] == "Completed", "the run's end", watched.site)

    assert kept
    assert none_asked_again(watched, kept, since)
    assert watched.status() == "finished"


def kill_processes_of(watched: Watched) -> None:
    """Kill every process that works on the flow run, its supervisor and its engine, as a container's end does."""
    killed = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PREFECT__FLOW_RUN_ID", "").replace("-", "") == watched.run_id.replace("-", ""):
                process.kill()
                killed += 1
    assert killed, f"no process works on {watched.run_id}\n{watched.site.explain()}"


def test_deploying_again_keeps_a_limit_that_was_changed_in_between(site: tuple[Site, Path]) -> None:
    httpx.patch(f"{site[0].url}/v2/concurrency_limits/{REWARD}", json={"limit": 7}, timeout=CALM_S).raise_for_status()

    assert f"{REWARD}  7 runs at once\n" in site[0].gristmill("deploy")
    assert f"{REWARD}  3 runs at once\n" in site[0].gristmill("deploy", "--limit", "rehearsal-reward=3")
