"""Makes docs/screenshots/prefect-*.png anew: a real server, worker and Triton, looked at in headless Chromium.

python -m tests.screenshots [FOLDER]      (`make screenshots`)
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from infra.settings import Settings
from infra.triton.server import RehearsalOptions, serve_triton
from tests.flows.prefect_site import ROOT, Site, finished, serve_site, wait_until
from tests.harness import engines_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOST_BYTES = 150_000
WIDE, HIGH = 1200, 760
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SETTLED_MS = 4_000
"""The page's own animations, and its second round of questions to the server."""


def main() -> None:
    """Write every picture."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "screenshots")
    with tempfile.TemporaryDirectory(prefix="gristmill-screenshots-") as scratch:
        options = RehearsalOptions(latency_s=0.15, slots=16)
        with serve_triton(options, python=Settings().triton_python) as triton, serve_site(Path(scratch), {"GRISTMILL_ENGINES": engines_of(triton)}) as site:
            run = run_to_its_end(site, "iterate", recipe="recipes/rehearsal.yaml", trainer="true", rounds=1)
            with chromium() as page:
                take_all(page, site, run, out)


def run_to_its_end(site: Site, deployment: str, **parameters: Any) -> Mapping[str, Any]:
    """Run a deployment, and give its flow run."""
    found = deployment_of(site, deployment)
    begun = httpx.post(f"{site.url}/deployments/{found['id']}/create_flow_run", json={"parameters": parameters}, timeout=30).raise_for_status().json()
    seen: dict[str, Any] = wait_until(
        lambda: next((one for one in site.runs_of(deployment) if one["id"] == begun["id"] and finished(one)), None), "its end", site
    )
    if seen["state_type"] != "COMPLETED":
        raise RuntimeError(f"{seen['state']}\n{site.explain()}")
    return seen


def deployment_of(site: Site, name: str) -> Mapping[str, Any]:
    """Find a deployment."""
    found: Mapping[str, Any] = next(one for one in site.read("deployments/filter") if one["name"] == name)
    return found


def take_all(page: "Page", site: Site, run: Mapping[str, Any], out: Path) -> None:
    """Look at the form, a run with a sub-flow, the sub-flow's own page and two of its artifacts."""
    ui = site.url.removesuffix("/api")
    below = next(one for one in site.read("flow_runs/filter") if one["parent_task_run_id"])
    take(page, f"{ui}/deployments/deployment/{deployment_of(site, 'nemotron4-340b')['id']}/run", out / "prefect-form.png")
    take(page, f"{ui}/runs/flow-run/{run['id']}", out / "prefect-subflows.png")
    take(page, f"{ui}/runs/flow-run/{below['id']}", out / "prefect-run.png")
    for key in ("scores", "rows"):
        artifact = next(one for one in site.read("artifacts/latest/filter") if one["key"] == f"rehearsal-{key}")
        take(page, f"{ui}/artifacts/artifact/{artifact['latest_id']}", out / f"prefect-{key}.png")


def take(page: "Page", address: str, path: Path) -> None:
    """Take a picture of a page once it has settled."""
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(_SETTLED_MS)
    page.screenshot(path=path)
    size = path.stat().st_size
    print(f"{path}  {size / 1000:.0f} kB")
    if size > MOST_BYTES:
        raise RuntimeError(f"{path} is larger than {MOST_BYTES} bytes: take less of the page")


@contextmanager
def chromium() -> "Iterator[Page]":
    """Open the machine's own Chromium."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        page = browser.new_page(viewport={"width": WIDE, "height": HIGH}, color_scheme="light")
        page.set_default_timeout(60_000)
        yield page
        browser.close()


if __name__ == "__main__":
    main()
