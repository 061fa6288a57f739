"""How full our fan-out keeps the slots of a real embedded Triton: single calls and dialogues, steps up and down, four processes at one server.

python -m benchmarks.saturation [single|dialogue|steps|fair …] [--slots 64] [--mean 1.0] [--seconds 60] [--silent]

With --silent, `fair`'s processes are not told where the server has its metrics: all that they share is a ledger.
Latency is log-normal, sigma 1. The client is never told the slots. A ratio is the service time that fell into the window, as the server drew it for each
call, over slots times window: 1.000 is a server without one idle slot. The steady window opens after the first ten seconds and closes before the calls run out.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.driving import CARD, SHARD, SHARDS_IN_FLIGHT, Answered, TimedSession, drive, one_call, one_dialogue, options_of, scratch, serving, shards_until
from infra.ledger import Ledger
from infra.settings import parse_address
from infra.triton.server import ServedTriton, read_metrics

HEAD_S = 10.0
CLIENTS = 4
APART_S = 8.0


def ratio(answered: list[Answered], slots: int, since: float, until: float) -> float:
    """Sum the service times, each call's as far as it lies in the window."""
    inside = (max(0.0, min(one.at, until) - max(one.at - one.service_s, since)) for one in answered)
    return sum(inside) / (slots * (until - since))


def rate(answered: list[Answered], since: float, until: float) -> float:
    return sum(since <= one.at < until for one in answered) / (until - since)


def bench_steady(work: Any, what: str, arguments: argparse.Namespace) -> None:
    options = options_of(arguments.slots, arguments.mean)
    with serving(options) as served, scratch() as folder:
        session = TimedSession(served.addresses())
        started, cpu = time.monotonic(), time.process_time()
        drive(session, folder, work, shards_until(started + HEAD_S + arguments.seconds))
        ended, cpu = time.monotonic(), time.process_time() - cpu
        session.close()
        answered = session.answered(options)
    since, until = started + HEAD_S, started + HEAD_S + arguments.seconds
    best = arguments.slots / arguments.mean
    print(f"{what}, {arguments.slots} slots, mean latency {arguments.mean:g} s, {SHARDS_IN_FLIGHT} shards of {SHARD} at once: ", end="")
    print(f"steady {ratio(answered, arguments.slots, since, until):.3f} over {until - since:.0f} s ", end="")
    print(f"({rate(answered, since, until):.1f} calls/s; slots over the law's mean {best:.1f}); ", end="")
    print(f"whole run with head and tail {ratio(answered, arguments.slots, started, ended):.3f} over {ended - started:.0f} s; ", end="")
    print(f"{len(answered):,} calls, client {1000 * cpu / len(answered):.2f} CPU s per 1,000 calls", flush=True)


def bench_steps(arguments: argparse.Namespace) -> None:
    """Slots, then a quarter of them, then all again, 30 s each."""
    options, steps = options_of(arguments.slots, arguments.mean), (arguments.slots, max(1, arguments.slots // 4), arguments.slots)
    with serving(options) as served, scratch() as folder:
        session = TimedSession(served.addresses())
        started = time.monotonic()
        seen: list[tuple[float, float, float, int]] = []
        stop = threading.Event()
        looker = threading.Thread(target=look, args=(served, session, seen, stop))
        looker.start()
        changer = threading.Thread(target=change, args=(served, steps))
        changer.start()
        drive(session, folder, one_call, shards_until(started + 30 * len(steps)))
        stop.set()
        looker.join()
        session.close()
    for number, slots in enumerate(steps):
        print(f"{slots} slots, second by second after the step, running/waiting (our limit): ", end="")
        moments = [one for one in seen if 30 * number <= one[0] - started < 30 * (number + 1)]
        print(" ".join(f"{one[1]:.0f}/{one[2]:.0f}({one[3]})" for one in moments[:30:2]), flush=True)


def change(served: ServedTriton, steps: tuple[int, ...]) -> None:
    for slots in steps:
        served.set_slots(slots)
        time.sleep(30)


def look(served: ServedTriton, session: TimedSession, seen: list[tuple[float, float, float, int]], stop: threading.Event) -> None:
    while not stop.wait(1.0):
        running, waiting = load(served)
        seen.append((time.monotonic(), running, waiting, session.meter.read().limit))


def load(served: ServedTriton) -> tuple[float, float]:
    told = {}
    for line in read_metrics(served).splitlines():
        if line.startswith('nv_trt_llm_request_metrics{model="rehearsal_engine"'):
            told[line.split('request_type="')[1].split('"')[0]] = float(line.rpartition(" ")[2])
    return told["scheduled"], told["waiting"]


def bench_fair(arguments: argparse.Namespace) -> None:
    """Four processes that begin eight seconds apart; judged over the last part, when all have been there for twenty seconds and more."""
    options = options_of(arguments.slots, arguments.mean)
    judged_s = arguments.seconds
    total_s = APART_S * (CLIENTS - 1) + 20 + judged_s
    with serving(options) as served, scratch() as shared:
        address = served.addresses()[CARD.id][0]
        told = str(address) if arguments.silent else address.url
        Ledger.open(f"sqlite:///{shared / 'ledger.db'}").close()
        begun, children, waits = time.monotonic(), [], []
        for number in range(CLIENTS):
            left = total_s - (time.monotonic() - begun)
            command = [sys.executable, "-m", "benchmarks.saturation", "client", "--address", told, "--seconds", f"{left}", "--first", str(number)]
            children.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"GRISTMILL_DATA": str(shared)}))
            time.sleep(APART_S)
        while time.monotonic() < begun + total_s - judged_s:
            time.sleep(0.1)
        since = time.monotonic()
        while time.monotonic() < begun + total_s - 1:
            waits.append(load(served))
            time.sleep(0.5)
        until = time.monotonic()
        outputs = [child.communicate()[0] for child in children]
    per_client = [[Answered(*one) for one in json.loads(output)] for output in outputs]
    answers = [sum(since <= one.at < until for one in answered) for answered in per_client]
    jain = sum(answers) ** 2 / (len(answers) * sum(one**2 for one in answers))
    together = ratio([one for answered in per_client for one in answered], arguments.slots, since, until)
    about = "told nothing, " if arguments.silent else ""
    print(f"{CLIENTS} processes, {APART_S:g} s apart, {about}{arguments.slots} slots, mean latency {arguments.mean:g} s: Jain's index {jain:.4f} ", end="")
    print(f"(answers {answers} in {until - since:.0f} s), together {together:.3f}, waiting at the server at most ", end="")
    print(f"{max(one[1] for one in waits):.0f}, on average {sum(one[1] for one in waits) / len(waits):.1f}", flush=True)


def run_client(arguments: argparse.Namespace) -> None:
    """Be one of several clients; print when each call came back (CLOCK_MONOTONIC is the machine's) and what it took."""
    options = options_of(1, arguments.mean)
    ends = time.monotonic() + arguments.seconds
    with scratch() as folder:
        session = TimedSession({CARD.id: (parse_address(arguments.address),)})

        def give_up() -> None:
            time.sleep(max(0.0, ends - time.monotonic()))
            print(json.dumps([[one.at, one.service_s] for one in session.answered(options)]), flush=True)
            session.close()

        threading.Thread(target=give_up).start()
        try:
            drive(session, folder, one_call, shards_until(ends + HEAD_S))
        except BaseException:
            if time.monotonic() < ends:
                raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["single", "dialogue", "steps", "fair"])
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--mean", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--address", default="")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--silent", action="store_true")
    arguments = parser.parse_args()
    benches = {
        "single": lambda: bench_steady(one_call, "single calls", arguments),
        "dialogue": lambda: bench_steady(one_dialogue, "dialogues of five calls", arguments),
        "steps": lambda: bench_steps(arguments),
        "fair": lambda: bench_fair(arguments),
        "client": lambda: run_client(arguments),
    }
    for what in arguments.what:
        benches[what]()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
