"""What a run is doing right now, for whoever watches: one hub a process, written by the stages, read by the display and the Prefect artifacts.

Engine counters come from this process's session and, while Dask scores, from the workers' (they send theirs over Dask's event topics).
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from schemas.records import STAGES
from schemas.run import ShardReport, add_reports

StageStatus = Literal["waiting", "running", "done"]


@dataclass(frozen=True, slots=True)
class Calls:
    """Engine counters of one process."""

    made: int = 0
    failed: int = 0
    retries: int = 0
    in_flight: int = 0
    limit: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    waiting: int = 0
    """Calls in our own queue."""
    latency_s: float = 0.0
    latencies: tuple[int, ...] = ()
    """See infra.engines.meter."""


@dataclass(frozen=True, slots=True)
class StageProgress:
    """One stage."""

    stage: str
    status: StageStatus = "waiting"
    shards_done: int = 0
    shards: int = 0
    total: ShardReport = field(default_factory=lambda: ShardReport(0, 0))

    @property
    def rows_in(self) -> int:
        """Rows requested of the shards done."""
        return self.total.rows_in

    @property
    def rows_out(self) -> int:
        """Rows that made it."""
        return self.total.rows_out

    @property
    def dropped(self) -> dict[str, int]:
        """Rows by drop reason."""
        return self.total.dropped


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot."""

    run_id: str = ""
    name: str = ""
    rehearsal: bool = False
    stages: tuple[StageProgress, ...] = ()
    calls: int = 0
    """Calls answered by engines in this process and its Dask workers, since it started."""
    reused: int = 0
    failed: int = 0
    retries: int = 0
    in_flight: int = 0
    limit: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    waiting: int = 0
    latency_s: float = 0.0
    latencies: tuple[int, ...] = ()
    tokens_per_s: float = 0.0
    """Completion tokens a second over the last few seconds."""
    started_s: float = 0.0
    """time.monotonic() at the run's start in this process."""
    engine: str = ""
    message: str = ""

    @property
    def mean_latency_s(self) -> float:
        """Seconds of one answered call, without the time in our own queue."""
        return self.latency_s / self.calls if self.calls else 0.0


_WINDOW_S = 5.0


class ProgressHub:
    """The writable side."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = Progress(stages=tuple(StageProgress(stage) for stage in STAGES))
        self._meters: dict[str, Callable[[], Calls]] = {}
        self._seen: list[tuple[float, int]] = []

    def start(self, *, run_id: str, name: str, rehearsal: bool) -> None:
        """Begin a run: forget the one before."""
        with self._lock:
            stages = tuple(StageProgress(stage) for stage in STAGES)
            self._now = Progress(run_id, name, rehearsal, stages, started_s=time.monotonic())
            self._meters.clear()
            self._seen.clear()

    def say(self, message: str, *, engine: str | None = None) -> None:
        """Show what is being waited for."""
        with self._lock:
            self._now = replace(self._now, message=message, engine=self._now.engine if engine is None else engine)

    def watch(self, source: str, meter: Callable[[], Calls]) -> None:
        """Count one process's engine calls in; a source named again replaces its counters."""
        with self._lock:
            self._meters[source] = meter

    def stage_begins(self, stage: str, *, shards: int, committed: Mapping[int, ShardReport]) -> None:
        """Show a stage as running, with what an earlier process had committed."""
        self._set(stage, status="running", shards=shards, shards_done=len(committed), total=add_reports(*committed.values()))

    def stage_grows(self, stage: str, *, shards: int, committed: Mapping[int, ShardReport]) -> None:
        """Add another step's shards to a running stage."""
        with self._lock:
            now = self._stage(stage)
            self._put(
                replace(
                    now,
                    status="running",
                    shards=now.shards + shards,
                    shards_done=now.shards_done + len(committed),
                    total=add_reports(now.total, *committed.values()),
                )
            )

    def shard_done(self, stage: str, report: ShardReport) -> None:
        """Count one committed shard in."""
        with self._lock:
            now = self._stage(stage)
            self._put(replace(now, shards_done=now.shards_done + 1, total=add_reports(now.total, report)))
            self._now = replace(self._now, reused=self._now.reused + report.reused)

    def stage_ends(self, stage: str) -> None:
        """Show a stage as done."""
        self._set(stage, status="done")

    def snapshot(self) -> Progress:
        """Read everything, engine counters included."""
        with self._lock:
            meters = list(self._meters.values())
            now = self._now
        calls = [meter() for meter in meters]
        tokens = sum(one.completion_tokens for one in calls)
        return replace(
            now,
            calls=sum(one.made for one in calls),
            failed=sum(one.failed for one in calls),
            retries=sum(one.retries for one in calls),
            in_flight=sum(one.in_flight for one in calls),
            limit=sum(one.limit for one in calls),
            prompt_tokens=sum(one.prompt_tokens for one in calls),
            completion_tokens=tokens,
            waiting=sum(one.waiting for one in calls),
            latency_s=sum(one.latency_s for one in calls),
            latencies=tuple(map(sum, zip(*(one.latencies for one in calls if one.latencies), strict=True))),
            tokens_per_s=self._rate(tokens),
        )

    def _rate(self, tokens: int) -> float:
        with self._lock:
            now = time.monotonic()
            self._seen = [(at, count) for at, count in self._seen if now - at <= _WINDOW_S]
            self._seen.append((now, tokens))
            (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        return max(0.0, (last - first) / (last_at - first_at)) if last_at > first_at else 0.0

    def _stage(self, stage: str) -> StageProgress:
        return next(one for one in self._now.stages if one.stage == stage)

    def _put(self, new: StageProgress) -> None:
        self._now = replace(self._now, stages=tuple(new if one.stage == new.stage else one for one in self._now.stages))

    def _set(self, stage: str, **changes: object) -> None:
        with self._lock:
            self._put(replace(self._stage(stage), **changes))  # type: ignore[arg-type]


HUB = ProgressHub()


def snapshot() -> Progress:
    """Read the process's hub."""
    return HUB.snapshot()
