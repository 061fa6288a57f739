"""Every HTTP status and every httpx exception has its fault."""

import inspect
import ssl
import time
from email.utils import formatdate

import httpx
import pytest

from infra.engines.http_faults import fault_of_exception, fault_of_status, retry_after_s
from schemas.errors import EngineFault


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (301, EngineFault.BAD_REQUEST),
        (400, EngineFault.BAD_REQUEST),
        (401, EngineFault.REFUSED),
        (403, EngineFault.REFUSED),
        (404, EngineFault.UNKNOWN_MODEL),
        (408, EngineFault.DEADLINE),
        (413, EngineFault.BAD_REQUEST),
        (422, EngineFault.BAD_REQUEST),
        (429, EngineFault.OVERLOADED),
        (500, EngineFault.UNHEALTHY),
        (502, EngineFault.UNHEALTHY),
        (503, EngineFault.OVERLOADED),
        (504, EngineFault.DEADLINE),
        (529, EngineFault.UNHEALTHY),
    ],
)
def test_fault_of_status_names_the_fault(status: int, fault: EngineFault) -> None:
    assert fault_of_status(status) is fault


def test_fault_of_exception_knows_every_transport_error() -> None:
    kinds = [kind for _, kind in inspect.getmembers(httpx, inspect.isclass) if issubclass(kind, httpx.TransportError)]
    found = {kind.__name__: fault_of_exception(kind("x")) for kind in kinds}
    assert found["ConnectError"] is found["ConnectTimeout"] is found["ReadError"] is EngineFault.UNREACHABLE
    assert found["ReadTimeout"] is found["WriteTimeout"] is found["PoolTimeout"] is EngineFault.DEADLINE
    assert found["RemoteProtocolError"] is EngineFault.GARBLED


def test_fault_of_exception_finds_tls_behind_a_connect_error() -> None:
    error = httpx.ConnectError("failed")
    error.__cause__ = OSError("wrapped")
    error.__cause__.__cause__ = ssl.SSLCertVerificationError("self-signed")
    assert fault_of_exception(error) is EngineFault.REFUSED


def test_fault_of_exception_takes_a_hang_up_for_unreachable() -> None:
    assert fault_of_exception(httpx.RemoteProtocolError("Server disconnected without sending a response.")) is EngineFault.UNREACHABLE


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("", None), ("7", 7.0), ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0), ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0), ("soon", None), ("-3", None)],
)
def test_retry_after_reads_seconds_and_dates(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, "Thu, 01 Jan 1970 00:00:10 GMT") == seconds


def test_retry_after_goes_by_our_clock_where_the_server_tells_no_time() -> None:
    assert retry_after_s(formatdate(time.time() + 90, usegmt=True)) == pytest.approx(90, abs=60)
