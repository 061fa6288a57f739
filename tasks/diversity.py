"""The diversity budget: a cell (a topic or person of a technique) whose new prompts are mostly copies of what there is gets no more calls.

The last step of each technique is worked off in waves of shards. After a wave, copies are looked for among all prompts that the technique has written, and the
share of copies in each cell is compared with the recipe's mark. What is decided for the next wave follows from committed shards alone, so a run killed
anywhere decides the same again. (docs/decisions/diversity-budget.md)
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.storage import write_text
from schemas.recipe import DiversityOptions
from schemas.records import Lineage

Cell = tuple[str, ...]
"""The first topics of a prompt's lineage; empty where the technique is one cell."""


@dataclass(frozen=True, slots=True)
class Stop:
    """What was decided after a wave."""

    upto: int
    """Shards that there were; the decision is for those after them."""
    cells: frozenset[Cell]


def waves(shards: int, count: int) -> Iterator[int]:
    """Give the number of shards done after each wave, the last one all."""
    yield from dict.fromkeys(math.ceil(shards * wave / count) for wave in range(1, count + 1)) if shards else ()


def cell_of(lineage: Lineage, depth: int) -> Cell:
    """Name the cell of an item or prompt."""
    return lineage.topics[:depth]


def crowded(written: Iterable[tuple[Cell, bool]], options: DiversityOptions) -> frozenset[Cell]:
    """Name the cells beyond the mark, of prompts' cells and whether each is a copy; a cell with few prompts is left alone."""
    prompts: Counter[Cell] = Counter()
    copies: Counter[Cell] = Counter()
    for cell, copied in written:
        prompts[cell] += 1
        copies[cell] += copied
    return frozenset(cell for cell, count in prompts.items() if count >= options.least and copies[cell] > options.mark * count)


def read_stops(path: Path) -> tuple[Stop, ...]:
    """Read what was decided so far; nothing where there is no budget."""
    if not path.exists():
        return ()
    return tuple(Stop(one["upto"], frozenset(map(tuple, one["cells"]))) for one in json.loads(path.read_text(encoding="utf-8")))


def keep_stops(path: Path, stops: tuple[Stop, ...]) -> None:
    """Write down what was decided."""
    write_text(path, json.dumps([{"upto": one.upto, "cells": sorted(one.cells)} for one in stops], ensure_ascii=False))


def stopped_before(stops: tuple[Stop, ...], shard: int) -> frozenset[Cell]:
    """Name the cells that a shard must leave alone."""
    return frozenset(cell for one in stops if one.upto <= shard for cell in one.cells)
