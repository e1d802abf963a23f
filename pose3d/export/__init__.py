"""Files for other programs: one small writer per format, chosen by name or suffix."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pose3d.errors import UsageError
from pose3d.files import replacing

if TYPE_CHECKING:  # the command line lists the formats before it needs numpy
    from pose3d.sequence import Recording


@dataclass(frozen=True)
class Format:
    """A file format that a recording can be written in.

    Attributes
    ----------
    suffix
        What a file of it is called after the video's stem.
    write
        Writes a recording to a path.
    """

    suffix: str
    write: "Callable[[Recording, Path], None]"


def _npz(recording: "Recording", path: Path) -> None:
    recording.save(path)


def _json(recording: "Recording", path: Path) -> None:
    from pose3d.export.json_file import write_recording

    write_recording(recording, path)


FORMATS = {
    "npz": Format(".pose3d.npz", _npz),
    "json": Format(".pose3d.json", _json),
}


def write(recording: "Recording", path: Path | str) -> None:
    """Write a recording in the format of the path's suffix.

    Raises
    ------
    UsageError
        If no format has that suffix.
    PoseError
        If the file cannot be written.
    """
    path = Path(path)
    name = path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        raise UsageError(f"no format is called {name!r}: there are {', '.join(FORMATS)}")
    with replacing(path) as part:
        FORMATS[name].write(recording, part)
