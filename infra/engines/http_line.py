"""One HTTP connection pool to one address: TLS, key, keepalive, and every failure turned into one EngineError. Shared by the wires that speak HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property

import httpx

from infra.engines.access import access_to, tls_context
from infra.engines.http_faults import fault_of_exception, fault_of_status, retry_after_s
from infra.engines.http_pool import OneServerTransport
from infra.settings import Address, Settings, bracketed
from schemas.errors import EngineError, EngineFault

_GRACE_S = 2.0
"""How long past httpx's own limits asyncio's waits, so that httpx's better message wins."""

# A peer that went away without a word is found within about a minute, also while an answer is awaited.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]


class HttpLine:
    """The connections to one address. They belong to the event loop that first uses them."""

    def __init__(self, address: Address, settings: Settings, base_path: str) -> None:
        self._address = address
        self._settings = settings
        self._base_path = base_path
        self._access = access_to(address, settings)

    @cached_property
    def client(self) -> httpx.AsyncClient:
        """The connection pool."""
        # No proxies or netrc from the environment: calls go where settings say.
        transport = OneServerTransport(tls_context(self._settings) if self._address.tls else None, _KEEPALIVE)
        headers = self._access.headers | {"content-type": "application/json", "accept": "application/json", "host": self._host}
        return httpx.AsyncClient(base_url=self.base_url, headers=headers, transport=transport, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        if "client" in self.__dict__:
            await self.__dict__.pop("client").aclose()

    @asynccontextmanager
    async def one_error(self, seconds: float) -> AsyncIterator[None]:
        """Turn whatever fails inside into one EngineError that names the address and holds no secret."""
        try:
            async with asyncio.timeout(seconds + _GRACE_S):
                yield
            return
        except EngineError as error:
            failure, cause = self._access.failure(error.fault, str(error), retry_after_s=error.retry_after_s), error.__cause__
        except TimeoutError as error:
            failure, cause = self._access.failure(EngineFault.DEADLINE, f"no answer within {seconds:g} s"), error
        except httpx.HTTPError as error:
            fault = fault_of_exception(error)
            failure, cause = self._access.failure(fault, str(error) or _unnamed(error, seconds)), error
        raise failure from (None if cause is None or self._access.holds_key(cause) else cause)

    @property
    def _host(self) -> str:
        standard = self._address.port == (443 if self._address.tls else 80)
        return bracketed(self._address.host) + ("" if standard else f":{self._address.port}")

    @property
    def base_url(self) -> str:
        """What paths are under."""
        return f"{'https' if self._address.tls else 'http'}://{self._address.connect_to}:{self._address.port}{self._base_path}"


def refuse_failure(response: httpx.Response) -> None:
    """Raise EngineError for a status that is no success."""
    if response.is_success:
        return
    said, told = f"HTTP {response.status_code} {response.text[:500]}", response.headers
    raise EngineError(said, fault=fault_of_status(response.status_code), retry_after_s=retry_after_s(told.get("retry-after"), told.get("date")))


def _unnamed(error: httpx.HTTPError, seconds: float) -> str:
    return f"no answer within {seconds:g} s" if isinstance(error, httpx.TimeoutException) else type(error).__name__
