"""Exact and near copies over Parquet shards, on Dask, in memory bounded by partitions.

text.py     what counts as the same letter, word or symbol: the code point table
kernels.py  compiled loops over texts: tokens, shingles, MinHash
sketch.py   a column of texts to digests and signatures
plan.py     bands and rows from a threshold; the plan of one search
steps.py    what runs on a worker, one function a pass
copies.py   the search as a whole
found.py    what it found, and what that does to a shard
released.py the signature index that a release carries, for later runs to search
"""

from tasks.dedup.copies import find_copies, run_some
from tasks.dedup.found import METHODS, Copies, Parted, join_copies, part_copies, read_copies
from tasks.dedup.plan import Bands, plan_bands, s_curve

__all__ = ["METHODS", "Bands", "Copies", "Parted", "find_copies", "join_copies", "part_copies", "plan_bands", "read_copies", "run_some", "s_curve"]
