"""How busy a server says it is, from its Prometheus page: calls in service, calls that wait, and how full its KV cache is. Pure.

Three kinds of servers tell: TensorRT-LLM behind Triton (`nv_trt_llm_*`), vLLM and NIM (`vllm:*`, or the same without the prefix), and trtllm-serve
(`trtllm_*`). Triton's own `nv_inference_pending_request_count` tells of models whose calls wait in Triton's scheduler; of a model that takes every call at
once it is always 0, so it counts only from the first time that it was more.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from schemas.engine import ServerLoad


@dataclass(frozen=True, slots=True)
class _Sample:
    name: str
    labels: dict[str, str]
    value: float


_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_TRT = "nv_trt_llm_"
_PENDING = "nv_inference_pending_request_count"
_SPENT, _QUEUED = "nv_inference_request_duration_us", "nv_inference_queue_duration_us"
_VLLM = {
    "num_requests_running": "running",
    "num_requests_waiting": "waiting",
    "num_requests_swapped": "waiting",
    "kv_cache_usage_perc": "cache",
    "gpu_cache_usage_perc": "cache",
    "kv_cache_utilization": "cache",
}
_PREFIXES = ("vllm:", "trtllm_", "")


def read_load(page: str, models: Collection[str]) -> ServerLoad | None:
    """Read a metrics page for one model, known to the server by any of these names; None where it does not tell."""
    samples = [one for one in _samples(page) if one.labels.get("model", one.labels.get("model_name")) in (None, *models)]
    return _tensorrt_llm(samples) or _openai_like(samples)


class Scheduler:
    """The load of a model whose calls wait in Triton's scheduler, from page to page: in service are as many as its counters' growth says (Little's law)."""

    def __init__(self) -> None:
        self._queues = False
        self._before: tuple[float, float] | None = None

    def read(self, page: str, models: Collection[str], now: float) -> ServerLoad | None:
        """Take in a page read at a moment; None until calls were seen to wait."""
        told = dict.fromkeys((_PENDING, _SPENT, _QUEUED), 0.0)
        for one in _samples(page):
            if one.name in told and one.labels.get("model") in models:
                told[one.name] += one.value
        before, self._before = self._before, (now, (told[_SPENT] - told[_QUEUED]) / 1e6)
        self._queues = self._queues or told[_PENDING] > 0
        if not self._queues or before is None or now <= before[0]:
            return None
        running = max(0.0, self._before[1] - before[1]) / (now - before[0])
        # One more batch that stands ready is no congestion: the next one is filled from it.
        return ServerLoad(running, max(0.0, told[_PENDING] - running))


def _samples(page: str) -> Iterator[_Sample]:
    for line in page.splitlines():
        if not line.startswith(_TOLD):
            continue
        found = _LINE.match(line)
        if found:
            yield _Sample(found[1], dict(_LABEL.findall(found[2] or "")), _number(found[3]))


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value < float("inf") else 0.0


_TOLD = (_TRT, _PENDING, _SPENT, _QUEUED, *(f"{prefix}{name}" for prefix in _PREFIXES for name in _VLLM))


def _tensorrt_llm(samples: list[_Sample]) -> ServerLoad | None:
    told = {label: one.value for one in samples if one.name.startswith(_TRT) for label in one.labels.values()}
    if "waiting" not in told:
        return None
    running = told["scheduled"] if "scheduled" in told else max(0.0, told.get("active", 0.0) - told["waiting"])
    return ServerLoad(running, told["waiting"] + told.get("paused_requests", 0.0), told.get("fraction", 0.0))


def _openai_like(samples: list[_Sample]) -> ServerLoad | None:
    sums = {"running": 0.0, "waiting": 0.0, "cache": 0.0}
    seen = set()
    for one in samples:
        kind = next((_VLLM[one.name.removeprefix(prefix)] for prefix in _PREFIXES if one.name.removeprefix(prefix) in _VLLM), None)
        if kind is not None:
            seen.add(kind)
            sums[kind] = max(sums[kind], one.value) if kind == "cache" else sums[kind] + one.value
    return ServerLoad(**sums) if {"running", "waiting"} <= seen else None
