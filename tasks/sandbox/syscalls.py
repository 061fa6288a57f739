"""The system calls that a program in the sandbox may not make: a filter in the kernel (seccomp), loaded by ctypes.

What tests of a function need is open; closed is what reaches other processes, mounts, keys, modules, the clock, other kernel interfaces with a
history of holes (bpf, io_uring, userfaultfd, perf, namespaces), and sockets of any family but local and internet ones. A list of what is closed is weaker than
one of what is open, and holds across versions of Python and its C library. Standard library only, as the inmate loads it by its path.
"""

import ctypes
import os
import struct

_X86_64, _AARCH64 = 0xC000003E, 0xC00000B7
# By the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h): the number on x86-64, on AArch64.
_CLOSED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "quotactl": (179, 60), "acct": (163, 89), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162), "syslog": (103, 116),
    "vhangup": (153, 58), "personality": (135, 92), "lookup_dcookie": (212, 18), "move_pages": (279, 239), "migrate_pages": (256, 238),
    "mbind": (237, 235), "set_mempolicy": (238, 237), "fanotify_init": (300, 262),
}  # fmt: skip
_ONLY_X86_64 = {"iopl": 172, "ioperm": 173, "modify_ldt": 154, "uselib": 134}
_CLONE, _CLONE3, _SOCKET = (56, 220), (435, 435), (41, 198)
_NEW_NAMESPACES = 0x7E020080
_FAMILIES = (1, 2, 10)
"""Local, internet version 4 and 6: the last two lead nowhere, as the sandbox has no network."""
_X32 = 0x40000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_SET_SECCOMP, _FILTER = 22, 2


def close_system_calls() -> None:
    """Load the filter into this process and all that it will start. Raises OSError where that can't be done; needs no-new-privileges."""
    program = b"".join(struct.pack("HBBI", *step) for step in _steps(os.uname().machine))
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(header, len(header)), 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")


def _steps(machine: str) -> list[tuple[int, int, int, int]]:
    """Write the filter: (operation, steps to skip if true, steps to skip if false, operand)."""
    if machine not in ("x86_64", "aarch64"):
        raise OSError(_ENOSYS, f"seccomp: the system calls of {machine} are not known here")
    at = 0 if machine == "x86_64" else 1
    steps = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, (_X86_64, _AARCH64)[at]), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    if at == 0:
        steps += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _FAIL | _EPERM)]
    closed = [numbers[at] for numbers in _CLOSED.values()] + ([] if at else list(_ONLY_X86_64.values()))
    for number in closed:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _FAIL | _EPERM)]
    # glibc falls back to clone, whose flags a filter can read.
    steps += [(_EQUAL, 0, 1, _CLONE3[at]), (_RETURN, 0, 0, _FAIL | _ENOSYS)]
    steps += [(_EQUAL, 0, 4, _CLONE[at]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_ANY_BIT, 0, 1, _NEW_NAMESPACES)]
    steps += [(_RETURN, 0, 0, _FAIL | _EPERM), (_RETURN, 0, 0, _ALLOW)]
    steps += [(_EQUAL, 0, len(_FAMILIES) + 2, _SOCKET[at]), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
    steps += [(_EQUAL, len(_FAMILIES) - place, 0, family) for place, family in enumerate(_FAMILIES)]
    steps += [(_RETURN, 0, 0, _FAIL | _EAFNOSUPPORT)]
    return [*steps, (_RETURN, 0, 0, _ALLOW)]
