"""From what gRPC and Triton say of a failure to an EngineFault: one pure function, and the two exception types it is fed from.

A unary call fails by InferenceServerException, whose status is a string like `StatusCode.UNAVAILABLE`; a stream by a raw AioRpcError;
a failure that the server wrote into the stream itself has no status at all.
"""

import re

import grpc
from tritonclient.utils import InferenceServerException

from schemas.errors import EngineFault

# Triton gives one status to very different things (UNAVAILABLE above all), so its words are read first.
_WORDS: tuple[tuple[re.Pattern[str], EngineFault], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), fault)
    for pattern, fault in (
        (r"exceeds maximum queue size|too many (pending )?requests", EngineFault.OVERLOADED),
        (r"stub process .*not healthy|failed to (restart|initialize) stub", EngineFault.UNHEALTHY),
        (r"unknown model|no available versions", EngineFault.UNKNOWN_MODEL),
        (r"handshake|ssl_error|certificate|peer name .* is not in|tsi_", EngineFault.REFUSED),
        (r"shutting down|stopped accepting", EngineFault.CANCELLED),
        (r"message larger than max", EngineFault.BAD_REQUEST),
        (r"deserializing response", EngineFault.GARBLED),
    )
)

_STATUS = {
    "OK": EngineFault.GARBLED,
    "CANCELLED": EngineFault.CANCELLED,
    "UNKNOWN": EngineFault.UNHEALTHY,
    "INVALID_ARGUMENT": EngineFault.BAD_REQUEST,
    "DEADLINE_EXCEEDED": EngineFault.DEADLINE,
    "NOT_FOUND": EngineFault.UNKNOWN_MODEL,
    "ALREADY_EXISTS": EngineFault.BAD_REQUEST,
    "PERMISSION_DENIED": EngineFault.REFUSED,
    "RESOURCE_EXHAUSTED": EngineFault.OVERLOADED,
    "FAILED_PRECONDITION": EngineFault.BAD_REQUEST,
    "ABORTED": EngineFault.UNHEALTHY,
    "OUT_OF_RANGE": EngineFault.BAD_REQUEST,
    "UNIMPLEMENTED": EngineFault.UNSUPPORTED,
    "INTERNAL": EngineFault.UNHEALTHY,
    "UNAVAILABLE": EngineFault.UNREACHABLE,
    "DATA_LOSS": EngineFault.GARBLED,
    "UNAUTHENTICATED": EngineFault.REFUSED,
}


def fault_of(status: str | None, message: str) -> EngineFault:
    """Name the fault behind a gRPC status (`UNAVAILABLE`; None where the server gave none) and its message."""
    for words, fault in _WORDS:
        if words.search(message):
            return fault
    return _STATUS.get(status or "", EngineFault.UNHEALTHY)


def status_and_message(error: Exception) -> tuple[str | None, str]:
    """Read either kind of exception."""
    if isinstance(error, InferenceServerException):
        status = error.status()
        return (status.removeprefix("StatusCode.") if status else None), error.message() or ""
    if isinstance(error, grpc.RpcError):
        return error.code().name, error.details() or ""
    return None, str(error)
