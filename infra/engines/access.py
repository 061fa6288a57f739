"""What an engine asks of whoever calls: a bearer key and TLS files, from settings; and how they stay out of every message."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from infra.settings import Address, Settings
from schemas.errors import EngineError, EngineFault, SettingsError


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """Credentials for one address. Its repr shows none of them."""

    address: Address
    key: str | None
    header: str = "authorization"

    def __repr__(self) -> str:
        return f"Access({self.address})"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every call, names in lower case as gRPC wants them."""
        if not self.key:
            return {}
        return {self.header: f"Bearer {self.key}" if self.header == "authorization" else self.key}

    def hide(self, text: str) -> str:
        """Take the key out of a text: servers like to quote a wrong one."""
        return text.replace(self.key, "***") if self.key else text

    def holds_key(self, error: BaseException) -> bool:
        """Say whether an error's own text would give the key away."""
        return self.key is not None and self.key in f"{error!s} {error!r}"

    def failure(self, fault: EngineFault, said: str, *, retry_after_s: float | None = None) -> EngineError:
        """Make the error for this address from what the server or its library said."""
        hint = _HINTS.get(fault, "").format(scheme=str(self.address).partition(":")[0])
        return EngineError(f"{self.address}: {self.hide(said).strip() or fault.value}{hint}", fault=fault, retry_after_s=retry_after_s)


_HINTS = {
    EngineFault.UNREACHABLE: " (is the server up there, and does it want {scheme}?)",
    EngineFault.REFUSED: " (check GRISTMILL_API_KEY, GRISTMILL_TLS_CA and whether the server wants {scheme})",
    EngineFault.UNKNOWN_MODEL: " (check the model's name at the end of the address in GRISTMILL_ENGINES)",
}


def access_to(address: Address, settings: Settings) -> Access:
    """Read the credentials for an address."""
    return Access(address, settings.key_for(address), settings.api_header)


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Make the TLS side of a client. Raises SettingsError naming what of authority, certificate and key can't be used."""
    authority = read_tls_file(settings.tls_ca, "tls_ca")
    if settings.tls_key is not None and settings.tls_cert is None:
        raise SettingsError("GRISTMILL_TLS_KEY is set without GRISTMILL_TLS_CERT: give the certificate that goes with the key, or neither")
    try:
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if settings.tls_cert is not None:
            context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ValueError) as error:
        raise SettingsError(f"GRISTMILL_TLS_CA, _CERT or _KEY can't be used: {error}") from error
    return context


def grpc_tls(settings: Settings) -> dict[str, bytes | None]:
    """Read what gRPC takes for TLS. It is tried with Python's own TLS first: gRPC aborts the whole process over a key without a certificate."""
    tls_context(settings)
    certificate = read_tls_file(settings.tls_cert, "tls_cert")
    return {
        "root_certificates": read_tls_file(settings.tls_ca, "tls_ca"),
        # One file may hold both, as Python's own TLS has it.
        "private_key": read_tls_file(settings.tls_key, "tls_key") or certificate,
        "certificate_chain": certificate,
    }


def read_tls_file(path: Path | None, name: str) -> bytes | None:
    """Read a certificate or key. Raises SettingsError naming the setting."""
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"GRISTMILL_{name.upper()}: can't read {path}: {error.strerror}") from error
