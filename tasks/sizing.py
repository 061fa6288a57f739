"""What a run needs of disks and of Dask's workers, by the formulas of docs/operations.md (Sizing). Pure.

Upper bounds where the tokens are: a plan takes every answer as long as it may be.
"""

from dataclasses import dataclass

CHARACTERS = 4
"""Of English a token."""
PACKED = 0.45
"""Bytes a character in Parquet: 0.33 to 0.44 of chats and prose in English (HH-RLHF, JudgeBench, SQuAD); templates and code take less."""
ROW = 300
"""Bytes of a row beside its text, in one file: ids, scores, lineage, models."""
CALL = 200
"""Bytes of a call beside its answer."""
COPIES = 6
"""Files that hold each answer: responses, score, filter, dedup, pair, and the release."""
CODE = 350 * 2**20
"""Memory of a worker that has done nothing but import."""
DEDUP = 150 * 2**20
"""Memory that dedup's passes take a worker: their size is fixed, what is larger is on disk (docs/decisions/dedup.md)."""
LOADED = 6
"""Bytes a character of a shard that is worked on: Arrow, Python's objects, and the file that is written."""
SHARDS = 3
"""Shards that a worker may have in memory: one is graded while the next begins."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes."""

    runs: int
    """Of the run's own folder, which may go once the release is out."""
    calls: int
    """Of the call store, which stays."""
    release: int
    worker: int
    """Memory of one Dask worker: the least for GRISTMILL_DASK_MEMORY."""

    @property
    def disk(self) -> int:
        """Everything under the data folder."""
        return self.runs + self.calls + self.release


def needs(*, answers: int, shards: int, tokens: float, calls: int, written: int) -> Needs:
    """Size a run of so many answers in so many shards, of so many tokens each, prompt included, that takes so many calls writing so many tokens in all."""
    row = ROW + PACKED * CHARACTERS * tokens
    shard = -(-answers // shards) * CHARACTERS * tokens if shards else 0.0
    return Needs(
        runs=round(answers * row * (COPIES - 1)),
        calls=round(calls * CALL + written * CHARACTERS * PACKED),
        release=round(answers * row),
        worker=round(CODE + DEDUP + SHARDS * LOADED * shard),
    )
