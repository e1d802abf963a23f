"""What weights there are, by name: ``registry.toml`` and the user's own."""

import os
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import quote, unquote

from pose3d import limits
from pose3d.errors import PoseError, UsageError
from pose3d.parse import from_toml, read_bytes

Kind = Literal["detector", "lifter"]
# Devices of Windows, whatever the suffix.
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|\Z)", re.IGNORECASE)


@dataclass(frozen=True)
class Weights:
    """One file of weights and what is known about it.

    Attributes
    ----------
    name, kind, family, architecture, description
        As in :class:`~pose3d.weights.checkpoint.Checkpoint`.
    file
        Its name in the cache; of bundled and local files the path.
    urls
        Mirrors, in the order in which they are tried; none for bundled and local files.
    sha256
        64 hex digits, or the first few if no more are published.
    md5sum
        Whether the MD5 lies beside every URL, as ``URL.md5sum``.
    megabytes
        About what will be fetched, in 10^6 bytes.
    dialect
        What the file's content does not show about how to run it.
    licence, commercial
        Of the weights, and whether it allows commercial use.
    box_ap, keypoint_ap
        Published, on COCO's val2017, in percent.
    bundled
        Whether pose3d comes with it.
    """

    name: str
    kind: Kind
    file: str
    family: str = ""
    architecture: str = ""
    urls: tuple[str, ...] = ()
    sha256: str = ""
    md5sum: bool = False
    megabytes: int | None = None
    dialect: str | None = None
    licence: str = "unknown"
    commercial: bool = True
    box_ap: float | None = None
    keypoint_ap: float | None = None
    description: str = ""
    bundled: bool = False


_TYPES: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "file": str,
    "family": str,
    "architecture": str,
    "urls": list,
    "sha256": str,
    "md5sum": bool,
    "megabytes": int,
    "dialect": str,
    "licence": str,
    "commercial": bool,
    "box_ap": (int, float),
    "keypoint_ap": (int, float),
    "description": str,
}


def available_weights(kind: Kind | None = None) -> list[Weights]:
    """All weights, or those of one kind: the bundled ones, the public ones, the user's own.

    Raises
    ------
    UsageError
        If the file that ``POSE3D_REGISTRY`` names cannot be used.
    """
    entries = list(_own())
    if path := os.environ.get("POSE3D_REGISTRY"):
        known = {entry.name for entry in entries}
        for entry in _read(Path(path).expanduser()):
            if entry.name in known:
                raise UsageError(
                    f"{path}: {entry.name} is the name of public weights: take another"
                )
            entries.append(entry)
    return [entry for entry in entries if kind in (None, entry.kind)]


def lookup(name: str, kind: Kind | None = None) -> Weights:
    """The weights called `name`.

    Raises
    ------
    UsageError
        If there are none, or they are of another kind; the message names what there is.
    """
    entries = {entry.name: entry for entry in available_weights()}
    if name not in entries:
        names = ", ".join(entry.name for entry in available_weights(kind))
        raise UsageError(
            f"no {kind or 'weights'} is called {name!r}, nor is it a file: try {names}"
        )
    entry = entries[name]
    if kind not in (None, entry.kind):
        raise UsageError(f"{name} is a {entry.kind}, not a {kind}")
    return entry


def file_of(url: str) -> str:
    """The last part of a URL, fit to be a file's name on any system."""
    path = re.split(r"[?#]", re.sub(r"\A[^:]*://[^/]*", "", url))[0]
    last = re.sub(r"[^\w.+-]", "_", unquote(path).rstrip("/").rpartition("/")[2])
    name = last.lstrip(".")[-limits.FILE_NAME :].lstrip(".") or "weights"
    return f"_{name}" if RESERVED.match(name) else name


def bundled_folder() -> Path:
    """Where the weights that come with pose3d lie: in the wheel, or in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "checkpoints"
    return installed if installed.is_dir() else package.parent / "checkpoints"


@cache
def _own() -> tuple[Weights, ...]:
    path = Path(__file__).with_name("registry.toml")
    table = from_toml(path.read_text("utf-8"))
    bundled = {name for name, content in table.items() if content.pop("bundled", False)}
    entries = [_entry(path, name, content, bundled_folder()) for name, content in table.items()]
    return tuple(replace(entry, bundled=entry.name in bundled) for entry in entries)


def _read(path: Path) -> list[Weights]:
    try:
        table = from_toml(read_bytes(path, limits.TOML_BYTES).decode())
    except OSError as error:
        raise UsageError(f"the registry {path} cannot be read: {error.strerror}") from None
    except PoseError as error:
        raise UsageError(f"the registry {error}") from None
    except ValueError as error:
        raise UsageError(f"the registry {path} is no TOML: {error}") from None
    return [_entry(path, name, content, path.parent) for name, content in table.items()]


def _entry(path: Path, name: str, content: Any, folder: Path) -> Weights:
    """One table of a registry, checked; `folder` holds the files that have no URL."""

    def wrong(reason: str) -> UsageError:
        return UsageError(f"{path}: [{name}] {reason}")

    if not isinstance(content, dict):
        raise wrong("is no table: write [name] and the fields below it")
    for key, value in content.items():
        if key not in _TYPES:
            raise wrong(f"has no field {key!r}: there are {', '.join(_TYPES)}")
        if not isinstance(value, _TYPES[key]):
            raise wrong(f"has a wrong {key}")
    if content.get("kind") not in get_args(Kind):
        raise wrong('needs kind = "detector" or "lifter"')
    urls = tuple(content.pop("urls", ()))
    if not all(isinstance(url, str) and url.startswith("https://") for url in urls):
        raise wrong("has a URL that is not https")
    if not urls and "file" not in content:
        raise wrong("needs urls, or the file's path")
    if not re.fullmatch(r"[0-9a-f]{0,64}", content.get("sha256", "")):
        raise wrong("has a sha256 that is not hexadecimal in small letters")
    file = content.pop("file", None) or file_of(urls[0])
    if urls and (Path(file).name != file or file_of(f"https://x/{quote(file)}") != file):
        raise wrong("needs a plain file name without folders")
    if not urls:
        file = str(folder / Path(file).expanduser())
    return Weights(name=name, file=file, urls=urls, **content)
