"""How full the scoring stage keeps a reward model: `python -m benchmarks.scoring [--slots 64] [--latency 0.1] [--answers 8192]`.

A reward model on the embedded Triton with so many slots and log-normal service times; the best possible rate is slots / mean service time. Measured
one after the other on the same server: the stage on Dask (workers of one session each, journals, Parquet and all), and the same calls by one process that has
four shards in flight, as generation has. Calls per second over the whole, start and tail included, and over the middle half of the calls.
"""

import argparse
import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

SIGMA = 0.5
SHARD = 256
IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """What one way of scoring reached."""

    way: str
    calls: int
    seconds: float
    middle: float
    """Calls a second while the second and the third quarter of them were answered."""


def main() -> None:
    arguments = parse()
    from infra.settings import Settings
    from infra.triton.server import RehearsalOptions, serve_triton

    best = arguments.slots / (arguments.latency * math.exp(SIGMA**2 / 2))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "calls.jsonl"
        options = RehearsalOptions(latency_s=arguments.latency, latency_sigma=SIGMA, slots=arguments.slots, call_log=log)
        settings = Settings(data=Path(folder), dask_workers=arguments.workers)
        with serve_triton(options, python=settings.triton_python) as served:
            job = make_job(settings, served.addresses())
            ways: dict[str, Callable[[], None]] = {
                f"one process, {IN_FLIGHT} shards in flight": partial(score_here, job, settings, range(arguments.answers // SHARD), 0),
                f"Dask, {arguments.workers} workers": partial(score_on_dask, job, settings, range(arguments.answers // SHARD), 10_000),
            }
            for place in range(len(ways)):
                write_shards(job, arguments.answers // SHARD, first=place * 10_000)
            found = [measure(way, work, log) for way, work in ways.items()]
    print(f"{arguments.slots} slots, median latency {arguments.latency} s: {best:,.0f} calls/s are possible")
    for one in found:
        rate = one.calls / one.seconds
        print(f"{one.way:<36} {one.calls:,} calls in {one.seconds:.1f} s: {rate:,.0f}/s, {rate / best:.0%}; middle half {one.middle / best:.0%}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--answers", type=int, default=8_192)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def make_job(settings: Any, addresses: Any) -> Any:
    import contextlib

    from infra.engines.session import EngineSession
    from infra.storage import RunFolder
    from schemas.model_card import load_card
    from tasks.rollout import Cast
    from tasks.run_state import Job

    card = load_card("rehearsal-reward")
    with contextlib.closing(EngineSession(settings, addresses)) as session:
        cast = Cast({"reward": card}, {card.id: session.inspect(card)}, 0)
    return Job(RunFolder(settings.data, "bench"), settings, addresses, cast)


def write_shards(job: Any, shards: int, *, first: int) -> None:
    from infra.storage import write_records
    from schemas.records import Conversation, Prompt

    numbers = itertools.count(first)
    for shard in range(first, first + shards):
        write_records(job.folder.part("responses", shard), (an_answer(next(numbers), first) for _ in range(SHARD)), Conversation)
        write_records(job.folder.part("screen", shard), [], Prompt)


def an_answer(number: int, way: int) -> Any:
    from schemas.records import Conversation, Lineage, Message, Provenance, conversation_id, prompt_id

    asked = (Message("user", f"What is {number} plus {way}?"),)
    messages = (*asked, Message("assistant", f"It is {number + way}: add the units first, then the tens, and carry what is left over. " * 3))
    prompt = prompt_id("seeds", asked)
    known: dict[str, Any] = {"scores": None, "verdict": None, "reference": None, "lineage": Lineage(), "provenance": Provenance("bench", True)}
    told: dict[str, Any] = {"finish_reason": "stop", "finish_reason_inferred": False, "tokens_inferred": True, "prompt_tokens": 8, "completion_tokens": 60}
    return Conversation(conversation_id(prompt, "answer", 0, messages), prompt, "seeds", "any", "answer", 0, 1, messages, **told, **known)


def score_here(job: Any, settings: Any, shards: range, first: int) -> None:
    """Make the calls as generation makes its own: one session, shards in flight in threads, journals."""
    import contextlib

    from infra.engines.session import EngineSession
    from infra.storage import read_records
    from schemas.records import Conversation
    from tasks.rollout import open_calls, run_records
    from tasks.stages.score import grade

    with contextlib.closing(EngineSession(settings, job.addresses)) as session:

        def score(shard: int) -> None:
            rows = read_records(job.folder.part("responses", first + shard), Conversation)
            calls, journal = open_calls(session, job.folder, "here", shard, [row.prompt_id for row in rows])
            with journal:
                session.run(run_records(rows, lambda row: grade(row, job.cast, calls)))

        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            list(pool.map(score, shards))


def score_on_dask(job: Any, settings: Any, shards: range, first: int) -> None:
    from infra.cluster import map_tasks, open_cluster
    from schemas.recipe import ScoreOptions
    from tasks.grading import reduction_of
    from tasks.stages.score import score_shard

    with open_cluster(settings) as client:
        work = partial(score_shard, job, reduction=reduction_of(ScoreOptions(), job.cast.cards["reward"]), judges=())
        for _ in map_tasks(client, work, [first + shard for shard in shards]):
            pass


def measure(way: str, work: Callable[[], None], log: Path) -> Measured:
    """Time from the first answer to the last one, by the server's log, watched twenty times a second."""
    already = lines(log)
    seen: list[tuple[float, int]] = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        while not running.done():
            time.sleep(0.05)
            seen.append((time.perf_counter(), lines(log) - already))
        running.result()
    total = lines(log) - already
    begun = max((moment for moment, count in seen if count == 0), default=seen[0][0])
    ended = min(moment for moment, count in [*seen, (time.perf_counter(), total)] if count == total)
    middle = [(moment, count) for moment, count in seen if total / 4 <= count <= 3 * total / 4]
    slope = statistics.linear_regression([moment for moment, _ in middle], [count for _, count in middle]).slope
    return Measured(way, total, ended - begun, slope)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


if __name__ == "__main__":
    main()
