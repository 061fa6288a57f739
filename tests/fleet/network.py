"""Several hosts on one machine: network namespaces with addresses, names and disks of their own, on one bridge, whose cables can be pulled out.

A host's processes see one another by name, as in docker-compose.yml; of the file system they share what every host has installed, and see no other host's disk.
All namespaces have names of one beginning, by which a later run sweeps what a killed one left.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PREFIX = "gmfleet-"
SWITCH = f"{PREFIX}switch"
NET = "198.18.77"
"""Of the range kept for tests of networks (RFC 2544): no machine's own."""

# In a mount namespace of its own, which `ip netns exec` makes: the host's disk in its place, and nobody else's.
_ON_ITS_DISK = 'mount --bind "$1" "$2" && mount -t tmpfs -o size=64k none "$3" && shift 3 && exec "$@"'


@dataclass
class Host:
    """A namespace with its processes."""

    name: str
    number: int
    folder: Path
    """Of the whole network."""
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{NET}.{self.number}"

    @property
    def space(self) -> str:
        return PREFIX + self.name

    @property
    def disk(self) -> Path:
        """Where its processes find its disk; each host has another one there."""
        return self.folder / "disk"

    @property
    def own(self) -> Path:
        """Its disk, seen from outside."""
        return self.folder / "disks" / self.name

    def command(self, *words: str) -> list[str]:
        """Wrap a command so that it runs on this host."""
        shell = ["sh", "-euc", _ON_ITS_DISK, "sh", str(self.own), str(self.disk), str(self.folder / "disks")]
        return ["ip", "netns", "exec", self.space, *shell, *words]

    def start(self, log: str, *words: str, env: Mapping[str, str], **more: Any) -> "subprocess.Popen[bytes]":
        """Start a process; what it says is in the network's `logs`."""
        with (self.folder / "logs" / f"{self.name}-{log}.log").open("ab") as output:
            options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, "start_new_session": True, "cwd": ROOT}
            process = subprocess.Popen(self.command(*words), env={**_environment(), **env}, **options, **more)
        self.processes.append(process)
        return process

    def pull_out(self) -> None:
        """Pull its network cable out: nothing is closed, nothing arrives any more."""
        _ip("-n", SWITCH, "link", "set", f"port{self.number}", "down")

    def plug_in(self) -> None:
        _ip("-n", SWITCH, "link", "set", f"port{self.number}", "up")


@dataclass(frozen=True)
class Network:
    """The hosts by name."""

    hosts: Mapping[str, Host]
    folder: Path

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def explain(self) -> str:
        """Give the end of every log."""
        return "\n".join(f"--- {log.name}\n{_tail(log)}" for log in sorted((self.folder / "logs").glob("*.log")))


@contextmanager
def laid_out(numbers: Mapping[str, int], aliases: Mapping[str, Sequence[str]]) -> Iterator[Network]:
    """Lay out a network of hosts and take it away again, with everything that runs in it; `aliases` are names of several hosts.

    Skips the test where that is not allowed, or `ip` is not installed.
    """
    if shutil.which("ip") is None:
        pytest.skip("NO FLEET HERE: `ip` is not installed (package iproute2)")
    with _alone():
        sweep()
        tried = subprocess.run(["ip", "netns", "add", SWITCH], capture_output=True, text=True)
        if tried.returncode:
            pytest.skip(f"NO FLEET HERE: network namespaces are not allowed: {tried.stderr.strip()}")
        folder = Path(tempfile.mkdtemp(prefix="gristmill-fleet-"))
        network = Network({name: Host(name, number, folder) for name, number in numbers.items()}, folder)
        try:
            folder.chmod(0o755)
            _lay_out(network, aliases)
            yield network
        finally:
            sweep()
            for host in network.hosts.values():
                for process in host.processes:
                    process.wait()
            if os.environ.get("GRISTMILL_KEEP_FLEET"):
                print(f"kept: {folder}")
            else:
                shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """End whatever runs in namespaces of our names, and remove them."""
    names = [line.split()[0] for line in _ip("netns", "list").splitlines() if line.startswith(PREFIX)]
    until = time.monotonic() + 20
    for sent in (signal.SIGTERM, signal.SIGKILL):
        while (pids := [int(pid) for name in names for pid in _ip("netns", "pids", name).split()]) and time.monotonic() < until:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, sent)
            time.sleep(0.5 if sent == signal.SIGTERM else 0.1)
            if sent == signal.SIGTERM:
                break
    for name in names:
        _ip("netns", "delete", name)
        shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)


def _lay_out(network: Network, aliases: Mapping[str, Sequence[str]]) -> None:
    hosts = network.hosts
    for name in ("disk", "disks", "logs"):
        (network.folder / name).mkdir()
    _ip("-n", SWITCH, "link", "add", "bridge", "type", "bridge")
    _ip("-n", SWITCH, "link", "set", "bridge", "up")
    lines = ["127.0.0.1 localhost", *(f"{host.address} {host.name}" for host in hosts.values())]
    lines += [f"{hosts[one].address} {alias}" for alias, names in aliases.items() for one in names]
    for host in hosts.values():
        _plug(host, "\n".join(lines) + "\n")
    # This machine, as the operator's: he reads what the fleet says and makes.
    _ip("link", "add", f"{PREFIX}op", "type", "veth", "peer", "name", "port1", "netns", SWITCH)
    _ip("-n", SWITCH, "link", "set", "port1", "master", "bridge", "up")
    _ip("address", "add", f"{NET}.1/24", "dev", f"{PREFIX}op")
    _ip("link", "set", f"{PREFIX}op", "up")


def _plug(host: Host, names: str) -> None:
    host.own.mkdir()
    etc = Path("/etc/netns") / host.space  # `ip netns exec` puts these files over /etc's
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "hosts").write_text(names, encoding="utf-8")
    _ip("netns", "add", host.space)
    _ip("-n", host.space, "link", "set", "lo", "up")
    _ip("-n", SWITCH, "link", "add", f"port{host.number}", "type", "veth", "peer", "name", "eth0", "netns", host.space)
    _ip("-n", SWITCH, "link", "set", f"port{host.number}", "master", "bridge", "up")
    _ip("-n", host.space, "address", "add", f"{host.address}/24", "dev", "eth0")
    _ip("-n", host.space, "link", "set", "eth0", "up")


@contextmanager
def _alone() -> Iterator[IO[bytes]]:
    """Let one fleet stand on a machine at a time: their names are the same."""
    with open(Path(tempfile.gettempdir()) / "gristmill-fleet.lock", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("GRISTMILL_", "PREFECT_", "AWS_", "PG", "PYTEST", "COV"))}


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-3000:]
