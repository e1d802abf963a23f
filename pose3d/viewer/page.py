"""One HTML file with everything in it: data, styles, scripts and, if wanted, the video.

A page needs no network and may not use it: its content security policy names the hashes of the
one script and the one style sheet, so that text from a recording can never run.
"""

import base64
import hashlib
import html
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from pose3d.sequence import Recording
from pose3d.viewer.content import content

SCRIPTS = ("space", "data", "orbit", "scene", "overlay", "curves", "clock", "main")
CHUNK = 3 << 20  # bytes encoded at once; a multiple of three


@dataclass(frozen=True)
class Footage:
    """The video of a page.

    Attributes
    ----------
    path
        The file.
    begin
        Time in the recording of the video's first frame, seconds.
    address
        Where the page finds the video (:func:`beside`); None: the page holds a copy of it.
    sound
        Whether there is anything to hear.
    """

    path: Path
    begin: float = 0.0
    address: str | None = None
    sound: bool = False


def beside(video: Path, page: Path) -> str:
    """The address of a video for a page: relative, so that both can move together."""
    relative = os.path.relpath(video.absolute(), page.absolute().parent)
    return quote(Path(relative).as_posix())


def write_page(recording: Recording, path: Path, footage: Footage | None = None) -> None:
    """Write the viewer of a recording as one HTML file.

    Parameters
    ----------
    recording
        Lifted or not; it may be empty.
    path
        File to write. Half-written after an error: give a temporary name.
    footage
        The video to show beside the 3D scene; None for the scene alone.

    Raises
    ------
    PoseError
        If the recording's frames make no sense.
    """
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        write_into(file, recording, footage)


def write_into(file: IO[str], recording: Recording, footage: Footage | None = None) -> None:
    """Write the page of :func:`write_page` into an open text file."""
    facts, arrays = content(recording)
    facts["video"] = footage and {
        "begin": footage.begin,
        "address": footage.address,
        "sound": footage.sound,
    }
    style, script = _assets()
    parts = {
        "TITLE": html.escape(facts["title"] or "pose3d"),
        "POLICY": _policy(style, script),
        "STYLE": style,
        "FACTS": _harmless(facts),
        "SCRIPT": script,
    }
    for n, piece in enumerate(re.split("@([A-Z]+)@", _read("page.html"))):
        if n % 2 == 0:
            file.write(piece)
        elif piece == "ARRAYS":
            file.write(base64.b64encode(arrays).decode())
        elif piece == "VIDEO":
            if footage is not None and footage.address is None:
                _embed(file, footage.path)
        else:
            file.write(parts[piece])


def _embed(file: IO[str], video: Path) -> None:
    with open(video, "rb") as source:
        while chunk := source.read(CHUNK):
            file.write(base64.b64encode(chunk).decode())


def _harmless(facts: dict[str, Any]) -> str:
    """JSON that stays inside of its element, whatever the strings are."""
    text = json.dumps(facts, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(style: str, script: str) -> str:
    """What the page may load: itself and its video."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "media-src 'self' file: blob:; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _assets() -> tuple[str, str]:
    """The style sheet, and all scripts as one with a scope of its own."""
    scripts = "\n".join(_read(f"{name}.js") for name in SCRIPTS)
    return _read("page.css"), f'(() => {{\n"use strict";\n{scripts}}})();\n'


def _read(name: str) -> str:
    return (resources.files("pose3d.viewer") / "assets" / name).read_text("utf-8")
