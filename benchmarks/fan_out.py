"""Our fan-out beside its peers: `make bench-fanout`, or `python benchmarks/fan_out.py [--slots N] [--mean S] [--prompts N] [--peers openai,…]`.

One local server of OpenAI's API (slots, log-normal latency of sigma 1) for all, the same prompts, one contender after the other; ours also against the embedded
Triton with the same slots and latency. Ours finds the slots itself; peers are told them, as they can't. The server keeps the books: a ratio is the seconds of
slots in use over slots times the window. "Steady" is from a tenth of the answers to four fifths, "whole" from the first call to the last answer. CPU is of the
contender's processes from the moment that it has imported everything; memory is their greatest sum. Peers are installed into throwaway environments.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.driving import CARD, a_question, options_of, serving
from benchmarks.environments import install

ROOT = Path(__file__).resolve().parent.parent

# What it takes beside the package itself is what its own imports fail without.
PACKAGES = {
    "openai": ["openai"],
    "distilabel": ["distilabel[openai]", "requests"],
    "curator": ["bespokelabs-curator"],
    "data_designer": ["data-designer"],
}
Books = list[tuple[float, float]]
"""When each call was answered, and the seconds of a slot that it took."""


@dataclass
class Cost:
    """What a contender's processes took."""

    answers: int = 0
    cpu_s: float = 0.0
    rss: int = 0


def main() -> None:
    arguments = parse()
    questions = [a_question(number) for number in range(arguments.prompts)]
    print(f"{arguments.prompts:,} prompts, {arguments.slots} slots, mean latency {arguments.mean:g} s: ", end="")
    print(f"{arguments.slots / arguments.mean:.0f} calls/s at most, {arguments.prompts * arguments.mean / arguments.slots:.0f} s at least\n")
    print(f"{'':28} {'steady':>7} {'whole':>7} {'CPU s/1,000 calls':>18} {'peak MB':>8} {'answers':>8}")
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as name:
        folder = Path(name)
        prompts = folder / "prompts.jsonl"
        prompts.write_text("\n".join(map(json.dumps, questions)), encoding="utf-8")
        over_http(arguments, folder, prompts)
        over_triton(arguments, folder, prompts)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--mean", type=float, default=0.5)
    parser.add_argument("--prompts", type=int, default=3_000)
    parser.add_argument("--peers", type=lambda names: [name for name in names.split(",") if name], default=list(PACKAGES))
    parser.add_argument("--environments", type=Path, help="keep the peers' environments here")
    return parser.parse_args()


def over_http(arguments: argparse.Namespace, folder: Path, prompts: Path) -> None:
    with http_server(arguments.slots, arguments.mean) as port:
        url = f"http://127.0.0.1:{port}/v1"
        ours = [sys.executable, "-m", "benchmarks.fan_out_ours", f"{url}#served", str(prompts), str(arguments.mean)]
        contest("gristmill, OpenAI wire", ours, folder, arguments.slots, port)
        for peer in arguments.peers:
            python = install(peer, PACKAGES[peer], arguments.environments or folder / "environments")
            if python is not None:
                program = [str(python), str(ROOT / "benchmarks" / "fan_out_peers.py"), peer, url, str(prompts), str(arguments.slots)]
                contest(peer, program, folder, arguments.slots, port)


def contest(name: str, program: list[str], folder: Path, slots: int, port: int) -> None:
    books_of(port, "DELETE")
    cost = run(name, program, folder)
    if cost is not None:
        tell(name, books_of(port, "GET"), slots, cost)


def over_triton(arguments: argparse.Namespace, folder: Path, prompts: Path) -> None:
    with serving(options_of(arguments.slots, arguments.mean)) as served:
        address = served.addresses()[CARD.id][0].url
        program = [sys.executable, "-m", "benchmarks.fan_out_ours", address, str(prompts), str(arguments.mean)]
        cost = run("gristmill, Triton's gRPC", program, folder / "triton")
    if cost is not None:
        (books,) = (folder / "triton").rglob("books.json")
        tell("gristmill, Triton's gRPC", json.loads(books.read_text(encoding="utf-8")), arguments.slots, cost)


def tell(name: str, books: Books, slots: int, cost: Cost) -> None:
    """Print a contender's line. The whole begins when the first call was taken into service."""
    moments = sorted(at for at, _ in books)
    first = min(at - seconds for at, seconds in books)
    steady = ratio(books, slots, moments[len(moments) // 10], moments[len(moments) * 4 // 5])
    whole = ratio(books, slots, first, moments[-1])
    print(f"{name:28} {steady:>7.3f} {whole:>7.3f} {1000 * cost.cpu_s / len(books):>18.2f} {cost.rss / 1e6:>8.0f} {cost.answers:>8,}", flush=True)


def ratio(books: Books, slots: int, since: float, until: float) -> float:
    inside = (max(0.0, min(at, until) - max(at - seconds, since)) for at, seconds in books)
    return sum(inside) / (slots * (until - since))


def run(name: str, program: list[str], folder: Path) -> Cost | None:
    """Run a contender in a folder of its own; None, with the reason printed, if it fails."""
    place = folder / f"place-{name.partition(',')[0]}-{time.monotonic_ns()}"
    place.mkdir(parents=True)
    cost, errors = Cost(), place / "errors"
    with errors.open("w") as stderr:
        child = subprocess.Popen([*program, str(place)], cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment(place))
        with watching(child.pid, cost):
            output = follow(child, cost)
    if child.returncode:
        print(f"{name:28} FAILED: {errors.read_text()[-300:].strip().splitlines()[-1:]}", flush=True)
        return None
    cost.answers = json.loads(output[-1])["answers"]
    return cost


def follow(child: "subprocess.Popen[str]", cost: Cost) -> list[str]:
    """Read what a contender prints until it ends; CPU counts from its word "ready"."""
    assert child.stdout is not None
    lines, before = [], 0.0
    for line in child.stdout:
        if line.strip() == "ready":
            before = cpu_of(child.pid)
        lines.append(line)
        if line.startswith('{"answers"'):
            break
    cost.cpu_s = max(cost.cpu_s, cpu_of(child.pid)) - before
    child.wait(60)
    return lines


def environment(place: Path) -> dict[str, str]:
    return {"HOME": str(place), "PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1", "GRISTMILL_DATA": str(place)}


@contextmanager
def watching(pid: int, cost: Cost) -> Iterator[None]:
    """Sample a process and its descendants."""
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.1):
            with suppress(psutil.Error):
                root = psutil.Process(pid)
                cost.rss = max(cost.rss, sum(one.memory_info().rss for one in [root, *root.children(recursive=True)]))
                cost.cpu_s = max(cost.cpu_s, cpu_of(pid))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def cpu_of(pid: int) -> float:
    """Add up a process's CPU seconds, its present descendants', and those of the ones that it has waited for."""
    total = 0.0
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for one in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):
                times = one.cpu_times()
                total += times.user + times.system + (times.children_user + times.children_system if one == root else 0.0)
    return total


@contextmanager
def http_server(slots: int, mean_s: float) -> Iterator[int]:
    child = subprocess.Popen([sys.executable, "-m", "benchmarks.fan_out_server", str(slots), str(mean_s)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        yield int(child.stdout.readline())
    finally:
        child.terminate()
        child.wait()


def books_of(port: int, method: str) -> Books:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/books", method=method)
    with urllib.request.urlopen(request) as response:
        books: Books = json.loads(response.read())
    return books


if __name__ == "__main__":
    main()
