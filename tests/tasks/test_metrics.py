"""What Prometheus is told, as its own parser reads it."""

from prometheus_client.parser import text_string_to_metric_families

from infra.engines.meter import LATENCY_S, Meter
from schemas.engine import Completion
from schemas.run import ShardReport
from schemas.spending import Spent
from tasks.metrics import write_metrics
from tasks.progress import Calls, ProgressHub


def read(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    samples = {(one.name, frozenset((key, value) for key, value in one.labels.items() if key not in ("run", "name"))): one.value for one in found}
    assert len(samples) == len(found)
    return samples


def a_hub() -> ProgressHub:
    hub = ProgressHub()
    hub.start(run_id="r1", name='odd "name"\n\\', rehearsal=True)
    hub.stage_begins("responses", shards=3, committed={})
    spent = Spent("answer", "responder", "m", "v1", calls=4, gpu_seconds=1.5, cost=0.25)
    hub.shard_done("responses", ShardReport(10, 7, {"engine_refused": 2, "empty_answer": 1}, calls=4, reused=3, spent=(spent,)))
    buckets = (1, 2, *(0,) * (len(LATENCY_S) - 2), 1)
    hub.watch(
        "this process", lambda: Calls(made=4, failed=2, retries=1, in_flight=8, limit=16, prompt_tokens=40, waiting=5, latency_s=900.5, latencies=buckets)
    )
    hub.watch("tcp://worker", lambda: Calls(made=4, in_flight=2, limit=16, completion_tokens=9, latencies=list(buckets)))  # type: ignore[arg-type]  # as it comes over the wire
    return hub


def test_metrics_add_up_all_processes_and_name_every_drop() -> None:
    told = read(write_metrics(a_hub().snapshot()))
    plain = {name: value for (name, labels), value in told.items() if not labels}
    assert plain["gristmill_calls_in_flight"] == 10
    assert plain["gristmill_limit"] == 32
    assert plain["gristmill_calls_waiting"] == 5
    assert plain["gristmill_calls_total"] == 8
    assert plain["gristmill_calls_reused_total"] == 3
    assert (plain["gristmill_attempts_failed_total"], plain["gristmill_retries_total"]) == (2, 1)
    assert told["gristmill_tokens_total", frozenset({("kind", "completion")})] == 9
    assert told["gristmill_rows_dropped_total", frozenset({("stage", "responses"), ("reason", "engine_refused")})] == 2
    assert told["gristmill_cost_total", frozenset({("stage", "responses")})] == 0.25


def test_latencies_are_a_histogram() -> None:
    told = read(write_metrics(a_hub().snapshot()))
    buckets = [told["gristmill_call_seconds_bucket", frozenset({("le", f"{bound:g}")})] for bound in LATENCY_S]
    assert buckets == sorted(buckets) == [2, 6, *[6] * (len(LATENCY_S) - 2)]
    assert told["gristmill_call_seconds_bucket", frozenset({("le", "+Inf")})] == told["gristmill_call_seconds_count", frozenset()] == 8
    assert told["gristmill_call_seconds_sum", frozenset()] == 900.5


def test_metrics_of_a_run_that_has_not_begun_can_be_read() -> None:
    assert read(write_metrics(ProgressHub().snapshot()))["gristmill_calls_total", frozenset()] == 0


def test_the_meter_counts_latencies_in_their_buckets() -> None:
    meter = Meter()
    for seconds in (0.05, 0.051, 601.0):
        meter.answered(Completion("x", "stop", False, 1, 1, False), seconds)
    counts = meter.read().latencies
    assert (counts[0], counts[1], counts[-1], sum(counts)) == (1, 1, 1, 3)
