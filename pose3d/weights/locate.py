"""From what the user typed to a file on this machine."""

import hashlib
import re
from pathlib import Path

from pose3d.errors import PoseError, UsageError
from pose3d.weights.cache import cached, fetch
from pose3d.weights.checkpoint import Checkpoint
from pose3d.weights.download import Progress
from pose3d.weights.registry import Kind, Weights, available_weights, file_of, lookup


def find(source: str | Path, kind: Kind | None = None, progress: Progress | None = None) -> Path:
    """The file behind a registered name, a URL or a path; fetched if it must be.

    Parameters
    ----------
    source
        A name of :func:`~pose3d.weights.available_weights`, an ``https`` URL, or a file. A name
        wins over a file of the same name in the current folder; write ``./compact`` for the file.
    kind
        ``detector`` or ``lifter``: refuse the other.
    progress
        Called with bytes done and total (None if unknown) while fetching.

    Raises
    ------
    PoseError
        If there is no such file or name, or it cannot be fetched or fails its check.
    """
    return obtain(resolve(source, kind), progress)


def resolve(source: str | Path, kind: Kind | None = None) -> Weights:
    """What is known about a registered name, a URL or a path.

    Raises
    ------
    PoseError
        If it is none of these.
    """
    text = str(source)
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", text):
        return _of_url(text, kind)
    path = Path(text).expanduser()
    named = {entry.name for entry in available_weights()}
    if text in named or not path.exists():
        if text not in named and (path.suffix or len(path.parts) > 1):
            raise PoseError(f"there is no file {path}")
        return lookup(text, kind)
    if path.is_dir():
        raise PoseError(f"{path} is a folder: name a file of weights")
    return Weights(name=path.name, kind=kind or "detector", file=str(path.absolute()))


def obtain(entry: Weights, progress: Progress | None = None) -> Path:
    """The entry's file: bundled, the user's, or in the cache."""
    if entry.urls:
        return fetch(entry, progress)
    path = place(entry)
    if not path.is_file():
        again = "install pose3d again" if entry.bundled else "correct the registry"
        raise PoseError(f"the weights {path} are missing: {again}")
    return path


def place(entry: Weights) -> Path:
    """Where the entry's file lies, or will lie once it is fetched."""
    return cached(entry) if entry.urls else Path(entry.file)


def load(
    source: str | Path,
    kind: Kind | None = None,
    dialect: str | None = None,
    progress: Progress | None = None,
) -> Checkpoint:
    """Find weights and read them.

    Parameters
    ----------
    source, kind, progress
        As for :func:`find`.
    dialect
        As for :func:`~pose3d.weights.formats.read`; a registered name knows its own.

    Raises
    ------
    PoseError
        If they cannot be had or read, or are of another kind.
    """
    from pose3d.weights.formats import read

    entry = resolve(source, kind)
    path = obtain(entry, progress)
    checkpoint = read(path, dialect or entry.dialect)
    if kind not in (None, checkpoint.kind):
        raise PoseError(f"{path} holds a {checkpoint.kind}, not a {kind}")
    return checkpoint


def _of_url(url: str, kind: Kind | None) -> Weights:
    for entry in available_weights():
        if url in entry.urls:
            return lookup(entry.name, kind)
    if not url.startswith("https://"):
        raise UsageError(f"{url[:100]} is not https, the only way weights are fetched")
    file = f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{file_of(url)}"
    return Weights(name=url, kind=kind or "detector", file=file, urls=(url,))
