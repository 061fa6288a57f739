"""Keeps processes that compare expressions, one for each thread that compares at a time, and ends one that takes too long.

They start on first use (a second, for sympy), are used again, and end with this process: their standard input closes.
"""

import atexit
import json
import os
import select
import subprocess
import sys
import threading
from typing import Any

_WAIT_S = 20.0
_START_S = 60.0


class Comparer:
    """One process that compares."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tasks.sandbox.comparer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        self._fresh = True

    def ask(self, answer: str, expected: str) -> dict[str, Any] | None:
        """Compare; null where it took too long or broke, after which this one is of no more use."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps([answer, expected]).encode() + b"\n")
        except OSError:
            return None
        wait_s, self._fresh = (_WAIT_S + _START_S if self._fresh else _WAIT_S), False
        if not select.select([self._process.stdout], [], [], wait_s)[0]:
            return None
        line = self._process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        self._process.wait()


_idle: list[Comparer] = []
_inherited: list[Comparer] = []
_lock = threading.Lock()


def compare_expressions(answer: str, expected: str) -> dict[str, Any] | None:
    """Compare in a process apart, whatever thread this is; null where that could not be done in time."""
    with _lock:
        comparer = _idle.pop() if _idle else None
    comparer = comparer or Comparer()
    reply = comparer.ask(answer, expected)
    if reply is None:
        comparer.close()
        return None
    with _lock:
        _idle.append(comparer)
    return reply


def close_comparers() -> None:
    """End the processes that wait for work."""
    with _lock:
        comparers, _idle[:] = list(_idle), []
    for comparer in comparers:
        comparer.close()


def _forget() -> None:
    """Leave a parent's processes to the parent: two processes on one pipe would read each other's replies."""
    global _lock
    _lock = threading.Lock()
    _inherited.extend(_idle)
    _idle.clear()


atexit.register(close_comparers)
os.register_at_fork(after_in_child=_forget)
