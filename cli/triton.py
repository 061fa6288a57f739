"""`gristmill triton`: the embedded Triton server by itself, to try engines against and for benchmarks."""

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import err, print_json

if TYPE_CHECKING:
    from infra.triton.plan import Ports
    from infra.triton.server import ServedTriton

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def triton() -> None:
    """Serve the rehearsal models on the embedded Triton."""


@app.command(epilog="Example: gristmill triton serve --slots 8 --latency 0.2 --fault-rate 0.05")
def serve(
    seed: Annotated[int, typer.Option(help="Root of all shares and latencies.")] = 0,
    latency: Annotated[float, typer.Option(min=0, help="Median service time of a call, in seconds.")] = 0.005,
    latency_sigma: Annotated[float, typer.Option(min=0, help="Spread of the service time (log-normal).")] = 0.5,
    slots: Annotated[int, typer.Option(min=1, help="Calls that each model serves at once.")] = 64,
    queue: Annotated[int, typer.Option(min=0, help="Calls that may wait for a slot; one more is refused. 0 sets no limit.")] = 0,
    wrong_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of mathematical answers with a wrong number.")] = 0.2,
    malformed_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of answers in a wrong form.")] = 0.05,
    refusal_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of answers that decline.")] = 0.02,
    truncation_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of answers that run into max_tokens.")] = 0.02,
    biased_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of cases in which the model as judge prefers what it reads first.")] = 0.15,
    fault_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of attempts that fail.")] = 0.0,
    replay: Annotated[list[Path] | None, typer.Option(help="JSON lines of recorded answers; may be given more than once.")] = None,
    call_log: Annotated[Path | None, typer.Option(help="Append one JSON line per answered call to this file.")] = None,
    log: Annotated[Path | None, typer.Option(help="Keep tritonserver's own log here.")] = None,
    host: Annotated[str, typer.Option(help="An address of this machine to serve at, for a network that you trust: Triton asks for no password.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1025, max=65534, help="Port of gRPC, HTTP's is one less, metrics' one more; default: free ones.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print ports and addresses as JSON.")] = False,
) -> None:
    """Serve the rehearsal models until Ctrl-C or SIGTERM, and say how to reach them."""
    from infra.triton.options import RehearsalOptions

    rates = (wrong_rate, malformed_rate, refusal_rate, truncation_rate, biased_rate, fault_rate)
    _serve(RehearsalOptions(seed, latency, latency_sigma, slots, *rates, queue, tuple(replay or ()), call_log), log, _bound(host, port), as_json=as_json)


def _bound(host: str, port: int | None) -> "Ports | None":
    from infra.triton.plan import LOOPBACK, Ports
    from schemas.errors import SettingsError

    if port is None and host != LOOPBACK:
        raise SettingsError(f"--host {host} wants --port as well, 8001 for example: who is elsewhere must know it")
    return None if port is None else Ports(port, port - 1, port + 1, host)


def _serve(options: Any, log: Path | None, bind: "Ports | None", *, as_json: bool) -> None:
    from infra.settings import read_settings
    from infra.triton.server import serve_triton

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with serve_triton(options, python=read_settings().triton_python, log=log, bind=bind) as served:
            print_json(_facts(served)) if as_json else _announce(served)
            sys.stdout.flush()
            _stay(served)
    except KeyboardInterrupt:
        err().print("Triton has stopped.")


def _stay(served: "ServedTriton") -> None:
    from schemas.errors import EngineError, EngineFault

    while served.is_running():
        time.sleep(0.2)
    raise EngineError(f"tritonserver (process {served.pid}) ended by itself: start it again with --log FILE to see why", fault=EngineFault.UNREACHABLE)


def _facts(served: "ServedTriton") -> dict[str, Any]:
    ports = {"grpc_port": served.grpc_port, "http_port": served.http_port, "metrics_port": served.metrics_port}
    return {**ports, "pid": served.pid, "engines": _engines(served)}


def _announce(served: "ServedTriton") -> None:
    err().print(f"Triton is ready: gRPC {served.grpc_port}, HTTP {served.http_port}, metrics {served.metrics_port}, on {served.host} alone. Ctrl-C stops it.")
    typer.echo(f"export GRISTMILL_ENGINES='{_engines(served)}'")


def _engines(served: "ServedTriton") -> str:
    return " ".join(f"{card}={address.url}" for card, addresses in served.addresses().items() for address in addresses)
