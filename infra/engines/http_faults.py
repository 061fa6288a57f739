"""From HTTP statuses and httpx's exceptions to EngineFaults."""

import ssl
import time
from email.utils import parsedate_to_datetime

import httpx

from schemas.errors import EngineFault

_STATUS = {
    401: EngineFault.REFUSED,
    403: EngineFault.REFUSED,
    404: EngineFault.UNKNOWN_MODEL,
    408: EngineFault.DEADLINE,
    425: EngineFault.OVERLOADED,
    429: EngineFault.OVERLOADED,
    499: EngineFault.CANCELLED,
    503: EngineFault.OVERLOADED,
    504: EngineFault.DEADLINE,
}


def fault_of_status(status: int) -> EngineFault:
    """Name the fault behind an HTTP status that is not a success."""
    return _STATUS.get(status) or (EngineFault.UNHEALTHY if status >= 500 else EngineFault.BAD_REQUEST)


def fault_of_exception(error: httpx.HTTPError) -> EngineFault:
    """Name the fault behind a failure to speak HTTP at all."""
    if isinstance(error, httpx.ConnectError) and _from_tls(error):
        return EngineFault.REFUSED
    if isinstance(error, httpx.ConnectTimeout | httpx.NetworkError):
        return EngineFault.UNREACHABLE
    if isinstance(error, httpx.TimeoutException):
        return EngineFault.DEADLINE
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" in str(error):
        return EngineFault.UNREACHABLE
    return EngineFault.GARBLED


def retry_after_s(value: str | None, date: str | None = None) -> float | None:
    """Read a Retry-After header: seconds, or a date, seen from the answer's own Date if it has one: our clock may be days off. None for what is neither."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    when, now = _seconds(value), _seconds(date)
    return None if when is None else max(0.0, when - (time.time() if now is None else now))


def _seconds(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None


def _from_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        # "Want" only says that a handshake or an answer was still being waited for.
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
