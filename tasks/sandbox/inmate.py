"""The inside of the sandbox: run as a script of its own by jail.py, it locks itself in and then runs the program that it was handed.

Nothing of Gristmill is imported here, as the interpreter runs without site-packages. Three processes: the first leaves the namespaces, the
second is the init of the new ones (when it dies, so does every process inside) and stays out of the program's reach under another user, the
third gives its rights up and runs the program. Where a wall can't be put up, the program isn't run: the exit status is `UNSAFE`.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys

UNSAFE = 77
_NEW_MOUNTS, _NEW_HOST_NAME, _NEW_IPC, _NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 0x1, 0x2, 0x4, 0x20, 0x1000, 0x4000, 0x40000
_DIE_WITH_PARENT, _NO_NEW_RIGHTS = 1, 38
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


def _run(program: str, report: int, nonce: str) -> None:
    """Run the program; only one that comes to its end reports the nonce."""
    error, ours = "", os.getpid()
    try:
        exec(compile(program, "<answer>", "exec"), {"__name__": "__main__"})  # noqa: S102 - what the sandbox is for
        status = nonce
    except BaseException as fault:
        status, error = "", f"{type(fault).__name__}: {str(fault)[:500]}".rstrip(": ")
    if os.getpid() != ours:
        os._exit(0)
    with contextlib.suppress(Exception):  # the program may have put anything in its place
        sys.stdout.flush()
    os.write(report, json.dumps({"status": status, "error": error}).encode())
    os._exit(0)


def _serve(order: dict[str, object], report: int, user: int | None) -> None:
    """Be the init of the new namespaces: start the program's process and wait for it alone."""
    _call("prctl", _DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    _cover_files(order["limits"]["file"] * 4)  # type: ignore[index]
    os.chdir("/tmp")  # noqa: S108 - the covered one
    child = os.fork()
    if not child:
        _guarded(_enter, order, report, user)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)


def _enter(order: dict[str, object], report: int, user: int | None) -> None:
    program, nonce = str(order.pop("program")), str(order.pop("nonce"))
    _limit(order["limits"])  # type: ignore[arg-type]
    _give_up_rights(user)
    if user is None:
        _drop_capabilities()
    sys.stdin = open(os.devnull, encoding="ascii")  # noqa: SIM115 - for as long as the program runs
    _run(program, report, nonce)


def _guarded(step: object, *arguments: object) -> None:
    try:
        step(*arguments)  # type: ignore[operator]
    except OSError as error:
        os.write(2, f"sandbox: {error}\n".encode())
        os._exit(UNSAFE)


def main() -> None:
    """Read the order from standard input, lock ourselves in, run it."""
    report = int(sys.argv[1])
    order = json.loads(sys.stdin.buffer.read())
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
