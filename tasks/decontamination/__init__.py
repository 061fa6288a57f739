"""Keeps benchmarks out of what is made: prompts before any answer is paid for, answers before they are published.

benchmarks.py  what a recipe's benchmark files hold, row by row, and the file through which it travels to workers
kernels.py     compiled loops: n-grams into a table and out of it, signatures side by side
index.py       the table of n-grams and the signatures, made once a worker, and asked of a column of texts
screening.py   what hits do to records
"""
