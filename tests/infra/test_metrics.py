"""The metrics page: on loopback, while the block runs, rendered when asked for."""

import urllib.error
import urllib.request
from itertools import count
from pathlib import Path

import pytest

from infra.metrics import serve_metrics
from schemas.errors import SettingsError


def read(port: int | None, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as page:
        text: str = page.read().decode()
    return text


def test_the_page_is_rendered_anew_each_time() -> None:
    looks = count()
    with serve_metrics(0, lambda: f"gristmill_looks {next(looks)}\n") as port:
        assert [read(port), read(port)] == ["gristmill_looks 0\n", "gristmill_looks 1\n"]


def test_nothing_but_the_page_is_there_and_nothing_afterwards() -> None:
    with serve_metrics(0, lambda: "x 1\n") as port, pytest.raises(urllib.error.HTTPError, match="404"):
        read(port, "/etc/passwd")
    with pytest.raises(urllib.error.URLError):
        read(port)


def test_the_page_is_on_loopback_alone() -> None:
    with serve_metrics(0, lambda: "") as port:
        assert port is not None
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:] if line.split()[3] == "0A"]
        assert [one for one in listening if one.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_no_port_opens_nothing() -> None:
    with serve_metrics(None, lambda: "") as port:
        assert port is None


def test_a_port_that_is_taken_is_named() -> None:
    with serve_metrics(0, lambda: "") as port, pytest.raises(SettingsError, match=f"GRISTMILL_METRICS_PORT.*127.0.0.1:{port}"), serve_metrics(port, lambda: ""):
        pass
