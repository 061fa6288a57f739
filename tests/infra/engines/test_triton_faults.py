"""Every gRPC status, and Triton's own words, have their fault."""

import grpc
import pytest
from tritonclient.utils import InferenceServerException

from infra.engines.triton_faults import fault_of, status_and_message
from schemas.errors import EngineFault

EXPECTED = {
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


@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
def test_fault_of_maps_every_status(code: grpc.StatusCode) -> None:
    assert fault_of(code.name, "") is EXPECTED[code.name]


@pytest.mark.parametrize(
    ("status", "message", "fault"),
    [
        ("UNAVAILABLE", "[request id: 7] Exceeds maximum queue size", EngineFault.OVERLOADED),
        ("UNAVAILABLE", "Stub process 'reward_0_0' is not healthy.", EngineFault.UNHEALTHY),
        ("INTERNAL", "Failed to process the request(s) for model 'm', message: Stub process 'm' is not healthy.", EngineFault.UNHEALTHY),
        ("UNAVAILABLE", "Request for unknown model: 'x' is not found", EngineFault.UNKNOWN_MODEL),
        ("UNAVAILABLE", "failed to connect to all addresses; last error: Ssl handshake failed: SSL_ERROR_SSL", EngineFault.REFUSED),
        ("UNAVAILABLE", "GRPC server is shutting down and has stopped accepting new requests.", EngineFault.CANCELLED),
        ("RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)", EngineFault.BAD_REQUEST),
        ("INTERNAL", "Exception deserializing response!", EngineFault.GARBLED),
        (None, "unexpected end", EngineFault.UNHEALTHY),
    ],
)
def test_fault_of_reads_the_words_first(status: str | None, message: str, fault: EngineFault) -> None:
    assert fault_of(status, message) is fault


def test_status_and_message_reads_a_client_exception() -> None:
    assert status_and_message(InferenceServerException("no such thing", "StatusCode.NOT_FOUND")) == ("NOT_FOUND", "no such thing")
    assert status_and_message(InferenceServerException("from a stream")) == (None, "from a stream")
