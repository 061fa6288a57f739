"""The browser's server: on loopback, read-only, answering no page but our own.

A page elsewhere could ask a server on this machine for rows, or have a name of its own lead here (DNS rebinding): so only addresses of this machine are
taken as the host asked for, and no page may frame, script or fetch beyond what is served here.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from schemas.errors import GristmillError, NotFoundError, SettingsError
from tasks.browse.asking import read_question
from tasks.browse.library import Library
from tasks.browse.pages import FOLDER, fault_page, list_page, row_page

_FILES = {"/browse.css": "text/css", "/browse.js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_HOSTS = ("127.0.0.1", "localhost", "[::1]")


class BrowseServer(ThreadingHTTPServer):
    """Serves one release."""

    daemon_threads = True

    def __init__(self, release: Path, port: int = 0) -> None:
        """Open a release and a port on loopback; 0 takes a free one. Raises NotFoundError, SettingsError."""
        self.library = Library(release)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise SettingsError(f"can't listen on port {port} of this machine: {error.strerror}; give another --port, or none for a free one") from error

    @property
    def url(self) -> str:
        """The first page's address."""
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: BrowseServer
    server_version = "gristmill"
    sys_version = ""

    def do_GET(self) -> None:
        if self.headers.get("Host", "").rpartition(":")[0] not in _HOSTS:
            self._send(421, "text/plain", b"this server answers to 127.0.0.1 and localhost only\n")
            return
        parts = urlsplit(self.path)
        if parts.path in _FILES:
            self._send(200, _FILES[parts.path], (FOLDER / parts.path[1:]).read_bytes())
            return
        try:
            code, page = self._page([unquote(one) for one in parts.path.split("/") if one], dict(parse_qsl(parts.query)))
        except NotFoundError as error:
            code, page = 404, fault_page(self.server.library, str(error))
        except GristmillError as error:
            code, page = 500, fault_page(self.server.library, str(error))
        self._send(code, "text/html", page.encode(errors="replace"))

    def _page(self, path: list[str], told: dict[str, str]) -> tuple[int, str]:
        library = self.server.library
        data_set = path[0] if path else next(iter(library.data_sets), "")
        if data_set not in library.data_sets:
            raise NotFoundError(f"no data set {data_set!r} in this release: there are {', '.join(library.data_sets) or 'none'}")
        if len(path) > 1:
            shown = library.show(data_set, path[1])
            if shown is None:
                raise NotFoundError(f"no row {path[1]!r} in {data_set}")
            return 200, row_page(library, shown)
        question = read_question(data_set, told)
        return 200, list_page(library, question, *library.find(question))

    def _send(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: the terminal is the user's."""
