"""A local HTTPS server that misbehaves, and a cache of its own for every test.

PYTEST_DONT_REWRITE: a plugin that tests also import is else complained about.
"""

import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

trustme = pytest.importorskip("trustme")

CONTENT = bytes(range(256)) * 40_000  # 10 MB, more than sockets buffer
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Served:
    """One address, and how it behaves."""

    content: bytes = CONTENT
    status: int = 200
    ranges: bool = True
    etag: str = '"one"'
    modified: str = ""
    breaks: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    failures: int = 0  # answers of 503 before the first good one
    redirect: str = ""
    length: bool = True
    wrong_range: bool = False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        served = self.server.files.get(self.path)
        if served is None:
            self.answer(404, b"not here")
            return
        if served.redirect:
            self.answer(302, b"", Location=served.redirect)
            return
        if served.failures:
            served.failures -= 1
            self.answer(503, b"busy")
            return
        if served.status != 200:
            self.answer(served.status, b"no")
            return
        start, content = 0, served.content
        headers = {"ETag": served.etag, "Last-Modified": served.modified}
        wanted = self.headers.get("Range", "")
        same = self.headers.get("If-Range") in (served.etag, served.modified)
        if wanted and served.ranges and same:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.answer(416, b"")
                return
            shown = start + served.wrong_range
            headers["Content-Range"] = f"bytes {shown}-{len(content) - 1}/{len(content)}"
        rest = content[start:]
        cut = served.breaks.pop(0) if served.breaks else len(rest)
        self.answer(206 if start else 200, rest, cut, served.length, **headers)

    def answer(
        self, status: int, body: bytes, cut: int = 1 << 60, length: bool = True, **headers: str
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header(*("Content-Length", str(len(body))) if length else ("Connection", "close"))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body[:cut])
        self.close_connection = cut < len(body) or not length

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []

    def handle_error(self, *_: object) -> None:
        """Clients break off; that is the point."""

    def url(self, path: str) -> str:
        return f"https://localhost:{self.server_address[1]}{path}"

    def fetched(self, path: str) -> list[dict[str, str]]:
        return [headers for name, headers in self.requests if name == path]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    return path, context


@pytest.fixture
def server(
    authority: tuple[Path, ssl.SSLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path / "cache"))
    for name in ("POSE3D_OFFLINE", "POSE3D_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pose3d.weights.download.BACKOFF", 0.001)
    server = Server(authority[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
