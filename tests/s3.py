"""A real S3 server for tests: moto's, as a process of its own, reached over HTTP.

What it does not check: signatures and rights (any key is let in), the order and size of parts beyond 5 MiB's rule, and limits on the rate of requests.
"""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KEY, SECRET = "AKIAGRISTMILLTESTS", "a-secret-that-nobody-may-see"


@dataclass(frozen=True)
class S3:
    """A server that is up, with an empty bucket `bucket`."""

    url: str
    process: "subprocess.Popen[bytes]"

    @property
    def variables(self) -> Mapping[str, str]:
        """What a process needs in its environment."""
        return {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def serving_s3(log: Path, *, host: str = "127.0.0.1") -> Iterator[S3]:
    """Serve until the block is left."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)], stdout=output, stderr=output)
    try:
        url = f"http://{host}:{port}"
        make_bucket(url, process)
        yield S3(url, process)
    finally:
        process.kill()
        process.wait()


def make_bucket(url: str, process: "subprocess.Popen[bytes] | None" = None) -> None:
    """Wait for the server, and make the bucket of the tests."""
    until = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(f"{url}/bucket", method="PUT"), timeout=10).close()
            return
        except (OSError, urllib.error.URLError):
            if time.monotonic() > until or (process is not None and process.poll() is not None):
                raise
            time.sleep(0.1)
