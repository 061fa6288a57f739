"""The sizing formulas, against a real run's folders and against the figures that the operations page gives."""

import re
from pathlib import Path

import pytest

from tasks.sizing import needs

ROOT = Path(__file__).resolve().parents[2]


def test_a_million_answers_take_what_the_operations_page_says() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = needs(answers=1_000_000, shards=1_000, tokens=800, calls=2_300_000, written=750_000_000)

    told = re.search(r"run ([\d.]+) GB, calls ([\d.]+) GB, release ([\d.]+) GB; ([\d.]+) MB a worker", page)
    assert told is not None
    assert told.groups() == (f"{found.runs / 1e9:.1f}", f"{found.calls / 1e9:.1f}", f"{found.release / 1e9:.1f}", f"{found.worker / 1e6:.0f}")


def test_needs_grow_with_rows_but_a_worker_s_memory_with_a_shard_alone() -> None:
    one = needs(answers=1_000, shards=10, tokens=500, calls=2_000, written=400_000)
    ten = needs(answers=10_000, shards=100, tokens=500, calls=20_000, written=4_000_000)

    assert ten.disk == pytest.approx(10 * one.disk, rel=1e-6)
    assert ten.worker == one.worker


def test_a_run_without_answers_needs_a_worker_s_code_alone() -> None:
    assert needs(answers=0, shards=0, tokens=0, calls=0, written=0).disk == 0
