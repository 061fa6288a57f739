"""Switches off every report that a library of ours would send home; called before any of them is imported.

Read from the installed packages (Prefect 3.8.8, Great Expectations 1.24.1, FastAPI 0.149): Prefect's SDK sends usage events to Amplitude, its server a
heartbeat every ten minutes, and its Cloud client run telemetry; FastAPI's OpenTelemetry set-up needs an endpoint and a switch turned on;
Great Expectations 1.24 sends nothing any more (older ones did). Dask, Polars, Typer and Rich have nothing to switch off.
tests/infra/test_privacy.py watches every connection that they try.
"""

import os

SWITCHES = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "FASTAPI_OTEL_AUTO_CONFIGURE": "false",
}
"""Environment variables that processes started from here inherit, too."""


def switch_off_telemetry() -> None:
    """Tell every library to keep to itself, whatever the environment said before."""
    os.environ.update(SWITCHES)
