"""The viewer over HTTP, for this computer alone.

The server listens on 127.0.0.1. Its address holds a random token, so that other users of the
computer and other pages in the browser cannot guess it; whatever lacks the token is refused, and
so is a request under another host name, by which a foreign page could reach it through DNS.
"""

import io
import mimetypes
import re
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pose3d.errors import PoseError
from pose3d.sequence import Recording
from pose3d.viewer.clip import has_sound, lag
from pose3d.viewer.page import Footage, write_into

HOST = "127.0.0.1"
VIDEO = "video"  # its address, from the page's
CHUNK = 1 << 20  # bytes
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class Server(ThreadingHTTPServer):
    """Serves one recording's page and video.

    Parameters
    ----------
    recording
        To show.
    video
        Its video, sent as it is; None for the scene alone.
    port
        0 takes a free one.

    Attributes
    ----------
    address : str
        What to open in a browser.

    Raises
    ------
    PoseError
        If the port is taken, or the recording's frames make no sense.
    """

    daemon_threads = True

    def __init__(self, recording: Recording, video: Path | None = None, port: int = 0) -> None:
        text = io.StringIO()
        write_into(text, recording, _film(video) if video else None)
        self.page = text.getvalue().encode()
        self.video = video
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise PoseError(f"port {port} cannot be had ({error.strerror}): give another") from None
        self.authority = f"{HOST}:{self.server_port}"
        self.address = f"http://{self.authority}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers hang up in the middle of a video; that is no news."""


def _film(video: Path) -> Footage:
    return Footage(video, begin=-lag(video), address=VIDEO, sound=has_sound(video))


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "pose3d"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        _, token, name = [*self.path.partition("?")[0].split("/", 2), "", ""][:3]
        known = secrets.compare_digest(token.encode(), self.server.token.encode())
        if not known or self.headers.get("Host") != self.server.authority:
            self._plain(403, "forbidden: open the address that pose3d printed")
        elif name == "":
            self._head(200, "text/html; charset=utf-8", len(self.server.page))
            if body:
                self.wfile.write(self.server.page)
        elif name == VIDEO and self.server.video is not None:
            self._send(self.server.video, body)
        else:
            self._plain(404, "not found")

    def _send(self, path: Path, body: bool) -> None:
        """The video or the part of it that is asked for: players seek by such requests."""
        if not path.is_file():
            self._plain(404, "the video is gone")
            return
        with open(path, "rb") as file:
            size = file.seek(0, io.SEEK_END)
            asked = RANGE.fullmatch(self.headers.get("Range", ""))
            begin, end = 0, size
            if asked and asked[1]:
                begin = int(asked[1])
                end = min(int(asked[2]) + 1, size) if asked[2] else size
            elif asked and asked[2]:
                begin = max(size - int(asked[2]), 0)
            if begin >= end:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            kind = mimetypes.guess_type(path.name)[0] or "video/mp4"
            more = {"Accept-Ranges": "bytes"}
            if asked:
                more["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
            self._head(206 if asked else 200, kind, end - begin, more)
            file.seek(begin)
            while body and begin < end and (chunk := file.read(min(CHUNK, end - begin))):
                self.wfile.write(chunk)
                begin += len(chunk)

    def _plain(self, status: int, words: str) -> None:
        content = f"{words}\n".encode()
        self._head(status, "text/plain; charset=utf-8", len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: int, kind: str, size: int, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(size),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            **(more or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class' name)
        """Say nothing: the token is in every line."""
