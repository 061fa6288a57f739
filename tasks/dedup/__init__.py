"""Exact and near copies over Parquet shards, on Dask, in memory bounded by partitions.

text.py     what counts as the same letter, word or symbol: the code point table
kernels.py  compiled loops over texts: tokens, shingles, MinHash
sketch.py   a column of texts to digests and signatures
plan.py     bands and rows from a threshold; the plan of one search
steps.py    what runs on a worker, one function a pass
copies.py   the search as a whole, and what its findings do to records
"""

from tasks.dedup.copies import Copy, drop_copies, drop_copies_from_table, find_copies, read_copies
from tasks.dedup.plan import Bands, plan_bands, s_curve

__all__ = ["Bands", "Copy", "drop_copies", "drop_copies_from_table", "find_copies", "plan_bands", "read_copies", "s_curve"]
