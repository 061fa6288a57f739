"""What a run shows in Prefect's UI: a name for people, progress, the funnel, scores, and where the report is.

An artifact is one HTTP request of 20 to 130 ms, and of a minute where the server is gone, as Prefect's client asks again and again. So progress is told at
most every `TELL_S` seconds, and by a thread of its own that no stage waits for.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.runtime import flow_run

from schemas.run import ReleaseRecord, StageReport
from tasks.prefect_artifacts import funnel, plot_scores, sample_rows, summarise
from tasks.progress import Progress, StageProgress, snapshot
from tasks.report.samples import Samples
from tasks.report.scores import Histogram

TELL_S = 2.0
LAST_S = 20.0
"""Longest wait at a run's end for its last artifacts to be taken: some eight of them, on a machine that may be busy."""

log = logging.getLogger("gristmill")


def name_run() -> str:
    """Name a flow run after its recipe."""
    parameters = flow_run.parameters or {}
    name = Path(str(parameters.get("recipe", "produce"))).stem
    return f"{name} (rehearsed)" if parameters.get("rehearse") else name


def name_regrade() -> str:
    """Name a flow run after the run that it grades again."""
    parameters = flow_run.parameters or {}
    return f"{parameters.get('run', '')} by {parameters['reward']}" if parameters.get("reward") else f"{parameters.get('run', '')} regraded"


def name_appraisal() -> str:
    """Name a flow run after the reward model and the pairs."""
    parameters = flow_run.parameters or {}
    return f"{parameters.get('model', '')} on {Path(str(parameters.get('pairs', ''))).name}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is told of a run that has published."""

    stages: tuple[StageReport, ...]
    histograms: tuple[Histogram, ...]
    samples: Samples


class RunView:
    """One run's artifacts. Prefect being away is no reason to stop a run, or to hold it up: failures to tell are left at that."""

    def __init__(self, name: str) -> None:
        # Keys take lower-case letters, digits and dashes only; one series of artifacts a data set.
        self._key = "".join(letter if letter.isalnum() else "-" for letter in name.lower())
        self._progress: UUID | None = None
        self._told_at = 0.0
        self._told_stages = 0
        self._teller: threading.Thread | None = None

    def tell_progress(self) -> None:
        """Tell how far the run is, if it is time or a stage has ended, and the last telling is over."""
        told_now = time.monotonic() - self._told_at < TELL_S and len(_ended(snapshot())) <= self._told_stages
        if told_now or (self._teller and self._teller.is_alive()):
            return
        self._told_at = time.monotonic()
        self._start(self._tell_progress)

    def tell_outcome(self, release: ReleaseRecord, told: Outcome) -> None:
        """Tell what became of the rows, how they look, and where the release is; a server that does not take it within seconds goes without."""
        until = time.monotonic() + LAST_S
        if self._teller:
            self._teller.join(LAST_S)
        self._start(self._tell_progress, partial(self._tell_outcome, release, told)).join(max(0.0, until - time.monotonic()))

    def _start(self, *tells: Callable[[], None]) -> threading.Thread:
        def tell_all() -> None:
            for tell in tells:
                tell()

        # The context says which flow run the artifacts belong to.
        self._teller = threading.Thread(target=copy_context().run, args=(tell_all,), name="prefect-view", daemon=True)
        self._teller.start()
        return self._teller

    def _tell_progress(self) -> None:
        current = snapshot()
        self._tell_stages(current)
        share = 100 * share_done(current)
        running = next((one.stage for one in current.stages if one.status == "running"), "")
        if self._progress is None:
            self._progress = _quietly(create_progress_artifact, share, key=f"{self._key}-progress", description=f"Stages of the run; now {running}")
        else:
            _quietly(update_progress_artifact, self._progress, progress=share)

    def _tell_stages(self, current: Progress) -> None:
        """Tell the funnel and the engines' figures anew when a stage has ended: some nine small tables a run, under one key."""
        ended = len(_ended(current))
        if ended <= self._told_stages:
            return
        self._told_stages = ended
        told = tuple(StageReport(one.stage, one.shards, one.shards_done, one.total) for one in current.stages if one.status != "waiting")
        calls = f"{current.calls} calls of {current.mean_latency_s:.2f} s, {current.in_flight} of {current.limit} in flight, {current.retries} retries"
        described = f"Rows so far; {calls}, {current.failed} failed, {current.prompt_tokens} tokens read, {current.completion_tokens} written"
        _quietly(create_table_artifact, key=f"{self._key}-funnel", table=funnel(told), description=described)

    def _tell_outcome(self, release: ReleaseRecord, told: Outcome) -> None:
        named, means = f"{release.name}/{release.version}", {one.name: one.kept_mean for one in told.histograms if one.kept_mean is not None}
        summary = summarise(named, release.path, release.rows, means)
        _quietly(create_table_artifact, key=f"{self._key}-funnel", table=funnel(told.stages), description="Rows, stage by stage")
        _quietly(create_markdown_artifact, key=f"{self._key}-release", markdown=summary, description="What was published, and where")
        if told.histograms:
            _quietly(create_markdown_artifact, plot_scores(told.histograms), key=f"{self._key}-scores", description="Scores of all answers")
        if rows := sample_rows(told.samples):
            _quietly(create_table_artifact, key=f"{self._key}-rows", table=rows, description="Some rows, the same ones every time; `gristmill browse` has all")
        report = release.path if "://" in release.path else Path(release.path).as_uri()
        _quietly(create_link_artifact, f"{report}/report.html", "report.html", key=f"{self._key}-report", description="The report, where the worker's disk is")


def _ended(progress: Progress) -> list[StageProgress]:
    return [one for one in progress.stages if one.status == "done"]


def share_done(progress: Progress) -> float:
    """Say how much of a run is done, each stage counting alike, a running one by its shards."""
    done = [1.0 if one.status == "done" else one.shards_done / one.shards if one.shards else 0.0 for one in progress.stages]
    return sum(done) / len(done) if done else 0.0


def _quietly(create: Any, *arguments: Any, **more: Any) -> Any:
    try:
        return create(*arguments, **more)
    except Exception as error:
        log.warning("Prefect could not be told: %s", error)
        return None
