"""Where to run: addresses, database, storage, Dask. From `GRISTMILL_*` and `.env`; never part of a run's fingerprint."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.shared import local_root, place
from schemas.engine import Deadlines
from schemas.errors import SettingsError
from schemas.recipe import explain

ROOT = Path(__file__).resolve().parent.parent
"""The checkout (or the folder of the installed packages)."""

_TRITON_PORT = 8001
_WIRES = {
    "grpc": ("triton", False),
    "grpcs": ("triton", True),
    "http": ("openai", False),
    "https": ("openai", True),
    "triton+http": ("triton_http", False),
    "triton+https": ("triton_http", True),
}
_SCHEMES = {wire: scheme for scheme, wire in _WIRES.items()}
_PORTS = {("triton", False): _TRITON_PORT, ("triton", True): _TRITON_PORT, ("triton_http", False): 8000}


def bracketed(host: str) -> str:
    """Write a host as URLs want it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, slots=True)
class Address:
    """One replica of a served model."""

    wire: str
    """Name of a module in infra/engines/: triton, triton_http or openai."""
    host: str
    port: int
    tls: bool
    path: str
    """Of a Triton address, the served model's name, empty for the default; of an OpenAI one, the base path (`/v1`)."""
    served_model: str = ""
    """Of an OpenAI address, the name in its model list, from the URL's fragment."""
    metrics_port: int | None = None
    """Where a Triton server tells its metrics; an OpenAI one tells them at its own port."""
    at: str = ""
    """One of the numeric addresses that the host's name stands for; empty: connect by name."""

    def __str__(self) -> str:
        """Write without anything secret."""
        return f"{_SCHEMES[(self.wire, self.tls)]}://{bracketed(self.host)}:{self.port}{self.path}"

    @property
    def connect_to(self) -> str:
        """The host to connect to, as URLs want it."""
        return bracketed(self.at or self.host)

    @property
    def url(self) -> str:
        """Write as GRISTMILL_ENGINES takes it."""
        metrics = f"?metrics={self.metrics_port}" if self.metrics_port else ""
        return f"{self}{metrics}" + (f"#{self.served_model}" if self.served_model else "")


class Settings(BaseSettings):
    """Settings of this machine and process."""

    model_config = SettingsConfigDict(env_prefix="GRISTMILL_", env_file=".env", extra="ignore", frozen=True, use_attribute_docstrings=True)

    data: Path = Path("data")
    """Folder of runs, calls and releases, or their place on an S3-compatible object store: `s3://bucket/prefix`.

    Its address and keys are those of every AWS tool, from the environment: `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …"""
    scratch: Path = Path("data")
    """Where the data are on an object store: this host's folder for what can't be there, as journals, logs and a SQLite ledger, and for copies of what is read.

    The journals of a run's unfinished shards are in it: a folder that outlives the machine's process, on a disk of its own."""
    database_url: str | None = Field(None, repr=False)  # it may hold a password, and Dask logs what a failed task was given
    """SQLAlchemy URL of the ledger; default: SQLite in the data folder."""
    engines: str = ""
    """Where models are served: `card=grpc://host:8001/ensemble` or `card=https://host/v1#served-name`, separated by blanks.

    A card named twice has two replicas. Rehearsal models need no address. A Triton whose metrics are not at port 8002 says where:
    `grpc://host:9001/ensemble?metrics=9002`."""
    cards: Path | None = None
    """A folder with further model cards."""
    read_paths: str = ""
    """Folders beside the recipe's own whose files a recipe may read, separated by `:`; links count as what they lead to."""
    appraisal: str = ""
    """What every run demands of its reward engine: `PAIRS`, appraised on that file of pairs, or `PAIRS>=0.8`, with at least that score."""
    api_key: SecretStr | None = None
    """Sent as a bearer token to every engine that `api_keys` gives no key of its own."""
    api_keys: SecretStr | None = None
    """Keys by host, `host=key` or `host:port=key` separated by blanks: what one provider is shown is no business of another."""
    api_header: str = Field("authorization", pattern=r"^[a-z0-9-]+$")
    """Header that carries the key: `authorization` (as a bearer token), or for example `x-api-key` (as it is)."""
    tls_ca: Path | None = None
    """Certificate authority for engines behind TLS; default: the system's."""
    tls_cert: Path | None = None
    """Client certificate for mutual TLS."""
    tls_key: Path | None = None
    """Its key."""
    prices: Path | None = None
    """A YAML table of what the engines cost, with a version: for costs in reports, and for a recipe's `budget: {money: …}`."""
    metrics_port: int | None = Field(None, ge=0, le=65535)
    """Port of loopback at which a run tells its figures to Prometheus, at `/metrics`; default: none. Another machine's Prometheus needs a proxy before it."""
    log_format: Literal["text", "json"] = "text"
    """How `logs/gristmill.log` is written: lines of text, or one JSON object a line."""
    trace_calls: float = Field(1.0, ge=0, le=1)
    """Of the engine calls, what share has a span of its own, where `OTEL_*` variables ask for traces; runs, stages and shards always have one."""
    connect_s: float = Field(5.0, gt=0)
    """Longest wait for a connection."""
    deadline_s: float = Field(600.0, gt=0)
    """Longest wait for one attempt at one call; waiting in our own queue is not counted."""
    first_token_s: float | None = Field(None, gt=0)
    """Longest wait for an answer's first token. Given this or the next, answers are streamed, by engines that can: OpenAI's API, decoupled Triton models."""
    between_tokens_s: float | None = Field(None, gt=0)
    """Longest wait from one token to the next."""
    shards_in_flight: int = Field(4, ge=1)
    """Shards worked on at once in one process."""
    dask_scheduler: str | None = None
    """Address of a Dask scheduler; default: a local cluster."""
    dask_workers: int = Field(2, ge=1)
    """Workers of the local cluster."""
    dask_memory: str = "2GiB"
    """Memory limit of one local worker."""
    triton_python: Path = ROOT / ".venv-triton" / "bin" / "python"
    """Python of the embedded Triton server's environment."""

    @field_validator("data", mode="before")
    @classmethod
    def _placed(cls, data: object) -> object:
        return place(data) if isinstance(data, str | Path) else data

    @field_validator("data", "scratch")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        # Dask workers and Prefect runs have working folders of their own.
        return folder.absolute()

    @property
    def local(self) -> Path:
        """The data folder's part that is on this host's own disk: all of it, unless the data are on an object store."""
        return local_root(self.data)

    @cached_property
    def readable(self) -> tuple[Path, ...]:
        """The folders of `read_paths`, resolved."""
        return tuple(Path(one).expanduser().resolve() for one in self.read_paths.split(os.pathsep) if one.strip())

    @property
    def deadlines(self) -> Deadlines:
        """The limits on one attempt."""
        return Deadlines(self.connect_s, self.deadline_s, self.first_token_s, self.between_tokens_s)

    @cached_property
    def ledger_url(self) -> str:
        """The ledger's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.local / 'ledger.db'}"

    def key_for(self, address: Address) -> str | None:
        """Find the key to show at an address. Raises SettingsError for keys that can't be read, showing none."""
        held = {}
        for number, entry in enumerate((self.api_keys.get_secret_value() if self.api_keys else "").split(), 1):
            host, equals, key = entry.partition("=")
            if not (host and equals and key):
                raise SettingsError(f"GRISTMILL_API_KEYS: entry {number} is not of the form host=key (it is not shown here, as it may hold a key)")
            held[host] = key
        common = self.api_key.get_secret_value().strip() if self.api_key else ""
        key = held.get(f"{address.host}:{address.port}") or held.get(address.host) or common
        if not (key.isascii() and key.isprintable()):  # the HTTP libraries would refuse it, and quote it
            raise SettingsError("GRISTMILL_API_KEY: the key holds characters that a header can't: is it the right one? (it is not shown here)")
        return key or None

    @cached_property
    def addresses(self) -> dict[str, tuple[Address, ...]]:
        """Model card id to its replicas. Raises SettingsError for what can't be read."""
        found: dict[str, tuple[Address, ...]] = {}
        for entry in self.engines.replace(",", " ").split():
            card, equals, url = entry.partition("=")
            if not equals:
                raise SettingsError(
                    f"GRISTMILL_ENGINES: {entry!r} is not of the form card=url, for example nemotron-4-340b-instruct=grpc://triton:8001/ensemble"
                )
            found[card] = (*found.get(card, ()), parse_address(url))
        return found


def read_settings(**overrides: object) -> Settings:
    """Read the settings; overrides (from command-line options) win. Raises SettingsError."""
    try:
        read = Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError(f"settings from GRISTMILL_* or .env are wrong:\n{explain(error, 'GRISTMILL')}") from error
    if "scratch" in read.model_fields_set:  # paths on an object store find it there, and so do the processes that this one starts
        os.environ["GRISTMILL_SCRATCH"] = str(read.scratch)
    return read


def parse_address(url: str) -> Address:
    """Read an engine's URL.

    grpc[s]://host[:port][/model][?metrics=port] for Triton, http[s]://host[:port][/v1][#model] for OpenAI-compatible servers, and triton+http[s]://host[:port][/model]
    for a reward model on a Triton that speaks HTTP alone.
    """
    parts = urlsplit(url)
    if parts.scheme not in _WIRES or not parts.hostname:
        raise SettingsError(f"GRISTMILL_ENGINES: can't read the address {url!r}: expected grpc://host:port/model or https://host:port/v1#model")
    if parts.username or parts.password:
        raise SettingsError("GRISTMILL_ENGINES: an address must not hold a password; set GRISTMILL_API_KEY instead")
    wire, tls = _WIRES[parts.scheme]
    try:
        port = parts.port or _PORTS.get((wire, tls)) or (443 if tls else 80)
    except ValueError as error:
        raise SettingsError(f"GRISTMILL_ENGINES: wrong port in {url!r}: {error}") from error
    return Address(wire, parts.hostname, port, tls, parts.path.rstrip("/"), parts.fragment, _metrics_port(url, wire, port))


def _metrics_port(url: str, wire: str, port: int) -> int | None:
    told = parse_qs(urlsplit(url).query, keep_blank_values=True)
    if told.keys() - {"metrics"} or (told and wire != "triton"):
        raise SettingsError(f"GRISTMILL_ENGINES: can't read {url!r}: after the question mark only metrics=PORT may stand, and only for grpc")
    if "metrics" not in told:
        # Triton's own defaults are 8001 for gRPC and 8002 for metrics.
        return _TRITON_PORT + 1 if wire == "triton" and port == _TRITON_PORT else None
    if not told["metrics"][0].isdigit():
        raise SettingsError(f"GRISTMILL_ENGINES: wrong metrics port in {url!r}: expected a number, for example grpc://host:9001/model?metrics=9002")
    return int(told["metrics"][0])
