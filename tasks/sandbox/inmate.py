"""The inside of the sandbox: run as a script of its own by jail.py, it locks itself in and then runs the program that it was handed.

Nothing of Gristmill is imported here but the three files beside it, by their paths, as the interpreter runs without site-packages. Three processes: the first
leaves the namespaces, the second is the init of the new ones (when it dies, so does every process inside) and stays out of the program's reach under
another user, the third gives its rights up and runs the program. Where there are tests, a fourth runs them: it alone is handed them, and the secret by which
success is told, after the program's process has been cut off from both. Where a wall can't be put up, the program isn't run: the exit status is `UNSAFE`.
"""

import contextlib
import ctypes
import importlib.util
import json
import os
import resource
import signal
import sys
from typing import Any

UNSAFE = 77
_NEW_MOUNTS, _NEW_HOST_NAME, _NEW_IPC, _NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 0x1, 0x2, 0x4, 0x20, 0x1000, 0x4000, 0x40000
_DIE_WITH_PARENT, _NOT_DUMPABLE, _NO_NEW_RIGHTS = 1, 4, 38
_FIRST_USER = 0x60000000
_SCRATCH = ("/tmp", "/var/tmp", "/dev/shm", "/run")  # noqa: S108 - these are covered, not written to
_LIBRARY = "/tmp/python"  # noqa: S108 - on the covering disk
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _leave_namespaces() -> None:
    user, group, root = os.getuid(), os.getgid(), os.getuid() == 0
    _call("unshare", _NEW_MOUNTS | _NEW_HOST_NAME | _NEW_IPC | _NEW_PROCESSES | _NEW_NETWORK | (0 if root else _NEW_USER))
    if root:
        return
    for path, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{path}", "w", encoding="ascii") as file:
            file.write(line)


def _cover_files(size: int) -> None:
    """Lay a small disk in memory over what all may write to, and a /proc of our own over that of the machine."""
    _call("mount", None, b"/", None, _RECURSIVE | _PRIVATE, None)
    _call("mount", b"proc", b"/proc", b"proc", _NO_SETUID | _NO_DEVICES, None)
    library = os.open(os.path.dirname(os.__file__), os.O_PATH)
    options = f"size={size},nr_inodes=1000,mode=1777".encode()
    for folder in _SCRATCH:
        if os.path.isdir(folder) and not os.path.islink(folder):
            _call("mount", b"tmpfs", folder.encode(), b"tmpfs", _NO_SETUID | _NO_DEVICES, options)
    _bring_library(library)


def _bring_library(library: int) -> None:
    """Show Python's library where another user may read it: under root it often lies in a home folder."""
    os.mkdir(_LIBRARY, 0o755)
    _call("mount", f"/proc/self/fd/{library}".encode(), _LIBRARY.encode(), None, _BIND, None)
    _call("mount", None, _LIBRARY.encode(), None, _BIND | _REMOUNT | _READ_ONLY | _NO_SETUID | _NO_DEVICES, None)
    os.close(library)
    old = os.path.dirname(os.__file__)
    sys.path[:] = [_LIBRARY, f"{_LIBRARY}/lib-dynload"]
    sys.path_importer_cache.clear()
    for module in list(sys.modules.values()):
        paths = getattr(module, "__path__", None)
        if isinstance(paths, list):
            paths[:] = [path.replace(old, _LIBRARY, 1) for path in paths]


def _limit(limits: dict[str, int]) -> None:
    kinds = {
        resource.RLIMIT_AS: limits["memory"],
        resource.RLIMIT_CPU: limits["cpu_s"],
        resource.RLIMIT_FSIZE: limits["file"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_NPROC: limits["processes"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for kind, most in kinds.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # The soft limit's signal says what happened; the hard one kills whoever ignores it.
        resource.setrlimit(kind, (most, most + (kind == resource.RLIMIT_CPU and hard == resource.RLIM_INFINITY)))


def _give_up_rights(user: int | None) -> None:
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _call("prctl", _NO_NEW_RIGHTS, 1, 0, 0, 0)


def _drop_capabilities() -> None:
    """Give up what the owner of a user namespace may do in it."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)())


def _report(status: str, error: str, report: int) -> None:
    with contextlib.suppress(Exception):  # the program may have put anything in its place
        sys.stdout.flush()
    os.write(report, json.dumps({"status": status, "error": error}).encode())
    os._exit(0)


def _run(program: str, report: int, nonce: str) -> None:
    """Run a program without tests; only one that comes to its end reports the nonce."""
    error, ours = "", os.getpid()
    try:
        exec(compile(program, "<answer>", "exec"), {"__name__": "__main__"})  # noqa: S102 - what the sandbox is for
        status = nonce
    except BaseException as fault:
        status, error = "", _describe(fault)
    if os.getpid() != ours:
        os._exit(0)
    _report(status, error, report)


def _answer(program: str, line: Any, bridge: Any, report: int) -> None:
    """Run the answer's program in a process that holds neither tests nor secret, nor the means to report."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.close(report)
    ours = os.getpid()
    with contextlib.suppress(BaseException):
        bridge.serve_answer(program, line)
    os._exit(0 if os.getpid() == ours else 1)


def _test(line: Any, bridge: Any, report: int) -> None:
    """Read the tests and the secret, which no other process here has seen, and run them."""
    # No other process may look into this one's memory or take its files, not even one of the same user.
    _call("prctl", _NOT_DUMPABLE, 0, 0, 0, 0)
    secret = _read_part()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    status, error = "", ""
    try:
        bridge.run_tests(secret["tests"], line)
        status = secret["nonce"]
    except BaseException as fault:
        error = str(fault) if isinstance(fault, bridge.GoneError) else _describe(fault)
    _report(status, error, report)


def _describe(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {str(fault)[:500]}".rstrip(": ")


def _serve(order: dict[str, Any], report: int, user: int | None) -> None:
    """Be the init of the new namespaces: start the program's process, and the tests', and wait for the one that reports."""
    _call("prctl", _DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    _cover_files(order["limits"]["file"] * 4)
    os.chdir("/tmp")  # noqa: S108 - the covered one
    alone = "nonce" in order
    child = _start(order, user, lambda: _run(order["program"], report, order.pop("nonce"))) if alone else _start_tested(order, report, user)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)


def _start_tested(order: dict[str, Any], report: int, user: int | None) -> int:
    """Start the answer's process and then the tests', joined by two pipes of which each keeps its own ends."""
    bridge = order["bridge"]
    asked, told = os.pipe(), os.pipe()
    ends = {"answer": (asked[0], told[1]), "tests": (told[0], asked[1])}

    def only(side: str) -> Any:
        for end in ends["tests" if side == "answer" else "answer"]:
            os.close(end)
        return bridge.Line(*ends[side])

    _start(order, user, lambda: _answer(order["program"], only("answer"), bridge, report))
    child = _start(order, user, lambda: _test(only("tests"), bridge, report))
    for end in (*ends["answer"], *ends["tests"]):
        os.close(end)
    return child


def _start(order: dict[str, Any], user: int | None, work: Any) -> int:
    """Start a process that gives its rights up and does its work."""
    child = os.fork()
    if not child:
        _guarded(_enter, order, user)
        work()
    return child


def _enter(order: dict[str, Any], user: int | None) -> None:
    _limit(order["limits"])
    _give_up_rights(user)
    if user is None:
        _drop_capabilities()
    order["syscalls"].close_system_calls()
    sys.stdin = open(os.devnull, encoding="ascii")  # noqa: SIM115 - for as long as the program runs


def _guarded(step: object, *arguments: object) -> None:
    try:
        step(*arguments)  # type: ignore[operator]
    except OSError as error:
        os.write(2, f"sandbox: {error}\n".encode())
        os._exit(UNSAFE)


def _read_part() -> dict[str, Any]:
    """Read one part of the order, and not a byte of the next."""
    size = int.from_bytes(_read_exactly(8), "big")
    part: dict[str, Any] = json.loads(_read_exactly(size))
    return part


def _read_exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            raise OSError("the order broke off")
        data += more
    return data


def _beside(name: str) -> Any:
    """Load a file that lies beside this one, before the walls go up: behind them it may not be there to read. It is known by its full name to the others."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py"))
    assert spec
    assert spec.loader
    module = sys.modules[f"tasks.sandbox.{name}"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Read the order from standard input, lock ourselves in, run it."""
    report = int(sys.argv[1])
    _beside("parcels")
    order = _read_part() | {"bridge": _beside("bridge"), "syscalls": _beside("syscalls")}
    if "nonce" in order:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # A user of its own for each run: the limit on processes counts a user's, and no run may meddle with another's.
    user = _FIRST_USER + os.getpid() if os.getuid() == 0 else None
    _guarded(_call, "prctl", _DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    _guarded(_leave_namespaces)
    child = os.fork()
    if not child:
        _guarded(_serve, order, report, user)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)


if __name__ == "__main__":
    main()
