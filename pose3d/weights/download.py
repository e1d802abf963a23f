"""Fetch a file over HTTPS: resumed after a break, retried, never from anywhere but https.

Plain ``urllib``: it honours the environment's proxies and certificates, and one stream with a
``Range`` header needs no more.
"""

import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from pose3d import limits
from pose3d.errors import PoseError

Progress = Callable[[int, int | None], None]
"""Called with the bytes there are and the bytes there will be, if known."""

ATTEMPTS = 5  # without progress, before a mirror is given up
BACKOFF = 1.0  # seconds before the second attempt, doubled before every further one
TIMEOUT = 30.0  # seconds without a byte
PIECE = 1 << 20

_log = logging.getLogger(__name__)


class UnavailableError(Exception):
    """A mirror will not give the file; the message says why."""


class _TransientError(Exception):
    """Something that may pass."""


class _StayOnHttps(HTTPRedirectHandler):
    def http_error_302(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any
    ) -> HTTPResponse | None:
        target = urljoin(req.full_url, headers.get("location", ""))
        if not target.lower().startswith("https://"):
            raise UnavailableError(f"it redirects to {target[:100]}, which is not https")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


@dataclass(frozen=True)
class _Origin:
    """Which state of which address a partial file is from, and how long it will be."""

    url: str
    etag: str = ""
    modified: str = ""
    total: int | None = None

    @property
    def condition(self) -> str:
        """What ``If-Range`` can hold: a strong ETag, else the time; nothing if there is neither."""
        return self.modified if self.etag.startswith("W/") or not self.etag else self.etag


def download(url: str, part: Path, progress: Progress | None = None) -> None:
    """Fetch `url` into `part`, going on with what an earlier call left there.

    Beside it ``PART.json`` remembers the server's ETag and date, so that a file that has changed
    since is fetched from the start.

    Raises
    ------
    UnavailableError
        If the server refuses, or keeps failing.
    PoseError
        If the disk is full.
    """
    failures = 0
    origin = _remembered(part)
    if origin and origin.url == url and origin.total and origin.total == _size(part):
        return  # nothing but its check was left to do
    while True:
        before = _size(part)
        try:
            _attempt(url, part, progress)
            return
        except _TransientError as error:
            failures = failures + 1 if _size(part) <= before else 1
            if failures >= ATTEMPTS:
                raise UnavailableError(f"{error}, {failures} times") from None
            pause = BACKOFF * 2 ** (failures - 1)
            _log.info("%s: %s; trying again in %.3g s", url, error, pause)
            time.sleep(pause)


def fetch_text(url: str) -> str:
    """A small text, at most 4 kB of it.

    Raises
    ------
    UnavailableError
        If it cannot be had.
    """
    try:
        with _open(url, {}) as response:
            return _receive(response, 4096).decode("ascii", "replace")
    except _TransientError as error:
        raise UnavailableError(str(error)) from None


def _attempt(url: str, part: Path, progress: Progress | None) -> None:
    origin = _remembered(part)
    start = _size(part)
    if origin is None or origin.url != url or not origin.condition:
        start = 0
    headers = {}
    if start and origin:
        headers = {"Range": f"bytes={start}-", "If-Range": origin.condition}
    with _open(url, headers) as response:
        answer = response.headers
        if response.status == 206:
            total = _check_range(answer, start)
        else:
            start = 0
            length = answer.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
        if (total or 0) > limits.WEIGHTS_BYTES:
            raise UnavailableError(f"it is of {limits.in_words(total or 0)}: no weights are")
        fresh = _Origin(url, answer.get("ETag", ""), answer.get("Last-Modified", ""), total)
        if start and origin and fresh.condition not in ("", origin.condition):
            part.unlink()
            raise _TransientError("the file has changed on the server")
        _origin_file(part).write_text(json.dumps(asdict(fresh)))
        _check_space(part, (total or 0) - start)
        _copy(response, part, start, total, progress)


def _open(url: str, headers: dict[str, str]) -> HTTPResponse:
    request = Request(
        url, headers={"User-Agent": "pose3d", "Accept-Encoding": "identity"} | headers
    )
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        UnknownHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        _StayOnHttps(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    try:
        response: HTTPResponse = opener.open(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        answer = f"the server answers {error.code} {error.reason}"
        if error.code == 416 and "Range" in headers:
            return _open(url, {k: v for k, v in headers.items() if "Range" not in k})
        if error.code in (408, 429) or error.code >= 500:
            raise _TransientError(answer) from None
        raise UnavailableError(answer) from None
    except URLError as error:
        import ssl

        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise UnavailableError(
                f"its certificate is not trusted ({error.reason.reason})"
            ) from None
        raise _TransientError(f"no connection ({error.reason})") from None
    except (OSError, HTTPException) as error:
        raise _TransientError(f"no connection ({error})") from None
    if response.headers.get("Content-Encoding", "identity") != "identity":
        response.close()
        raise UnavailableError("the server compresses what it sends")
    return response


def _check_range(headers: Message, start: int) -> int | None:
    """The whole file's length, if the server sends the part that was asked for."""
    unit, _, rest = headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    if unit != "bytes" or span.partition("-")[0] != str(start):
        raise UnavailableError("the server sends another part of the file than it was asked for")
    return int(total) if total.isdigit() else None


def _copy(
    response: HTTPResponse, part: Path, start: int, total: int | None, progress: Progress | None
) -> None:
    done = start
    with open(part, "r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        if progress:
            progress(done, total)
        while piece := _receive(response, PIECE):
            file.write(piece)
            done += len(piece)
            if done > limits.WEIGHTS_BYTES or (total is not None and done > total):
                part.unlink()
                raise UnavailableError("the server sends more than it promised")
            if progress:
                progress(done, total)
    if total is not None and done < total:
        raise _TransientError(f"the connection broke after {done:,} of {total:,} bytes")


def _receive(response: HTTPResponse, count: int) -> bytes:
    try:
        return response.read(count)
    except (HTTPException, OSError) as error:
        raise _TransientError(f"the connection broke ({error})") from None


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise PoseError(
            f"{part.parent} has {free / 1e6:,.0f} MB free and {needed / 1e6:,.0f} MB are to come: "
            "make room, or set POSE3D_CACHE to another folder"
        )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _origin_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _remembered(part: Path) -> _Origin | None:
    try:
        return _Origin(**json.loads(_origin_file(part).read_text()))
    except (OSError, ValueError, TypeError):
        return None
