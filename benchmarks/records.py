"""What many records cost the process that fans out: its memory while it works through them, and CPU, by an engine that answers at once and costs nothing.

python -m benchmarks.records [RECORDS]        default: 100,000

All else is a run's: shards, records, call keys, journals, the call store. What is told is the memory at each tenth of the way.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from functools import cached_property

import psutil

from benchmarks.driving import CARD, SHARD, a_prompt, a_question, drive, one_call, scratch
from infra.engines.receipt import Receipt
from infra.engines.session import EngineSession
from infra.settings import Settings
from schemas.engine import Answer, Completion, EngineFacts, Request
from schemas.model_card import ModelCard
from schemas.records import Prompt

ANSWER = Completion("An answer of some length. " * 20, "stop", False, 30, 100, False)


class InstantSession(EngineSession):
    """Answers everything after 5 ms, 64 calls at once."""

    @cached_property
    def _gate(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(64)

    def inspect(self, card: ModelCard, *, patient: bool = False) -> EngineFacts:
        """Tell of an engine that can do anything."""
        return EngineFacts("nowhere", card.id, "instant", "none")

    async def call(self, card: ModelCard, request: Request, receipt: Receipt | None = None) -> Answer:
        """Answer."""
        async with self._gate:
            await asyncio.sleep(0.005)
        return ANSWER


def shards_of(records: int) -> Iterator[list[Prompt]]:
    tenth = -(-records // 10)
    for first in range(0, records, SHARD):
        if first // tenth != (first - SHARD) // tenth:
            print(f"{first:>9,} records begun: {psutil.Process().memory_info().rss / 1e6:.0f} MB", flush=True)
        yield [a_prompt(a_question(number)) for number in range(first, min(first + SHARD, records))]


def main() -> None:
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with scratch() as folder:
        session = InstantSession(Settings(_env_file=None), {CARD.id: ()})
        cpu = time.process_time()
        drive(session, folder, one_call, shards_of(records))
        cpu = time.process_time() - cpu
        print(f"{records:>9,} records done: {psutil.Process().memory_info().rss / 1e6:.0f} MB, {1000 * cpu / records:.2f} CPU s per 1,000 records")
        session.close()


if __name__ == "__main__":
    main()
