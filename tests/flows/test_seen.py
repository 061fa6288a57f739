"""A run is seen while it works: Prometheus reads the figures that the ledger has in the end, and the log is JSON where that is wanted."""

import contextlib
import json
import socket
import time
import urllib.request
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.collector import collecting_http
from tests.harness import Factory

pytestmark = [pytest.mark.triton, pytest.mark.slow]


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def scrape(port: int) -> dict[str, float]:
    """Read the page, each metric added up over its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    sums: dict[str, float] = {}
    for sample in (one for family in families for one in family.samples):
        sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def test_a_run_tells_prometheus_what_it_does_and_logs_json(factory: Factory, small_recipe: Path) -> None:
    port = a_free_port()
    watched = Factory(factory.data, factory.engines, {"GRISTMILL_METRICS_PORT": str(port), "GRISTMILL_LOG_FORMAT": "json"})
    process, seen = watched.start("run", str(small_recipe), "--json"), []
    while process.poll() is None:
        with contextlib.suppress(OSError):  # not up yet, or gone already
            seen.append(scrape(port))
        time.sleep(0.05)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    manifest = json.loads((Path(json.loads(out)["path"]) / "manifest.json").read_text(encoding="utf-8"))
    calls = sum(stage["calls"] for stage in manifest["stages"])
    assert max(one["gristmill_calls_in_flight"] for one in seen) > 0
    # The grades are the Dask workers' calls: they are in it, too.
    assert max(one["gristmill_calls_total"] for one in seen) == max(one["gristmill_call_seconds_count"] for one in seen) == calls
    assert max(one["gristmill_tokens_total"] for one in seen) == sum(stage["prompt_tokens"] + stage["completion_tokens"] for stage in manifest["stages"])
    dropped = sum(sum(stage["dropped"].values()) for stage in manifest["stages"])
    assert max(one.get("gristmill_rows_dropped_total", 0) for one in seen) == dropped
    lines = (factory.data / "logs" / "gristmill.log").read_text(encoding="utf-8").splitlines()
    assert all({"time", "level", "logger", "message"} <= json.loads(line).keys() for line in lines if line.startswith("{"))


def test_a_run_is_one_trace_from_its_flow_to_its_workers_calls_and_quotes_nobody(factory: Factory, small_recipe: Path) -> None:
    secret = "planted-key-5d1f0c7e"
    with collecting_http() as collector:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}", "GRISTMILL_API_KEY": secret}
        finished = Factory(factory.data, factory.engines, traced).call("run", str(small_recipe), "--json", "--quiet")
    assert finished.code == 0, finished.err
    release = Path(finished.json["path"])
    manifest = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
    (run,) = collector.named("run")
    above = {one.span_id: one.name for one in collector.spans}
    assert {(one.name, above.get(one.parent_id), one.trace_id) for one in collector.spans} == {
        ("run", None, run.trace_id),
        ("stage", "run", run.trace_id),
        ("shard", "stage", run.trace_id),
        ("call", "shard", run.trace_id),
    }
    assert run.attributes["gristmill.run"] == finished.json["run_id"]
    # The grades are the Dask workers' calls: they are in it, too.
    assert len(collector.named("call")) == sum(stage["calls"] for stage in manifest["stages"])
    assert {stage["stage"].split("/")[0] for stage in manifest["stages"]} <= {one.attributes["gristmill.stage"] for one in collector.named("stage")}
    told, said = b"".join(collector.raw), [text for path in sorted(release.glob("prompts/*/*.parquet")) for text in texts_of(path)]
    assert said
    assert not [text for text in (*said, secret) if text.encode() in told]


def texts_of(path: Path) -> list[str]:
    """Read the beginnings of what is said in a file of prompts."""
    return [message["content"][:40] for row in pq.read_table(path).to_pylist() for message in row["messages"]]
