"""The purse: exact over processes and threads, and what it holds outlives any of them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from infra.purse import Caps, Purse, Sums

_SPENDER = """
import sys
from pathlib import Path
from infra.purse import Caps, Purse
purse = Purse.open(Path(sys.argv[1]))
print(sum(purse.admit(Caps(calls=1000)) is None for _ in range(700)), flush=True)
"""


def test_admit_lets_in_exactly_as_many_as_the_cap_over_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SPENDER, str(tmp_path / "spent")]
    spenders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(one.communicate(timeout=120)[0]) for one in spenders) == 1000


def test_admit_lets_in_exactly_as_many_as_the_cap_over_threads(tmp_path: Path) -> None:
    with closing(Purse.open(tmp_path / "spent")) as purse, ThreadPoolExecutor(8) as threads:
        reached = list(threads.map(lambda _: purse.admit(Caps(calls=100)), range(300)))
    assert reached.count(None) == 100
    assert reached.count("calls") == 200


def test_admit_lets_a_batch_in_whole_or_not_at_all(tmp_path: Path) -> None:
    with closing(Purse.open(tmp_path / "spent")) as purse:
        assert [purse.admit(Caps(calls=100), 32) for _ in range(4)] == [None, None, None, "calls"]
        assert purse.admit(Caps(calls=100), 4) is None
        purse.give_back(32)
        assert purse.read().calls == 68


def test_purse_names_the_cap_that_is_reached(tmp_path: Path) -> None:
    with closing(Purse.open(tmp_path / "spent")) as purse:
        purse.add(prompt_tokens=60, completion_tokens=40, money=1.5, seconds=9.0)
        for caps, name in (
            (Caps(tokens=100), "tokens"),
            (Caps(tokens=101), None),
            (Caps(money=1.5), "money"),
            (Caps(seconds=8.9), "seconds"),
            (Caps(calls=1), "calls"),  # the second of these was let in
        ):
            assert purse.admit(caps) == name


def test_purse_is_taken_up_where_it_was_left(tmp_path: Path) -> None:
    with closing(Purse.open(tmp_path / "spent")) as purse:
        purse.admit(Caps())
        purse.admit(Caps())
        purse.give_back()
        purse.add(money=0.5)
    with closing(Purse.open(tmp_path / "spent")) as again:
        assert again.read() == Sums(calls=1, money=0.5)
        again.at_least(Sums(calls=7, money=0.25))
        assert again.read() == Sums(calls=7, money=0.5)


def test_a_torn_purse_begins_anew_from_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "spent").write_bytes(b"\0\1\2")
    with closing(Purse.open(tmp_path / "spent")) as purse:
        purse.at_least(Sums(calls=7))
        assert purse.read().calls == 7
