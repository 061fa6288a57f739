"""A lock is free once its holder let go, whoever else still has the file open."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.storage import hold_run, is_held

LETS_GO_BESIDE_A_FORK = """
import os, signal, sys
from pathlib import Path
from infra.journal import Journal
from infra.storage import hold_run
folder = Path(sys.argv[1])
with {hold}:
    child = os.fork()  # as subprocess does, which executes its program a moment later
    if not child:
        signal.pause()
try:
    with {hold}:
        print("free")
finally:
    os.kill(child, signal.SIGKILL)
"""


@pytest.mark.parametrize("hold", ["Journal.open(folder / 'a.journal')", "hold_run(folder, 'r')"], ids=["journal", "run"])
def test_lock_is_free_once_let_go_although_a_child_being_started_has_the_file_open(hold: str, tmp_path: Path) -> None:
    script = LETS_GO_BESIDE_A_FORK.format(hold=hold)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "free\n", done.stderr


LOOKS_FOREVER = """
import sys
from pathlib import Path
from infra.storage import is_held
print("looking", flush=True)
while True:
    is_held(Path(sys.argv[1]), "r")
"""


def test_a_run_is_taken_although_others_look_whether_it_is(tmp_path: Path) -> None:
    with hold_run(tmp_path, "r"):
        pass
    with subprocess.Popen([sys.executable, "-c", LOOKS_FOREVER, str(tmp_path)], stdout=subprocess.PIPE) as looker:
        assert looker.stdout is not None
        looker.stdout.readline()
        for _ in range(50):
            with hold_run(tmp_path, "r"):
                assert is_held(tmp_path, "r")
        looker.kill()
