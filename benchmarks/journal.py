"""What the journal costs: puts a second, the share of throughput at 2,000 calls a second, and reopening.

python -m benchmarks.journal [FOLDER]      the folder's disk is what is measured; default: a temporary folder
"""

import asyncio
import itertools
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from infra.journal import WINDOW_S, Journal
from schemas.engine import Completion
from schemas.identity import content_id

ANSWER_BYTES = 2_000
RATE = 2_000
SLOTS = 256
SECONDS = 3.0
ROUNDS = 7
ITEM = content_id("item", 0)


def an_answer(number: int) -> Completion:
    words = random.Random(number).choices(["the", "of", "and", "bees", "colony", "swarm", "honey"], k=ANSWER_BYTES // 6)
    return Completion(" ".join(words)[:ANSWER_BYTES], "stop", False, 100, 400, False)


ANSWERS = [an_answer(number) for number in range(64)]


def put_many(journal: Journal, first: int, count: int) -> list[float]:
    took = []
    for number in range(first, first + count):
        key, answer = content_id("call", number), ANSWERS[number % len(ANSWERS)]
        start = time.perf_counter()
        journal.put(key, ITEM, answer)
        took.append(time.perf_counter() - start)
    return took


def bench_puts(folder: Path, count: int = 20_000) -> None:
    cpu = time.process_time()
    with Journal.open(folder / "one.journal") as journal:
        took = put_many(journal, 0, count)
    cpu = time.process_time() - cpu
    percentiles = statistics.quantiles(took, n=1000)
    print(f"one thread, one journal: {count / sum(took):,.0f} puts/s; median {percentiles[499] * 1e6:.0f} µs, p99.9 {percentiles[998] * 1e6:.0f} µs, ", end="")
    print(f"{cpu / count * 1e6:.0f} µs of CPU a put with syncing: {cpu / count * RATE:.1%} of a core at {RATE:,} calls/s")
    start = time.perf_counter()
    with Journal.open(folder / "one.journal") as journal:
        opened = time.perf_counter() - start
        print(f"reopening {len(journal):,} calls ({journal.path.stat().st_size / 1e6:.0f} MB): {opened * 1e3:.0f} ms")


def bench_threads(folder: Path, journals: int = 8, count: int = 4_000) -> None:
    opened = [Journal.open(folder / f"{number}.journal") for number in range(journals)]
    threads = [threading.Thread(target=put_many, args=(journal, number * count, count)) for number, journal in enumerate(opened)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    for journal in opened:
        journal.close()
    print(f"{journals} threads, {journals} journals, one syncer: {journals * count / took:,.0f} puts/s")


async def calls_a_second(keep: Callable[[int], object]) -> float:
    """Drive SLOTS callers against an engine that answers after an exponential wait, at RATE calls a second in all."""
    end, done = time.perf_counter() + SECONDS, 0
    waits = random.Random(7)

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await asyncio.sleep(waits.expovariate(RATE / SLOTS))
            done += 1
            keep(done)

    await asyncio.gather(*(caller() for _ in range(SLOTS)))
    return done / SECONDS


def bench_share(folder: Path) -> None:
    """Take turns with and without the journal, as other work on the machine changes from one second to the next."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    with Journal.open(folder / "paced.journal") as journal:
        fresh = itertools.count()

        def keep(_done: int) -> None:
            number = next(fresh)
            journal.put(content_id("call", number), ITEM, ANSWERS[number % len(ANSWERS)])

        for _ in range(ROUNDS):
            rates[False].append(asyncio.run(calls_a_second(lambda _done: None)))
            rates[True].append(asyncio.run(calls_a_second(keep)))
    lost = [1 - kept / without for without, kept in zip(rates[False], rates[True], strict=True)]
    without, kept = statistics.median(rates[False]), statistics.median(rates[True])
    print(f"{SLOTS} callers on one event loop: {without:,.0f} calls/s without the journal, {kept:,.0f} with it, ", end="")
    print(f"{statistics.median(lost):.1%} lost (median of {ROUNDS} rounds; {min(lost):.1%} to {max(lost):.1%})")


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        print(f"answers of {ANSWER_BYTES:,} bytes, window {WINDOW_S * 1e3:.0f} ms, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        bench_puts(Path(name))
        bench_threads(Path(name))
        bench_share(Path(name))


if __name__ == "__main__":
    main()
