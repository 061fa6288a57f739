"""Peak memory of what this process started: the sum over all its descendants, sampled. (ru_maxrss won't do: a child inherits its parent's.)"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

SAMPLE_S = 0.05


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
    this = psutil.Process()
    while not ended.wait(SAMPLE_S):
        total = 0
        for child in this.children(recursive=True):
            with suppress(psutil.Error):
                total += child.memory_info().rss
        peak.rss = max(peak.rss, total)
