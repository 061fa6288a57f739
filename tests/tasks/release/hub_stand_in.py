"""The Hub's HTTP API, as far as pushing needs it: repositories, preupload, LFS, commits and tags. Refuses who shows no token."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_planted"


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.commits: list[dict[str, bytes]] = []
        self.tags: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/api/validate-yaml":
            self._send(200, {"errors": [], "warnings": []})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = [{"path": one["path"], "uploadMode": "lfs" if one["path"].endswith(".parquet") else "regular", "shouldIgnore": False} for one in files]
            self._send(200, {"files": modes})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            uploads = [{**one, "actions": {"upload": {"href": f"{self.server.url}/lfs/{one['oid']}"}}} for one in objects]
            self._send(200, {"transfer": "basic", "objects": uploads})
        elif "/commit/" in self.path:
            self._commit([json.loads(line) for line in body.splitlines()])
        elif "/tag/" in self.path:
            self._tag(json.loads(body)["tag"])
        else:
            self._send(404, {"error": f"no {self.path} here"})

    def do_PUT(self) -> None:
        content, oid = self._body(), self.path.rpartition("/")[2]
        sound = hashlib.sha256(content).hexdigest() == oid
        if sound:
            self.server.objects[oid] = content
        self._send(200 if sound else 422, {})

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.server.repositories:
            self._send(409, {"error": "You already created this dataset repo", "url": f"{self.server.url}/datasets/{name}"})
            return
        self.server.repositories[name] = asked
        self._send(200, {"url": f"{self.server.url}/datasets/{name}"})

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        plain = {one["value"]["path"]: base64.b64decode(one["value"]["content"]) for one in lines if one["key"] == "file"}
        large = {one["value"]["path"]: self.server.objects[one["value"]["oid"]] for one in lines if one["key"] == "lfsFile"}
        self.server.commits.append(plain | large)
        oid = f"{len(self.server.commits):040x}"
        self._send(200, {"success": True, "commitOid": oid, "commitUrl": f"{self.server.url}/datasets/o/n/commit/{oid}", "hookOutput": ""})

    def _tag(self, tag: str) -> None:
        if tag in self.server.tags:
            self._send(409, {"error": "Tag reference exists already"})
            return
        self.server.tags.append(tag)
        self._send(200, {})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, code: int, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def serve_hub() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
