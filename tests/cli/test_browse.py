import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tasks.release.publish import publish_release
from tests.tasks.release_builders import some_inputs


@pytest.mark.slow
def test_browse_tells_its_address_serves_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    publish_release(some_inputs(tmp_path))
    command = [sys.executable, "-m", "cli.main", "browse", "small", "--no-open", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        address = told.partition(" at ")[2].split()[0]
        assert "10 rows of sft" in httpx.get(address, timeout=60).text
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
