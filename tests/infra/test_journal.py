"""A journal keeps every call that it acknowledged, through `kill -9`, torn tails and full disks."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.journal import Entry, Journal
from schemas.engine import Answer, Completion, Embedding, Reward
from schemas.errors import RunBusyError, StorageError
from schemas.identity import content_id

ITEM = content_id("item", 0)


def a_key(number: int) -> str:
    return content_id("call", number)


def an_answer(text: str = "42") -> Completion:
    return Completion(text, "stop", finish_reason_inferred=False, prompt_tokens=3, completion_tokens=1, tokens_inferred=True)


def filled(path: Path, texts: list[str]) -> list[int]:
    """Write a journal of these answers; gives where each frame ends."""
    path.unlink(missing_ok=True)
    ends = []
    with Journal.open(path) as journal:
        for number, text in enumerate(texts):
            journal.put(a_key(number), ITEM, an_answer(text))
            ends.append(path.stat().st_size)
    return ends


PUTS_FOREVER = """
import itertools, sys
from pathlib import Path
from infra.journal import Journal
from schemas.engine import Completion
from schemas.identity import content_id
journal = Journal.open(Path(sys.argv[1]))
for number in itertools.count():
    journal.put(content_id("call", number), content_id("item", 0), Completion("x" * 2000, "stop", False, 1, 1, False))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""

FILLS_UP = """
import resource, sys
from pathlib import Path
from infra.journal import Journal
from schemas.engine import Completion
from schemas.errors import StorageError
from schemas.identity import content_id
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
with Journal.open(Path(sys.argv[1])) as journal:
    def put(number, length):
        journal.put(content_id("call", number), content_id("item", 0), Completion("x" * length, "stop", False, 1, 1, False))
    put(0, 2000)
    try:
        put(1, 4000)
    except StorageError as error:
        print(error)
    print(Path(sys.argv[1]).stat().st_size, len(journal))
    put(2, 10)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    put(1, 4000)
"""


@pytest.mark.parametrize(
    "answer",
    [an_answer("ä\n\u2028\0"), Reward({"helpfulness": 4.25}, exceeded=True), Embedding((0.1, -1e-30)), Embedding((0.5, -1.25)), Embedding((1e300,))],
    ids=["completion", "reward", "embedding", "embedding in 32 bits", "embedding beyond 32 bits"],
)
def test_journal_gives_back_what_was_put(tmp_path: Path, answer: Answer) -> None:
    with Journal.open(tmp_path / "new" / "x.journal") as journal:
        assert journal.get(a_key(0)) is None
        assert journal.put(a_key(0), ITEM, answer) == answer
        assert journal.get(a_key(0)) == answer
    with Journal.open(tmp_path / "new" / "x.journal") as journal:
        assert list(journal.entries()) == [Entry(a_key(0), ITEM, answer)]
        assert len(journal) == 1


def test_put_keeps_the_first_answer_and_gives_it(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "x.journal") as journal:
        journal.put(a_key(0), ITEM, an_answer("first"))
        assert journal.put(a_key(0), ITEM, an_answer("second")) == an_answer("first")
        assert [entry.answer for entry in journal.entries()] == [an_answer("first")]


@given(texts=st.lists(st.text(max_size=50), max_size=6), data=st.data())
def test_open_recovers_exactly_the_intact_calls_of_a_cut_file(tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.journal"
    ends = filled(path, texts)
    size = data.draw(st.integers(0, path.stat().st_size))
    os.truncate(path, size)
    whole = sum(end <= size for end in ends)
    _assert_holds(path, texts[:whole], ([0, *ends])[whole])


@given(texts=st.lists(st.text(max_size=50), min_size=1, max_size=6), data=st.data())
def test_open_recovers_exactly_the_calls_before_a_corrupt_byte(tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "corrupt.journal"
    ends = filled(path, texts)
    content = bytearray(path.read_bytes())
    at, flip = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    content[at] ^= flip
    path.write_bytes(content)
    whole = sum(end <= at for end in ends)
    _assert_holds(path, texts[:whole], ([0, *ends])[whole])


@given(texts=st.lists(st.text(max_size=50), max_size=3), tail=st.one_of(st.binary(max_size=40), st.integers(1, 5000).map(bytes)))
def test_open_cuts_off_whatever_follows_the_last_call(tmp_path_factory: pytest.TempPathFactory, texts: list[str], tail: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "tail.journal"
    ends = filled(path, texts)
    with open(path, "ab") as file:
        file.write(tail)
    _assert_holds(path, texts, ends[-1] if ends else 0)


def _assert_holds(path: Path, texts: list[str], size: int) -> None:
    with Journal.open(path) as journal:
        assert [entry.answer for entry in journal.entries()] == [an_answer(text) for text in texts]
        assert path.stat().st_size == size
        journal.put(a_key(99), ITEM, an_answer("after"))
    with Journal.open(path) as journal:
        assert len(journal) == len(texts) + 1
        assert journal.get(a_key(99)) == an_answer("after")


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.1])
def test_a_killed_process_has_kept_every_call_that_it_acknowledged(tmp_path: Path, after_s: float) -> None:
    path = tmp_path / "x.journal"
    with subprocess.Popen([sys.executable, "-c", PUTS_FOREVER, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "0\n"
        time.sleep(after_s)
        child.kill()
        acknowledged = [0, *(int(line) for line in child.stdout.read().split("\n")[:-1])]
    with Journal.open(path) as journal:
        assert len(journal) in (len(acknowledged), len(acknowledged) + 1)
        assert all(journal.get(a_key(number)) for number in acknowledged)


def test_put_on_a_full_disk_says_so_and_the_journal_goes_on_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    told = subprocess.run([sys.executable, "-c", FILLS_UP, str(path)], capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[0].startswith(f"can't write {path}: File too large (")
    size, calls = (int(word) for word in told[1].split())
    assert (2000 < size < 3000, calls) == (True, 1)
    with Journal.open(path) as journal:
        assert [entry.key for entry in journal.entries()] == [a_key(0), a_key(2), a_key(1)]


def test_open_refuses_a_journal_that_is_open_elsewhere(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "x.journal") as journal:
        with pytest.raises(RunBusyError, match=r"x.journal is open elsewhere"):
            Journal.open(tmp_path / "x.journal")
        journal.put(a_key(0), ITEM, an_answer())


def test_open_says_what_is_wrong_with_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"can't write .*file/x.journal"):
        Journal.open(tmp_path / "file" / "x.journal")


def test_a_closed_journal_takes_nothing_and_closes_twice(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "x.journal")
    journal.close()
    journal.close()
    with pytest.raises(StorageError, match="is closed"):
        journal.put(a_key(0), ITEM, an_answer())


def test_many_threads_put_at_once_and_many_journals_share_one_syncer(tmp_path: Path) -> None:
    journals = [Journal.open(tmp_path / f"{number}.journal") for number in range(8)]

    def put_all(number: int) -> None:
        for call in range(50):
            journals[call % 8].put(a_key(number * 50 + call), ITEM, an_answer(str(number)), durable=call % 25 == 0)

    threads = [threading.Thread(target=put_all, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(thread.name == "journal-sync" for thread in threading.enumerate()) == 1
    for journal in journals:
        journal.close()
    assert sum(len(_entries(tmp_path / f"{number}.journal")) for number in range(8)) == 300


def _entries(path: Path) -> list[Entry]:
    with Journal.open(path) as journal:
        return list(journal.entries())


def test_calls_are_synced_within_the_window_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Event()
    sync = os.fdatasync

    def watch(handle: int) -> None:
        sync(handle)
        synced.set()

    monkeypatch.setattr(os, "fdatasync", watch)
    with Journal.open(tmp_path / "x.journal") as journal:
        journal.put(a_key(0), ITEM, an_answer())
        assert synced.wait(20)


def test_a_sync_that_failed_is_told_at_the_next_put_and_at_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_handle: int) -> None:
        raise OSError(5, "Input/output error")

    journal = Journal.open(tmp_path / "x.journal")
    journal.put(a_key(0), ITEM, an_answer())
    monkeypatch.setattr(os, "fdatasync", refuse)
    with pytest.raises(StorageError, match=r"can't sync .*Input/output error"):
        journal.sync()
    with pytest.raises(StorageError, match="can't sync"):
        journal.put(a_key(1), ITEM, an_answer())
    with pytest.raises(StorageError, match="can't sync"):
        journal.close()


def test_a_forked_child_has_a_syncer_of_its_own(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from infra.journal import Journal
from schemas.engine import Completion
answer = Completion("x", "stop", False, 1, 1, False)
parent = Journal.open(Path({str(tmp_path)!r}) / "parent.journal")
parent.put("0" * 32, "0" * 32, answer)
if not os.fork():
    child = Journal.open(Path({str(tmp_path)!r}) / "child.journal")
    child.put("1" * 32, "0" * 32, answer)
    child.close()
    os._exit(0)
_, status = os.wait()
parent.close()
raise SystemExit(status)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
    assert [len(_entries(tmp_path / f"{name}.journal")) for name in ("parent", "child")] == [1, 1]
