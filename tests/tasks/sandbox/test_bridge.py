"""Answers that try to pass tests by other means than being right, and values that cross between the two processes."""

import contextlib
import json
import os
import threading
from collections import Counter, OrderedDict, deque
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from tasks.sandbox.bridge import Line, Remote, run_tests, serve_answer
from tasks.sandbox.jail import Limits
from tasks.sandbox.jail import run_tests as run_jailed
from tasks.sandbox.parcels import pack, unpack


@pytest.fixture(scope="module")
def sandbox() -> None:
    try:
        run_jailed("pass", "pass")
    except SettingsError as error:
        pytest.skip(str(error))


DOUBLE = "assert double(4) == 8\nassert double(0) == 0"

CHEATS = {
    "equal to everything": "class Any:\n    def __eq__(self, other): return True\n    __hash__ = None\ndef double(x): return Any()",
    "a number equal to everything": "class Any(int):\n    def __eq__(self, other): return True\n    __hash__ = None\ndef double(x): return Any(5)",
    "a list equal to everything": "class Any(list):\n    def __eq__(self, other): return True\n    __hash__ = None\ndef double(x): return Any()",
    "leaves at once": "import sys; sys.exit(0)",
    "leaves when called": "import os\ndef double(x): os._exit(0)",
    "exits when called": "def double(x): raise SystemExit(0)",
    "raises what tests could catch": "def double(x): raise AssertionError",
    "patches assertions": "import builtins\nbuiltins.AssertionError = ValueError\nAssertionError = None\ndef double(x): return 5",
    "patches the runner": "import __main__\n__main__._test = __main__._report = lambda *a: None\ndef double(x): return 5",
    "leaves at the end": "import atexit, os\natexit.register(os._exit, 0)\ndef double(x): return 5",
    "brings its own check": "def check(candidate): pass\ndef double(x): return 5",
    "endless": "def double(x):\n    while True: pass",
    "sends rubbish": "import os\ndef double(x):\n    for n in range(3, 30):\n        try: os.write(n, b'x' * 100)\n        except OSError: pass\n"
    "    os._exit(0)",
    "forges the report": 'import os\nfor n in range(3, 30):\n    try: os.write(n, b\'{"status": "", "error": ""}\')\n    except OSError: pass\n'
    "def double(x): return 5",
}


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("cheat", CHEATS.values(), ids=CHEATS)
def test_an_answer_passes_by_no_other_means_than_being_right(cheat: str) -> None:
    assert not run_jailed(cheat, DOUBLE, limits=Limits(cpu_s=1), wall_s=5).finished


@pytest.mark.usefixtures("sandbox")
def test_tools_of_the_tests_are_not_the_answers() -> None:
    shadows = "def all(them): return True\ndef abs(x): return 0\nclass math:\n    isclose = staticmethod(lambda *a: True)\ndef double(x): return 5"
    for tests in ("assert all(double(n) == 2 * n for n in range(3))", "assert abs(double(4) - 8) < 1", "assert math.isclose(double(4), 8)"):
        assert not run_jailed(shadows, tests).finished
    assert run_jailed("def sum(a, b): return a + b", "assert sum(1, 2) == 3").finished


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    "look",
    [
        "import gc\nfound = [o for o in gc.get_objects() if isinstance(o, dict) and ('nonce' in o or isinstance(o.get('tests'), str))]",
        "import sys\nfound, frame = [], sys._getframe(1)\nwhile frame:\n"
        "    found += [name for name, value in frame.f_locals.items() if name in ('secret', 'nonce', 'tests')]\n    frame = frame.f_back",
        "import glob, os\nfound = []\nfor path in glob.glob('/proc/[0-9]*/mem') + glob.glob('/proc/[0-9]*/fd/*'):\n"
        "    if path.split('/')[2] != str(os.getpid()):\n        try: found.append(open(path, 'rb'))\n        except OSError: pass",
        "found = [m for m in open('/proc/self/maps').read().split('\\n') if '[heap]' in m]\nlow, high = (int(n, 16) for n in found[0].split()[0].split('-'))\n"
        "import ctypes\nfound = [1] if b'where' + b'ver_hid' in ctypes.string_at(low, high - low) else []",
        "import sys\nfound = [1] if sys.stdin.read() else []\nimport os\ntry: found += [1] if os.read(0, 1) else []\nexcept OSError: pass",
    ],
    ids=["garbage-collector", "frames", "other-processes", "own-memory", "standard-input"],
)
def test_an_answer_sees_neither_tests_nor_secret(look: str) -> None:
    outcome = run_jailed(f"{look}\nassert not found, found", "wherever_hid = 'wherever_hid'")
    assert outcome.error == ""


@pytest.mark.usefixtures("sandbox")
def test_an_answer_that_kills_the_tests_has_not_passed_them() -> None:
    killer = "import glob, os, signal\nfor path in glob.glob('/proc/[0-9]*'):\n    pid = int(path.split('/')[2])\n    if pid not in (1, os.getpid()):\n"
    outcome = run_jailed(f"{killer}        os.kill(pid, signal.SIGKILL)\ndef double(x): return 2 * x", DOUBLE)
    assert not outcome.finished


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("ptrace(16, 1, 0, 0)", 1),
        ("unshare(0x10000000)", 1),
        ("mount(b'proc', b'/tmp', b'proc', 0, 0)", 1),
        ("syscall(321, 0, 0, 0)", 1),  # bpf
        ("syscall(425, 1, 0)", 1),  # io_uring_setup
        ("syscall(310, 1, 0, 0, 0, 0, 0)", 1),  # process_vm_readv
        ("syscall(56, 0x10000000 | 17, 0, 0, 0, 0)", 1),  # clone into a new user namespace
        ("socket(16, 3, 0)", 97),  # netlink
        ("socket(38, 5, 0)", 97),  # the kernel's cryptography
    ],
)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86-64's")
def test_the_kernel_refuses_system_calls_that_no_test_needs(call: str, error: int) -> None:
    program = f"import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nfound = (libc.{call}, ctypes.get_errno())\nassert found == (-1, {error}), found"
    assert run_jailed(program, "pass").error == ""


@pytest.mark.usefixtures("sandbox")
def test_threads_subprocesses_and_loops_still_work() -> None:
    program = "import asyncio, threading, subprocess\nseen = []\nthread = threading.Thread(target=seen.append, args=(1,))\nthread.start()\nthread.join()\n"
    program += "async def main(): return 2\nseen.append(asyncio.run(main()))\nseen.append(subprocess.run(['/bin/true']).returncode)"
    assert run_jailed(program, "assert seen == [1, 2, 0]").error == ""


class Talk:
    """The two halves in one process, on two threads."""

    def __init__(self, program: str) -> None:
        asked, told = os.pipe(), os.pipe()
        self.ends = (*asked, *told)
        self.tests = Line(told[0], asked[1])
        self.thread = threading.Thread(target=self._serve, args=(program, Line(asked[0], told[1])), daemon=True)
        self.thread.start()

    @staticmethod
    def _serve(program: str, line: Line) -> None:
        try:
            serve_answer(program, line)
        except Exception:
            return

    def close(self) -> None:
        os.close(self.ends[3])
        os.close(self.ends[1])
        self.thread.join(10)
        os.close(self.ends[0])
        os.close(self.ends[2])


def talk(program: str, tests: str) -> None:
    talking = Talk(program)
    try:
        run_tests(tests, talking.tests)
    finally:
        talking.close()


def test_objects_of_the_answer_are_worked_on_where_they_are() -> None:
    program = "class Node:\n    def __init__(self, value, left=None): self.value, self.left = value, left\n    def double(self): return self.value * 2\n"
    program += "def total(node): return node.value + (total(node.left) if node.left else 0)\ndef count(n): yield from range(n)\nLIMIT = 7\nimport math"
    tests = "root = Node(1)\nroot.left = Node(2)\nassert total(root) == 3\nassert root.double() == 2\nassert list(count(3)) == [0, 1, 2]\n"
    tests += "assert LIMIT == 7\nassert math.pi > 3\nassert root.left.value == 2\nassert root != Node(1)\nassert not isinstance(root, int)"
    talk(program, tests)


def test_errors_of_the_answer_are_the_tests_to_catch() -> None:
    talk(
        "def root(x):\n    if x < 0: raise ValueError('negative')\n    class Own(Exception): pass\n    raise Own('mine')",
        "try: root(-1)\nexcept ValueError as error: assert str(error) == 'negative'\nelse: assert False\n"
        "try: root(1)\nexcept RuntimeError as error: assert 'Own: mine' in str(error)\nelse: assert False",
    )


def test_what_only_the_tests_have_can_not_leave_them() -> None:
    with pytest.raises(TypeError, match="can't leave"):
        talk("def apply(f): return f(1)", "apply(lambda x: x)")


def refuse(value: Any) -> int:
    raise AssertionError(f"kept {value!r}")


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.fractions()
    | st.dates()
    | st.datetimes()
    | st.timedeltas(),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=12,
)


@given(plain)
def test_a_plain_value_crosses_as_it_is(value: Any) -> None:
    packed = json.loads(json.dumps(pack(value, refuse)))
    crossed = unpack(packed, refuse)
    assert crossed == value
    assert type(crossed) is type(value)


KINDS = [Counter("aab"), OrderedDict(b=1, a=2), deque([1]), {1, 2}, frozenset("a"), 1 + 2j, range(3), Decimal("1.50"), Fraction(1, 3), bytearray(b"x"), -0.0]
TIMES = [date(2024, 2, 29), datetime(2024, 2, 29, 1), timedelta(1)]  # noqa: DTZ001 - what an answer may give back


@pytest.mark.parametrize("value", [*KINDS, *TIMES])
def test_python_s_own_kinds_cross_as_they_are(value: Any) -> None:
    crossed = unpack(json.loads(json.dumps(pack(value, refuse))), refuse)
    assert (crossed, type(crossed), repr(crossed)) == (value, type(value), repr(value))


def test_a_number_longer_than_python_likes_to_print_crosses() -> None:
    assert unpack(json.loads(json.dumps(pack(10**5000, refuse))), refuse) == 10**5000


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=8))
def test_unpack_makes_a_value_or_an_error_of_whatever_is_sent(sent: Any) -> None:
    with contextlib.suppress(ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError):
        unpack(sent, lambda number: Remote(Line(0, 1), number))


def test_only_the_shared_library_is_taken_from_the_tests_side() -> None:
    import math
    import subprocess

    assert pack(math, refuse) == ["m", "math"]
    assert pack(math.isclose, refuse) == ["u", ["math", "isclose"]]
    assert pack(subprocess, lambda value: 3) == ["h", 3]
    for sent in (["m", "os"], ["u", ["os", "system"]], ["u", ["random", "_os"]]):
        with pytest.raises(ValueError, match="not of the library"):
            unpack(sent, refuse)
