"""The table at which this process meets the others that use an endpoint: the ledger's, opened when it is first needed."""

import socket
import threading
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import Address
from schemas.engine import Seat

if TYPE_CHECKING:
    from infra.ledger.seats import Seats


class Table:
    """A ledger's table by its URL. Where there is no such ledger yet, nobody else is there."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._seats: Seats | None = None

    def meet(self, endpoint: str, mine: Seat) -> Sequence[Seat]:
        """See infra.ledger.seats. Raises LedgerError."""
        with self._lock:
            if self._seats is None:
                if not ledger_is_here(self._url):
                    return [mine]
                from infra.ledger.seats import Seats

                self._seats = Seats(self._url)
        return self._seats.meet(endpoint, mine)

    def close(self) -> None:
        """Let the ledger go."""
        with self._lock:
            if self._seats is not None:
                self._seats.close()
                self._seats = None


def ledger_is_here(url: str) -> bool:
    """Say whether a ledger can be opened without making one: a worker on another host must not begin a file of its own."""
    scheme, _, rest = url.partition("://")
    return not scheme.startswith("sqlite") or Path(rest.removeprefix("/").partition("?")[0]).exists()


def name_of(address: Address) -> str:
    """Name an endpoint alike in all processes that use it; one on loopback is each host's own."""
    name = f"{address.at or address.host}:{address.port}{address.path}#{address.served_model}"
    return f"{socket.gethostname()}/{name}" if _is_loopback(address) else name


def _is_loopback(address: Address) -> bool:
    try:
        return ip_address(address.at or address.host).is_loopback
    except ValueError:
        return address.host == "localhost"
