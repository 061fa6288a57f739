"""Runs a Python program that a model wrote, in a process that can hurt nobody, and tells whether it came to its end.

What each wall gives: a network namespace leaves no network, not even loopback; a process namespace leaves no other process to see or to
signal, and none behind; a mount namespace covers every folder that all may write to; another user (below root; a user namespace otherwise)
reads no file that isn't everyone's; the kernel's limits bound CPU, memory, file size, open files and processes; a session of its own and
a clock bound time; an empty environment holds no secret; a filter closes the system calls that no test needs (syscalls.py). What is not walled: the
files that everyone may read; and the kernel, of which the calls left open are trusted.

An answer is tested from another process than its own (bridge.py): it sees neither the tests nor the secret by which success is told, and what it gives
back crosses as a plain value, so it can't patch what compares, nor be equal to everything. `run_program` alone, without tests, has the program in the
interpreter that reports: one that digs there could forge its end, one that exits early can't.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from schemas.errors import SettingsError
from tasks.sandbox import inmate

_OUTPUT_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use."""

    cpu_s: int = 5
    memory: int = 1 << 29
    """Bytes of address space, the interpreter's own 30 MB included."""
    file: int = 1 << 22
    """Bytes of one file, and of what it prints."""
    open_files: int = 64
    processes: int = 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended."""

    finished: bool
    """It ran to its last line."""
    error: str
    """Why not; empty where it finished."""
    output: str
    """The last of what it printed."""


def run_program(program: str, *, limits: Limits | None = None, wall_s: float = 10.0) -> Outcome:
    """Run a program in the sandbox. Raises SettingsError where this machine allows no sandbox."""
    nonce = secrets.token_hex(16)
    return _run([{"program": program, "nonce": nonce, "limits": asdict(limits or Limits())}], nonce, wall_s)


def run_tests(program: str, tests: str, *, limits: Limits | None = None, wall_s: float = 10.0) -> Outcome:
    """Run a program in the sandbox, and tests of what it defines in a process of their own; it finished if every test passed.

    Raises SettingsError where this machine allows no sandbox.
    """
    nonce = secrets.token_hex(16)
    return _run([{"program": program, "limits": asdict(limits or Limits())}, {"tests": tests, "nonce": nonce}], nonce, wall_s)


def _run(parts: list[dict[str, Any]], nonce: str, wall_s: float) -> Outcome:
    order = b"".join(len(part).to_bytes(8, "big") + part for part in (json.dumps(one).encode() for one in parts))
    with tempfile.TemporaryFile() as report, tempfile.TemporaryFile() as output:
        code = _spawn(order, report, output, wall_s)
        said, printed = _read(report), _read(output)
    if code == inmate.UNSAFE and "sandbox: " in printed:
        raise SettingsError(
            f"this machine allows no sandbox ({printed.strip()[-200:]}): models' programs aren't run without one. "
            "Run as root, or allow unprivileged user namespaces (in a container: a security profile that lets `unshare` and `mount` pass)."
        )
    return _outcome(said, nonce, code, printed)


def _spawn(order: bytes, report: IO[bytes], output: IO[bytes], wall_s: float) -> int | None:
    """Run the inmate; give its exit status, or null where it was stopped by the clock."""
    command = [sys.executable, "-S", "-s", "-P", "-B", str(Path(inmate.__file__)), str(report.fileno())]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
        command,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        cwd="/",
        env={"PYTHONHASHSEED": "0", "LANG": "C.UTF-8"},
        start_new_session=True,
        pass_fds=(report.fileno(),),
    )
    try:
        process.communicate(order, timeout=wall_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left: the init of the namespaces is in the group, and takes every process inside along."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()


def _read(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _OUTPUT_SHOWN))
    return file.read(_OUTPUT_SHOWN).decode("utf-8", "replace")


def _outcome(said: str, nonce: str, code: int | None, printed: str) -> Outcome:
    if code is None:
        return Outcome(False, "ran out of time", printed)
    try:
        report: dict[str, Any] = json.loads(said)
        finished, error = secrets.compare_digest(str(report["status"]), nonce), str(report["error"])
    except (ValueError, KeyError, TypeError):
        return Outcome(False, _ending(code), printed)
    return Outcome(finished, "" if finished else error or "told a success that is none", printed)


def _ending(code: int) -> str:
    """Say how a program without a report ended; the inmate passes a signal on as its negative, in eight bits."""
    try:
        name = signal.Signals(256 - code).name
    except ValueError:
        return f"ended before its last line, with exit status {code}"
    return "ran out of CPU time" if name == "SIGXCPU" else f"was stopped by {name}"
