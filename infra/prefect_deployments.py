"""The work pool, the deployments of `prefect.yaml` and a limit for each engine, on the Prefect server that PREFECT_API_URL names. Safe to repeat."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from infra.settings import ROOT
from schemas.errors import GristmillError, SettingsError

AT_ONCE = 2
"""Runs that an engine may have at once unless told otherwise: while one ends, or is being curated, another keeps the engine busy."""
_ASK_S = 30.0


@dataclass(frozen=True, slots=True)
class Limited:
    """An engine's limit on the server."""

    name: str
    runs: int
    new: bool


def limit_of(card_id: str) -> str:
    """Name the limit that says how many runs may use a model at once."""
    return f"engine:{card_id}"


def read_project(path: Path = ROOT / "prefect.yaml") -> list[Mapping[str, Any]]:
    """Read the deployments. Raises SettingsError where there are none, as in an installation without the checkout."""
    try:
        deployments: list[Mapping[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"]
    except OSError as error:
        raise SettingsError(f"no {path}: deployments are made from a checkout of Gristmill, whose prefect.yaml lists them") from error
    return deployments


def server_url() -> str:
    """Say which Prefect server is meant. Raises SettingsError."""
    url = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        raise SettingsError("no Prefect server to deploy to: set PREFECT_API_URL, for example to http://127.0.0.1:4200/api")
    return url


def make_pool(name: str) -> bool:
    """Make the work pool of processes, and say whether it is new; one that is there stays as it is."""
    with _asking() as client:
        if client.get(f"/work_pools/{name}").status_code == httpx.codes.OK:
            return False
    _prefect("work-pool", "create", name, "--type", "process")
    return True


def deploy_all() -> None:
    """Register every deployment of prefect.yaml as it is now."""
    _prefect("deploy", "--all")


def limit_engines(card_ids: Iterable[str], told: Mapping[str, int]) -> list[Limited]:
    """Give each engine its limit: what is told, else what the server has, else `AT_ONCE`."""
    with _asking() as client:
        return [_limit(client, one, told.get(one)) for one in sorted(card_ids)]


def _limit(client: httpx.Client, card_id: str, told: int | None) -> Limited:
    name = limit_of(card_id)
    found = client.get(f"/v2/concurrency_limits/{name}")
    there = found.json() if found.status_code == httpx.codes.OK else None
    if there and told is None:
        return Limited(name, there["limit"], new=False)
    runs = AT_ONCE if told is None else told
    answer = client.patch(f"/v2/concurrency_limits/{name}", json={"limit": runs}) if there else client.post("/v2/concurrency_limits/", json=_new(name, runs))
    if answer.is_error:
        raise GristmillError(f"the Prefect server refused the limit {name} of {runs} runs: {answer.status_code} {answer.text[:200]}")
    return Limited(name, runs, new=not there)


def _new(name: str, runs: int) -> dict[str, Any]:
    return {"name": name, "limit": runs, "active": True}


@contextmanager
def _asking() -> Iterator[httpx.Client]:
    url = server_url()
    with httpx.Client(base_url=url, timeout=_ASK_S) as client:
        try:
            client.get("/health").raise_for_status()
        except httpx.HTTPError as error:
            raise SettingsError(f"no Prefect server answers at PREFECT_API_URL={url}: {error}") from error
        yield client


def _prefect(*arguments: str) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise GristmillError(f"`prefect {' '.join(arguments)}` failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")
