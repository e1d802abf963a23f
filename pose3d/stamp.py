"""What made a picture, a video or a page, inside of its file, where nobody sees it.

All four kinds of files have room for what players and browsers pass over: a ``uuid`` box at the end
of an MP4 (ISO 14496-12, 11.1), a comment before the end of a GIF, a ``tEXt`` chunk before that of a
PNG, a comment in HTML. There goes a mark and a JSON object behind it.
"""

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

MARK = b"pose3d made this: "
REACH = 1 << 16  # bytes at the end of a file that are searched for the mark
OURS = bytes.fromhex("9d1f6a5c3b7e4f0e8a52c04d3e6b7a11")  # of our box among all MP4's: random
TRAILER = b";"  # the end of a GIF
END = b"\x00\x00\x00\x00IEND\xaeB`\x82"  # and of a PNG
BLOCK = 255  # bytes of a GIF's comment between its lengths


def stamp(path: Path, facts: dict[str, Any]) -> None:
    """Put facts into a finished file of one of the four kinds, by its suffix.

    Parameters
    ----------
    path
        ``.mp4``, ``.gif``, ``.png`` or ``.html``; nothing is written into anything else, nor into
        what does not end as such a file does.
    facts
        JSON-able, a few hundred bytes.
    """
    packed = _PACKED.get(path.suffix.lower())
    if packed is None:
        return
    end, pack = packed
    text = json.dumps(facts, allow_nan=False, separators=(",", ":"))
    # Nothing may end HTML's comment.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("--", "-\\u002d")
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - len(end), 0))
        if file.read() == end:
            file.seek(size - len(end))
            file.write(pack(MARK + text.encode()) + end)


def stamped(path: Path) -> dict[str, Any] | None:
    """The facts in a file; None if there are none.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        tail = _tail(file)
    at = tail.rfind(MARK)
    if at < 0:
        return None
    text = _joined(tail, at - 1) if path.suffix.lower() == ".gif" else tail[at:]
    try:
        facts, _ = json.JSONDecoder().raw_decode(text[len(MARK) :].decode("latin-1"))
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def _tail(file: BinaryIO) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - REACH, 0))
    return file.read(REACH)


def _box(text: bytes) -> bytes:
    return (24 + len(text)).to_bytes(4, "big") + b"uuid" + OURS + text


def _comment(text: bytes) -> bytes:
    blocks = [text[at : at + BLOCK] for at in range(0, len(text), BLOCK)]
    return b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\x00"


def _joined(tail: bytes, at: int) -> bytes:
    """A GIF's comment whose first length is at `at`."""
    blocks = []
    while 0 <= at < len(tail) and (length := tail[at]):
        blocks.append(tail[at + 1 : at + 1 + length])
        at += 1 + length
    return b"".join(blocks)


def _chunk(text: bytes) -> bytes:
    body = b"tEXtComment\x00" + text
    return (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def _remark(text: bytes) -> bytes:
    return b"<!-- " + text + b" -->\n"


# How a file ends, and how a text is put before that.
_PACKED: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    ".mp4": (b"", _box),
    ".gif": (TRAILER, _comment),
    ".png": (END, _chunk),
    ".html": (b"", _remark),
}
