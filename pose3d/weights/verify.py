"""Whether the file that lies here is the one it should be."""

from dataclasses import dataclass
from pathlib import Path

from pose3d.errors import PoseError
from pose3d.weights.cache import verify_cached
from pose3d.weights.checkpoint import Checkpoint
from pose3d.weights.checksum import sha256
from pose3d.weights.locate import place, resolve


@dataclass(frozen=True)
class Verified:
    """A file that passed.

    Attributes
    ----------
    path, sha256
        The file.
    against
        What its SHA-256 was compared with: ``registered``, ``registered, first 8 digits``,
        ``remembered`` from an earlier use, or ``nothing`` (a cached file's is remembered now).
    checkpoint
        What it holds.
    """

    path: Path
    sha256: str
    against: str
    checkpoint: Checkpoint


def verify(source: str | Path, dialect: str | None = None) -> Verified:
    """Check a file by its SHA-256 and read it whole, without the network.

    Raises
    ------
    PoseError
        If it is not on this machine, fails its check (a cached one is set aside), or is damaged.
    """
    from pose3d.weights.formats import read

    entry = resolve(source)
    path = place(entry)
    if not path.is_file():
        raise PoseError(f"{path} does not exist yet: run `pose3d weights download {entry.name}`")
    known = len(entry.sha256)
    against = "registered" if known == 64 else f"registered, first {known} digits"
    if path.with_name(path.name + ".sha256").exists():
        against = "remembered"
    elif not known:
        against = "nothing"
    if entry.urls:
        verify_cached(path, entry)
    found = sha256(path)
    if not found.startswith(entry.sha256):
        raise PoseError(f"{path} has the SHA-256 {found}, not {entry.sha256}")
    return Verified(path, found, against, read(path, dialect or entry.dialect))
