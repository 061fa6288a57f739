"""Keeps one tritonserver for exactly as long as its owner lives, and leaves nothing behind.

Run as a script by infra/triton/server.py, with the standard library only: `python -I -S supervisor.py`, the plan being one line of JSON on its
standard input. It ends the server when that input closes (the owner let go), when the owner's process is gone (killed: a pipe alone could be held
open by a forked child of the owner), or when it gets SIGTERM. A killed tritonserver leaves its Python stubs running and its regions in /dev/shm:
both are cleared away here.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(plan: dict[str, Any]) -> None:
    """Run the planned server until it or its owner ends; then clear up, and wait until the owner has let go."""
    prctl = ctypes.CDLL(None).prctl
    # Stubs whose tritonserver was killed become our children, so that we can wait for their end.
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, _leave)
    owner = _watch(plan["owner"])
    try:
        if owner is not None:
            _run(plan, prctl, [sys.stdin.fileno(), owner])
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        clear(plan["prefix"], plan["folder"])


def _run(plan: dict[str, Any], prctl: Any, owner: list[int]) -> None:
    server = _start(plan, prctl)
    try:
        print(server.pid, flush=True)
        _wait([*owner, os.pidfd_open(server.pid)])
    finally:
        _stop(server, plan["grace_s"])
        _remove_regions(plan["prefix"])
    # The end of our output tells a living owner that the server is gone; it may still want to read the log in the folder.
    os.close(sys.stdout.fileno())
    _wait(owner)


def clear(prefix: str, folder: str) -> None:
    """Remove a dead server's shared-memory regions and its working folder."""
    _remove_regions(prefix)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_regions(prefix: str) -> None:
    for region in Path("/dev/shm").glob(f"{prefix}*"):  # noqa: S108
        region.unlink(missing_ok=True)


def _leave(_signal: int, _frame: object) -> None:
    raise SystemExit(0)


def _watch(owner: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(owner)
        # Had the owner died before the line above, its number could be another process's by now.
        return handle if os.getppid() == owner else None
    return None


def _start(plan: dict[str, Any], prctl: Any) -> "subprocess.Popen[bytes]":
    with open(plan["log"], "ab") as log:
        return subprocess.Popen(  # noqa: S603
            plan["command"],
            # The stub imports from its working folder; it takes no notice of PYTHONPATH.
            cwd=f"{plan['folder']}/python",
            env=plan["env"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # Safe here: this process has one thread. It ends the server should this process itself be killed.
            preexec_fn=lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )


def _wait(handles: list[int]) -> None:
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN | select.POLLHUP)
    poll.poll()


def _stop(server: "subprocess.Popen[bytes]", grace_s: float) -> None:
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(grace_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    _reap(time.monotonic() + grace_s)


def _reap(until: float) -> None:
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)


if __name__ == "__main__":
    main(json.loads(sys.stdin.buffer.readline()))
