"""What a search bears: a worker killed in mid-stage, a lost scheduler, and a corpus larger than a worker's memory."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.cluster import open_cluster
from infra.settings import Settings
from infra.storage import write_records
from schemas.errors import GristmillError
from schemas.recipe import DedupOptions
from schemas.records import Prompt
from tasks.dedup import find_copies
from tests.tasks.builders import a_prompt
from tests.tasks.dedup.found import Copy, copies_in
from tests.tasks.dedup.reference import edited, some_text

SHARDS, FAMILIES = 12, 40
WORDS = 2_000


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Shards of long texts, each of which has a near-copy in the next shard."""
    folder = tmp_path_factory.mktemp("shards")
    paths = [folder / f"part-{number:05}.parquet" for number in range(SHARDS)]
    for number, path in enumerate(paths):
        own = [some_text(number * FAMILIES + family, WORDS) for family in range(FAMILIES)]
        copied = [edited(some_text(((number - 1) % SHARDS) * FAMILIES + family, WORDS), 10, family) for family in range(FAMILIES)]
        write_records(path, [a_prompt(text) for text in own + copied], Prompt)
    return paths


@pytest.fixture(scope="module")
def undisturbed(shards: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Copy]:
    folder = tmp_path_factory.mktemp("undisturbed")
    with open_cluster(Settings(data=folder, dask_workers=2)) as client:
        find_copies(client, shards, folder / "work", DedupOptions(), kind="prompt")
    return copies_in(folder / "work", shards)


def when_sketched(work: Path, shards: int, act: Callable[[], object]) -> threading.Thread:
    """Do something as soon as so many partitions are sketched."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        while len(list(work.glob("scratch/rows-*.npy"))) < shards and time.monotonic() < deadline:
            time.sleep(0.002)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_worker_killed_in_mid_stage_changes_nothing(shards: list[Path], undisturbed: dict[str, Copy], tmp_path: Path) -> None:
    with open_cluster(Settings(data=tmp_path, dask_workers=2)) as client:
        victim = next(iter(client.run(os.getpid).values()))
        killer = when_sketched(tmp_path / "work", 2, lambda: os.kill(victim, signal.SIGKILL))
        find_copies(client, shards, tmp_path / "work", DedupOptions(), kind="prompt")
        killer.join()
        assert victim not in client.run(os.getpid).values()
    assert copies_in(tmp_path / "work", shards) == undisturbed


@pytest.mark.slow
def test_a_search_that_lost_its_scheduler_goes_on_where_it_stopped(shards: list[Path], undisturbed: dict[str, Copy], tmp_path: Path) -> None:
    with open_cluster(Settings(data=tmp_path, dask_workers=1)) as client:
        breaker = when_sketched(tmp_path / "work", 2, lambda: client.close(timeout=1))
        with pytest.raises(GristmillError, match="run the same command again"):
            find_copies(client, shards, tmp_path / "work", DedupOptions(), kind="prompt")
        breaker.join()
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").glob("scratch/rows-*.npy")}
    assert done
    with open_cluster(Settings(data=tmp_path, dask_workers=1)) as client:
        watcher = when_sketched(tmp_path / "work", 4, lambda: None)
        kept = threading.Event()

        def look() -> None:
            watcher.join()
            if all(path.exists() and path.stat().st_mtime_ns == before for path, before in done.items()):
                kept.set()

        looker = threading.Thread(target=look)
        looker.start()
        find_copies(client, shards, tmp_path / "work", DedupOptions(), kind="prompt")
        looker.join()
    assert copies_in(tmp_path / "work", shards) == undisturbed
    assert kept.is_set()


@pytest.mark.slow
def test_memory_is_bounded_by_partitions_not_by_the_corpus(tmp_path: Path) -> None:
    # 48 shards of 16 MB: 770 MB of text through a worker that may hold 450 MiB, of which code takes some 300.
    passages = [some_text(number, 100) for number in range(2_000)]
    paths = [tmp_path / f"part-{number:05}.parquet" for number in range(48)]
    for number, path in enumerate(paths):
        rng = random.Random(number)
        write_records(path, [a_prompt(" ".join(rng.choices(passages, k=200))) for _ in range(125)], Prompt)
    with open_cluster(Settings(data=tmp_path, dask_workers=1, dask_memory="450MiB")) as client:
        worker = next(iter(client.run(os.getpid).values()))
        find_copies(client, paths, tmp_path / "work", DedupOptions(), kind="prompt")
        assert list(client.run(os.getpid).values()) == [worker]
    assert copies_in(tmp_path / "work", paths) == {}


def test_find_copies_found_the_planted_ones(undisturbed: dict[str, Copy]) -> None:
    assert len(undisturbed) == SHARDS * FAMILIES
    assert min(copy.similarity for copy in undisturbed.values()) > 0.8
