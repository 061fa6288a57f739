"""The call store gives back every call handed to it, whoever made it and whenever the hand-over was cut short."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.calls import MERGE, CallStore
from infra.journal import Entry, Journal
from infra.storage import hold_run, write_table
from schemas.engine import Answer, Completion, Embedding, Reward
from schemas.errors import RunBusyError, StorageError
from schemas.identity import content_id

SWEEPS = """
import os, signal, sys
from pathlib import Path
from infra.calls import CallStore
data, left = Path(sys.argv[1]), int(sys.argv[2])
store = CallStore(data / "calls")
def count(event, arguments):
    global left
    if event in ("open", "os.rename", "os.remove", "os.rmdir") and str(data) in str(arguments[0]):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
store.sweep(data / "journal")
"""

COMPACTS = SWEEPS.replace('store.sweep(data / "journal")', "store.compact()")


def an_item(number: int) -> str:
    return content_id("item", number)


def an_answer(text: str) -> Completion:
    return Completion(text, "stop", finish_reason_inferred=False, prompt_tokens=3, completion_tokens=1, tokens_inferred=True)


def an_entry(number: int, item: int | None = None) -> Entry:
    return Entry(content_id("call", number), an_item(number if item is None else item), an_answer(f"answer {number}"))


def an_orphan(data: Path, run: str, numbers: range, stage: str = "prompts-00000") -> Path:
    path = data / "journal" / run / f"{stage}.journal"
    with Journal.open(path) as journal:
        for number in numbers:
            entry = an_entry(number)
            journal.put(entry.key, entry.item, entry.answer)
    return path


def answers(*numbers: int) -> dict[str, Answer]:
    return {an_entry(number).key: an_entry(number).answer for number in numbers}


@given(
    files=st.lists(st.lists(st.integers(0, 30), max_size=8, unique=True), max_size=4),
    wanted=st.sets(st.integers(0, 30)),
)
def test_load_gives_all_calls_of_the_items_and_no_others(tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], wanted: set[int]) -> None:
    store = CallStore(tmp_path_factory.mktemp("calls"))
    for number, calls in enumerate(files):
        store.add([an_entry(call, item=call // 2) for call in calls], f"run-{number}")
    stored = {call for calls in files for call in calls}
    assert store.load(an_item(item) for item in wanted) == answers(*(call for call in stored if call // 2 in wanted))


@pytest.mark.parametrize("answer", [an_answer("ä"), Reward({"reward": 1.5}), Embedding((0.25, -1.0))], ids=["completion", "reward", "embedding"])
def test_load_gives_back_every_kind_of_answer(tmp_path: Path, answer: Answer) -> None:
    store = CallStore(tmp_path)
    store.add([Entry("a" * 32, an_item(1), answer)], "run")
    assert store.load([an_item(1)]) == {"a" * 32: answer}


def test_load_of_a_store_that_is_not_there_gives_nothing(tmp_path: Path) -> None:
    assert CallStore(tmp_path / "none").load([an_item(1)]) == {}


def test_load_reads_only_files_whose_items_are_near(tmp_path: Path) -> None:
    store = CallStore(tmp_path)
    far = store.add([Entry("a" * 32, "f" * 32, an_answer("far"))], "far")
    store.add([Entry("b" * 32, "0" * 32, an_answer("near"))], "near")
    assert far
    far.write_bytes(b"damaged, but nobody looks")
    assert store.load(["0" * 32]) == {"b" * 32: an_answer("near")}


def test_load_says_which_file_is_damaged_and_that_it_may_go(tmp_path: Path) -> None:
    store = CallStore(tmp_path)
    path = store.add([an_entry(1)], "run")
    assert path
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StorageError, match=rf"{path.name}, a file of finished calls, is damaged .*: delete it; its calls are asked again"):
        store.load([an_item(1)])
    path.unlink()
    assert store.load([an_item(1)]) == {}


def test_load_takes_a_file_with_other_columns_as_damaged(tmp_path: Path) -> None:
    write_table(tmp_path / "00000000-ffffffff-run.parquet", pa.table({"x": [1]}))
    with pytest.raises(StorageError, match="other columns than a call store's"):
        CallStore(tmp_path).load([an_item(1)])


def test_add_names_the_file_by_its_items_and_is_idempotent(tmp_path: Path) -> None:
    store = CallStore(tmp_path)
    path = store.add([Entry("b" * 32, "2" * 32, an_answer("2")), Entry("a" * 32, "1" * 32, an_answer("1"))], "run-prompts-00000")
    assert path == tmp_path / "11111111-22222222-run-prompts-00000.parquet"
    before = path.read_bytes()
    assert store.add([Entry("a" * 32, "1" * 32, an_answer("1")), Entry("b" * 32, "2" * 32, an_answer("2"))], "run-prompts-00000") == path
    assert path.read_bytes() == before


def test_add_takes_the_place_of_an_older_file_of_the_name(tmp_path: Path) -> None:
    store = CallStore(tmp_path)
    store.add([an_entry(1)], "run-prompts-00000")
    store.add([an_entry(1), an_entry(2), an_entry(3)], "run-prompts-00000")
    assert len(list(tmp_path.glob("*.parquet"))) == 1
    assert store.load(map(an_item, range(5))) == answers(1, 2, 3)


def test_add_of_no_calls_makes_no_file(tmp_path: Path) -> None:
    assert CallStore(tmp_path).add([], "run") is None
    assert list(tmp_path.iterdir()) == []


def test_absorb_takes_a_journal_over_and_removes_it(tmp_path: Path) -> None:
    store = CallStore(tmp_path / "calls")
    journal = an_orphan(tmp_path, "run", range(3))
    assert store.absorb(journal) == 3
    assert not journal.exists()
    assert store.load(map(an_item, range(3))) == answers(0, 1, 2)


def test_absorb_refuses_a_journal_in_use(tmp_path: Path) -> None:
    store = CallStore(tmp_path / "calls")
    path = an_orphan(tmp_path, "run", range(3))
    with Journal.open(path), pytest.raises(RunBusyError):
        store.absorb(path)
    assert path.exists()


def test_sweep_takes_over_only_what_nobody_works_on(tmp_path: Path) -> None:
    store = CallStore(tmp_path / "calls")
    an_orphan(tmp_path, "dead", range(2))
    an_orphan(tmp_path, "dead", range(2, 4), "screen-00001")
    held, spared = an_orphan(tmp_path, "held", range(4, 6)), an_orphan(tmp_path, "spared", range(6, 8))
    with hold_run(tmp_path, "held"):
        assert store.sweep(tmp_path / "journal", live={"spared"}) == 4
    assert store.load(map(an_item, range(8))) == answers(0, 1, 2, 3)
    assert held.exists()
    assert spared.exists()
    assert not (tmp_path / "journal" / "dead").exists()


def test_sweep_of_nothing_takes_nothing(tmp_path: Path) -> None:
    assert CallStore(tmp_path / "calls").sweep(tmp_path / "journal") == 0


def test_sweep_leaves_files_that_are_no_journals(tmp_path: Path) -> None:
    note = an_orphan(tmp_path, "run", range(1)).with_name("note.txt")
    note.write_text("mine")
    assert CallStore(tmp_path / "calls").sweep(tmp_path / "journal") == 1
    assert note.exists()


def _killed(code: str, data: Path, event: int) -> bool:
    return subprocess.run([sys.executable, "-c", code, str(data), str(event)]).returncode == -signal.SIGKILL


@pytest.mark.slow
def test_sweep_killed_anywhere_loses_no_call(tmp_path: Path) -> None:
    for event in itertools.count():
        data = tmp_path / str(event)
        an_orphan(data, "run", range(3))
        an_orphan(data, "run", range(3, 5), "screen-00000")
        died = _killed(SWEEPS, data, event)
        store = CallStore(data / "calls")
        store.sweep(data / "journal")
        assert store.load(map(an_item, range(5))) == answers(*range(5))
        assert not (data / "journal" / "run").exists()
        assert len(list(store.root.glob("*.parquet"))) == 2
        if not died:
            break
    assert event > 8


@pytest.mark.slow
def test_compact_killed_anywhere_loses_no_call(tmp_path: Path) -> None:
    for event in itertools.chain([0, 1, 2, 3], range(MERGE, 2 * MERGE + 20, 16), [10**6]):
        store = CallStore(tmp_path / str(event) / "calls")
        for number in range(MERGE):
            store.add([an_entry(number)], f"run-{number}")
        _killed(COMPACTS, store.root.parent, event)
        assert store.load(map(an_item, range(MERGE))) == answers(*range(MERGE))
    assert len(list(store.root.glob("*.parquet"))) == 1


def test_compact_merges_small_files_without_repeats_and_keeps_all(tmp_path: Path) -> None:
    store = CallStore(tmp_path)
    for number in range(MERGE + 2):
        store.add([an_entry(number), an_entry(1000)], f"run-{number:02d}")
    store.compact()
    files = sorted(tmp_path.glob("*.parquet"), key=os.path.getsize)
    assert len(files) == 3
    assert pq.read_metadata(files[-1]).num_rows == MERGE + 1
    assert store.load(map(an_item, range(2000))) == answers(1000, *range(MERGE + 2))


def test_compact_leaves_a_few_files_alone(tmp_path: Path) -> None:
    store = CallStore(tmp_path)
    for number in range(MERGE - 1):
        store.add([an_entry(number)], f"run-{number}")
    store.compact()
    assert len(list(tmp_path.glob("*.parquet"))) == MERGE - 1


def test_load_misses_nothing_while_files_are_merged(tmp_path: Path) -> None:
    store = CallStore(tmp_path)
    for number in range(3 * MERGE):
        store.add([an_entry(number)], f"run-{number}")
    merging = threading.Thread(target=store.compact)
    merging.start()
    loads = [store.load(map(an_item, range(3 * MERGE)))]
    while merging.is_alive():
        loads.append(store.load(map(an_item, range(3 * MERGE))))
    assert all(found == answers(*range(3 * MERGE)) for found in loads)
