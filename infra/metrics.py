"""Serves a run's figures to Prometheus: one page, on loopback alone, rendered when it is asked for, so that it costs nothing in between."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from schemas.errors import SettingsError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@contextmanager
def serve_metrics(port: int | None, page: Callable[[], str]) -> Iterator[int | None]:
    """Serve a page at `/metrics` of a port of loopback (0: any) until the block ends; give the port. No port: nothing is opened.

    Raises SettingsError where the port is taken.
    """
    if port is None:
        yield None
        return
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), _handler(page))
    except OSError as error:
        raise SettingsError(f"GRISTMILL_METRICS_PORT: can't listen at 127.0.0.1:{port}: {error.strerror}; name another, or 0 for any") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="gristmill-metrics", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(page: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Give the page."""
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            body = page().encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing: a line for each scrape would bury the rest."""

    return Handler
