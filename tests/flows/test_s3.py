"""A run whose data are on S3 goes on wherever it is started again, asks for little twice, and publishes the file system's bytes."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from infra.calls import CallStore
from infra.shared import place
from tasks.release.manifest import verify_release
from tests.harness import Factory, data_files, served_keys
from tests.postgres import running_cluster
from tests.s3 import SECRET

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.postgres, pytest.mark.faults, pytest.mark.timeout(900)]

DIES = """
import os, signal, sys
from infra import handover, {module} as place
handover.WINDOW_S = 0.2
real, left = place.{name}, int(sys.argv.pop(1))
def deadly(*arguments, **more):
    global left
    if {counts}:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **more)
place.{name} = deadly
from cli.main import main
main()
"""
MID_RUN = DIES.format(module="storage", name="put", counts="'/responses/part-' in str(arguments[1])")
MID_RELEASE = DIES.format(module="trees", name="put", counts="'/releases/' in str(arguments[1])")


@pytest.fixture
def ledger_url() -> Iterator[str]:
    with running_cluster() as cluster:
        with psycopg.connect(f"{cluster.url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE ledger")
        yield f"{cluster.url}/ledger"


def a_host(factory: Factory, bucket: Path, scratch: Path, s3: Mapping[str, str], ledger_url: str) -> Factory:
    settings = {**s3, "GRISTMILL_SCRATCH": str(scratch), "GRISTMILL_DATABASE_URL": ledger_url}
    # `data` is a Path, which `place` knows for an object store's.
    return replace(factory, data=bucket, settings=settings)


def killed(host: Factory, code: str, after: int, *arguments: str) -> int:
    words = [sys.executable, "-c", code, str(after), *arguments]
    return subprocess.run(words, env=host.environment(), check=False, capture_output=True).returncode


def test_a_run_on_s3_killed_on_two_hosts_is_finished_by_a_third(
    factory: Factory, small_recipe: Path, bucket: Path, s3: Mapping[str, str], ledger_url: str, tmp_path: Path, call_log: Path
) -> None:
    first, second, third = (a_host(factory, bucket, tmp_path / name, s3, ledger_url) for name in ("host-1", "host-2", "host-3"))
    asked_before = len(served_keys(call_log))
    assert killed(first, MID_RUN, 2, "run", str(small_recipe), "--quiet") == -signal.SIGKILL
    assert killed(second, MID_RELEASE, 3, "run", str(small_recipe), "--quiet") == -signal.SIGKILL
    assert json.loads(third.call("releases", "list", "--json").out) == []
    ended = third.call("run", str(small_recipe), "--json", "--quiet")
    assert ended.code == 0, ended.err
    asked = served_keys(call_log)[asked_before:]
    release = place(ended.json["path"])
    assert verify_release(release) == []
    assert ended.json["release"] == "small/v1"

    local = factory.call("run", str(small_recipe), "--json", "--quiet")
    assert data_files(release) == data_files(Path(local.json["path"])) != {}
    # Asked again is what the first host had of unfinished shards in the last window of their hand-over (here 0.2 s, usually 30), and in the upload then
    # under way; nothing else.
    assert len(asked) - len(set(asked)) < len(set(asked)) / 2
    stored = CallStore(bucket / "calls")
    assert len(list(stored.root.glob("*.parquet"))) > 0
    for command in (("releases", "verify", "small"), ("sample", "small", "-n", "1"), ("diff", "small", "small"), ("releases", "show", "small/v1")):
        looked = third.call(*command)
        assert looked.code == 0, looked.err
        assert SECRET not in looked.out + looked.err
    told = [path for folder in tmp_path.glob("host-*") for path in folder.rglob("*.log")]
    assert told
    assert not [path for path in told if SECRET in path.read_text(encoding="utf-8", errors="replace")]
    assert SECRET not in json.dumps(ended.json)
