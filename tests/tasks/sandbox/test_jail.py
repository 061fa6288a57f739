import os
import socket
import threading
from pathlib import Path

import pytest

from schemas.errors import SettingsError
from tasks.sandbox.jail import Limits, run_program


@pytest.fixture(autouse=True, scope="module")
def sandbox() -> None:
    try:
        run_program("pass")
    except SettingsError as error:
        pytest.skip(str(error))


def test_run_program_runs_to_the_end_and_keeps_what_was_printed() -> None:
    outcome = run_program("import json, re, decimal, hashlib, email.mime.text\nprint(6 * 7)")
    assert (outcome.finished, outcome.error, outcome.output) == (True, "", "42\n")


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("assert 1 == 2, 'one is not two'", "AssertionError: one is not two"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("import os; os._exit(0)", "ended before its last line, with exit status 0"),
        ("def broken(:", "SyntaxError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import ctypes; ctypes.string_at(0)", "was stopped by SIGSEGV"),
        ("import numpy", "ModuleNotFoundError"),
        ("import atexit; input()", "EOFError"),
    ],
)
def test_run_program_says_why_a_program_did_not_finish(program: str, error: str) -> None:
    outcome = run_program(program)
    assert not outcome.finished
    assert error in outcome.error


def test_run_program_ends_a_fork_bomb_and_all_its_children() -> None:
    assert not run_program("import os\nwhile True: os.fork()", wall_s=5).finished
    assert inmates() == []


def test_run_program_leaves_no_detached_child_behind() -> None:
    program = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(1000)\n    os._exit(0)\n"
    assert run_program(program).finished
    assert inmates() == []


def test_run_program_ends_an_infinite_loop_by_cpu_and_a_sleep_by_the_clock() -> None:
    assert run_program("while True: pass", limits=Limits(cpu_s=1)).error == "ran out of CPU time"
    assert run_program("import time; time.sleep(1000)", wall_s=0.5).error == "ran out of time"
    assert inmates() == []


def test_run_program_ends_a_loop_that_ignores_every_signal() -> None:
    program = "import signal\nfor number in (signal.SIGXCPU, signal.SIGTERM, signal.SIGINT): signal.signal(number, signal.SIG_IGN)\nwhile True: pass"
    assert run_program(program, limits=Limits(cpu_s=1)).error == "was stopped by SIGKILL"


def test_run_program_refuses_a_huge_allocation() -> None:
    assert run_program("x = bytearray(10**11)").error == "MemoryError"


@pytest.mark.parametrize("folder", [Path(__file__).parent, Path("/usr"), Path("/etc")])
def test_run_program_cannot_write_where_it_does_not_belong(folder: Path) -> None:
    target = folder / "written_by_a_model"
    assert "Error" in run_program(f"open({str(target)!r}, 'w')").error
    assert not target.exists()


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp", "/dev/shm"])
def test_run_program_writes_to_no_shared_folder_of_the_machine(folder: str) -> None:
    target = Path(folder) / "written_by_a_model"
    run_program(f"open({str(target)!r}, 'w').write('x')")
    assert not target.exists()


def test_run_program_bounds_a_file_and_all_files() -> None:
    assert "File too large" in run_program("open('big', 'wb').write(bytes(10**8))").error
    assert "No space left" in run_program("for i in range(100): open(f'f{i}', 'wb').write(bytes(4 * 10**6))").error


def test_run_program_bounds_what_is_printed() -> None:
    outcome = run_program("while True: print('x' * 10**5)")
    assert "File too large" in outcome.error
    assert len(outcome.output) <= 2000


def test_run_program_reaches_no_network_not_even_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "unreachable" in run_program(f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)").error
    assert "unreachable" in run_program("import socket; socket.create_connection(('192.0.2.1', 53), 2)").error


def test_run_program_can_signal_no_process_outside() -> None:
    assert not run_program(f"import os; os.kill({os.getpid()}, 9)").finished
    assert not run_program("import os; os.kill(os.getppid(), 9)").finished
    assert not run_program("import os; os.kill(-1, 9)").finished


def test_run_program_sees_neither_the_environment_nor_the_processes_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_FOR_TEST", "hidden-value")
    program = (
        "import glob, os\nassert 'SECRET_FOR_TEST' not in os.environ\n"
        "for path in glob.glob('/proc/[0-9]*/environ'):\n    try: assert b'hidden-value' not in open(path, 'rb').read()\n    except PermissionError: pass\n"
        "assert len(glob.glob('/proc/[0-9]*')) == 2"
    )
    assert run_program(program).error == ""


def test_run_program_gives_no_right_back() -> None:
    program = "import os\ntry: os.setuid(0)\nexcept OSError: pass\nassert os.getuid() != 0 or not os.access('/proc/1/mem', os.W_OK)\nos.mkdir('/tmp/m')\n"
    assert run_program(program + "import ctypes\nassert ctypes.CDLL(None).mount(b'proc', b'/tmp/m', b'proc', 0, None) != 0").finished


def test_run_program_takes_no_report_without_its_secret() -> None:
    forged = 'import os\nfor number in range(3, 20):\n    try: os.write(number, b\'{"status": "", "error": ""}\')\n    except OSError: pass\nos._exit(0)'
    assert not run_program(forged).finished


def test_run_program_works_off_the_main_thread() -> None:
    finished: list[bool] = []
    threads = [threading.Thread(target=lambda: finished.append(run_program("pass").finished)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert finished == [True] * 4


def inmates() -> list[str]:
    """Command lines of what runs below this very process and is an inmate."""
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = status.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            parent = int((status.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if "inmate.py" in line and parent in (os.getpid(), 1):
            found.append(line)
    return found
