"""Writes what a run is doing in Prometheus' text format; a pure function of one `Progress`, so it is what the terminal shows."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

from infra.engines.meter import LATENCY_S
from schemas.spending import total_spent
from tasks.progress import Progress

Sample = tuple[str, dict[str, str], float]


def write_metrics(progress: Progress) -> str:
    """Write all figures: of this process and of the Dask workers that ask engines."""
    run = {"run": progress.run_id, "name": progress.name}
    parts = [
        _family("gristmill_calls_in_flight", "gauge", "Engine calls at work.", [("", run, progress.in_flight)]),
        _family("gristmill_calls_waiting", "gauge", "Engine calls in the run's own queue.", [("", run, progress.waiting)]),
        _family("gristmill_limit", "gauge", "Most engine calls at once, as found out so far.", [("", run, progress.limit)]),
        _family("gristmill_calls_total", "counter", "Engine calls answered.", [("", run, progress.calls)]),
        _family("gristmill_calls_reused_total", "counter", "Calls that were paid for earlier.", [("", run, progress.reused)]),
        _family("gristmill_attempts_failed_total", "counter", "Attempts that failed; most are made good by a retry.", [("", run, progress.failed)]),
        _family("gristmill_retries_total", "counter", "Attempts that followed a failed one.", [("", run, progress.retries)]),
        _family("gristmill_tokens_total", "counter", "Tokens of the calls answered.", _tokens(progress, run)),
        _family("gristmill_call_seconds", "histogram", "Seconds of one answered call, without our own queue.", _latencies(progress, run)),
        _family("gristmill_rows_in_total", "counter", "Rows that came to a stage.", _rows(progress, run, "rows_in")),
        _family("gristmill_rows_out_total", "counter", "Rows that left a stage.", _rows(progress, run, "rows_out")),
        _family("gristmill_rows_dropped_total", "counter", "Rows dropped, by stage and reason.", _drops(progress, run)),
        _family("gristmill_shards_done_total", "counter", "Shards committed.", _rows(progress, run, "shards_done")),
        _family("gristmill_gpu_seconds_total", "counter", "GPU-seconds of committed shards.", _spent(progress, run, "gpu_seconds")),
        _family("gristmill_cost_total", "counter", "Money spent by committed shards, in the price table's currency.", _spent(progress, run, "cost")),
    ]
    return "".join(line for part in parts for line in part)


def _family(name: str, kind: str, what: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {what}\n# TYPE {name} {kind}\n"
    for suffix, labels, value in samples:
        told = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
        yield f"{name}{suffix}{{{told}}} {value}\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _tokens(progress: Progress, run: dict[str, str]) -> Iterator[Sample]:
    yield "", run | {"kind": "prompt"}, progress.prompt_tokens
    yield "", run | {"kind": "completion"}, progress.completion_tokens


def _latencies(progress: Progress, run: dict[str, str]) -> Iterator[Sample]:
    counts = progress.latencies or (0,) * (len(LATENCY_S) + 1)
    bounds = [*(f"{bound:g}" for bound in LATENCY_S), "+Inf"]
    for bound, upto in zip(bounds, accumulate(counts), strict=True):
        yield "_bucket", run | {"le": bound}, upto
    yield "_sum", run, float(progress.latency_s)
    yield "_count", run, sum(counts)


def _rows(progress: Progress, run: dict[str, str], what: str) -> Iterator[Sample]:
    for stage in progress.stages:
        yield "", run | {"stage": stage.stage}, getattr(stage, what)


def _drops(progress: Progress, run: dict[str, str]) -> Iterator[Sample]:
    for stage in progress.stages:
        for reason, rows in stage.dropped.items():
            yield "", run | {"stage": stage.stage, "reason": reason}, rows


def _spent(progress: Progress, run: dict[str, str], what: str) -> Iterator[Sample]:
    for stage in progress.stages:
        amount = getattr(total_spent(stage.total.spent), what)
        if amount is not None:
            yield "", run | {"stage": stage.stage}, float(amount)
