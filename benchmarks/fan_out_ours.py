"""Ours, as one of the contenders of benchmarks/fan_out.py: `python -m benchmarks.fan_out_ours ADDRESS PROMPTS MEAN_S FOLDER`.

The part of a run that asks: shards, records, limiter, retries, every answer journalled and handed to the call store. It is not told the slots. Prints "ready"
when everything is imported and the engine inspected, and at the end how many answers it got. For a Triton, which keeps no books, it writes FOLDER/books.json.
"""

import json
import sys
from pathlib import Path

from benchmarks.driving import CARD, SHARD, TimedSession, a_prompt, drive, one_call, options_of
from infra.engines.session import EngineSession
from infra.settings import Address, Settings, parse_address


def main() -> None:
    address, prompts, mean_s, folder = sys.argv[1:]
    texts = [json.loads(line) for line in Path(prompts).read_text(encoding="utf-8").splitlines()]
    where: dict[str, tuple[Address, ...]] = {CARD.id: (parse_address(address),)}
    session = TimedSession(where) if address.startswith("grpc") else EngineSession(Settings(_env_file=None), where)
    session.inspect(CARD)
    print("ready", flush=True)
    shards = ([a_prompt(text) for text in texts[first : first + SHARD]] for first in range(0, len(texts), SHARD))
    drive(session, Path(folder), one_call, shards)
    print(json.dumps({"answers": session.meter.read().calls}), flush=True)
    if isinstance(session, TimedSession):
        books = [(one.at, one.service_s) for one in session.answered(options_of(1, float(mean_s)))]
        Path(folder, "books.json").write_text(json.dumps(books), encoding="utf-8")
    session.close()


if __name__ == "__main__":
    main()
