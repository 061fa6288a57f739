"""Requests, cards, settings and certificates for the engine tests."""

import asyncio
import datetime as dt
import selectors
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.settings import Address, Settings
from schemas.engine import EmbedRequest, GenerateRequest, RewardRequest, Sampling, as_messages
from schemas.model_card import ModelCard, load_card

Result = TypeVar("Result")

TALK = as_messages(("user", "What is 2 + 2?"), ("assistant", "It is 4."))


def some_settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **({"connect_s": 3.0, "deadline_s": 20.0} | given))


def a_card(role: str = "instruct") -> ModelCard:
    return load_card({"instruct": "rehearsal-instruct", "reward": "rehearsal-reward", "embedding": "rehearsal-embedding"}[role])


def ask(text: str = "What is 2 + 2?", *, seed: int = 7, **sampling: Any) -> GenerateRequest:
    return a_card().generate_request(as_messages(("user", text)), Sampling(**sampling), seed)


def grade(card: ModelCard | None = None) -> RewardRequest:
    return (card or a_card("reward")).reward_request(TALK)


def embed(text: str = "Rivers carry sand to the sea.") -> EmbedRequest:
    return a_card("embedding").embed_request(text)


def closed_port(wire: str) -> Address:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return Address(wire, "127.0.0.1", port, False, "/v1" if wire == "openai" else "/model")


@contextmanager
def silent_port() -> Iterator[int]:
    """A port at which connections are accepted (by the kernel) and nothing is ever said."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
    builder = builder.add_extension(names, critical=False).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain, form = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return certificate_file, key_file


class _VirtualSelector(selectors.DefaultSelector):
    """Never waits: moves the loop's clock on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits for something that never comes")
        if not ready and timeout:
            self.now += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run_in_virtual_time(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on a loop whose sleeps take no time."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(coroutine)
