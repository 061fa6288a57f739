"""Copies in meaning: records whose embeddings lie close together (SemDeDup: Abbas et al. 2023), on Dask, in memory bounded by blocks.

vectors.py    an embedding as 12-bit whole numbers, whose products a float32 BLAS adds up without rounding; a shard's vectors on disk
centroids.py  the clusters' middles: spherical k-means, seeded by the records' ids
compare.py    within a cluster: who is alike to a better record; across its border: pairs
plan.py       the plan of one search
steps.py      what runs on a worker, one function a pass
search.py     the search as a whole
texts.py      what is embedded of a record

Looked at are the records that tasks/dedup leaves: nobody pays to embed what goes anyway. What is found has the form of tasks/dedup/found.py.
"""

from tasks.semantic.search import find_alike

__all__ = ["find_alike"]
