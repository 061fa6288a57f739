"""Peak memory of what this process started: the sum over all its descendants, sampled. (ru_maxrss won't do: a child inherits its parent's.)"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

SAMPLE_S = 0.05
LIST_S = 1.0
"""Looking for new processes takes some 20 ms where there are hundreds: at every sample it would take a third of a core from what is measured."""


@dataclass
class Peak:
    """The largest sum seen, in bytes."""

    rss: int = 0


@contextmanager
def watch_descendants() -> Iterator[Peak]:
    """Sample the memory of this process's descendants until the block ends."""
    peak, ended = Peak(), threading.Event()
    thread = threading.Thread(target=_sample, args=(peak, ended), daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _sample(peak: Peak, ended: threading.Event) -> None:
    this, known, listed = psutil.Process(), list[psutil.Process](), 0.0
    while not ended.wait(SAMPLE_S):
        if time.monotonic() - listed > LIST_S:
            known, listed = this.children(recursive=True), time.monotonic()
        total = 0
        for child in known:
            with suppress(psutil.Error):
                total += child.memory_info().rss
        peak.rss = max(peak.rss, total)
