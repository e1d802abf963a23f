"""Files for other programs: one small writer per format, chosen by name or suffix."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose3d.errors import PoseError, UsageError

if TYPE_CHECKING:  # the command line lists the formats before it needs numpy
    from pose3d.sequence import Recording


@dataclass(frozen=True)
class Format:
    """A file format that a recording can be written in.

    Attributes
    ----------
    suffix
        By which it is chosen, after a name of one's own.
    module
        Where its ``write(recording, path, settings)`` is, which gives the files it wrote.
    space
        Whether it holds motion in space, so that a recording must be lifted first.
    each
        Whether everyone has a file of their own.
    """

    suffix: str
    module: str
    space: bool = True
    each: bool = False

    @property
    def ours(self) -> str:
        """What follows the video's stem where nobody gave a name."""
        return self.suffix if self.suffix.count(".") > 1 else f".pose3d{self.suffix}"


FORMATS = {
    "npz": Format(".npz", "npz_file", space=False),
    "json": Format(".json", "json_file", space=False),
    "csv": Format(".csv", "csv_file"),
    "trc": Format(".trc", "trc", each=True),
    "mot": Format(".mot", "mot", each=True),
    "c3d": Format(".c3d", "c3d"),
    "bvh": Format(".bvh", "bvh", each=True),
    "glb": Format(".glb", "glb"),
    "openpose": Format(".openpose", "openpose", space=False),
    "coco": Format(".coco.json", "coco", space=False),
    "videopose3d": Format(".videopose3d.npz", "videopose3d", space=False),
}


def format_of(path: Path | str, others: Iterable[str] = ()) -> str:
    """Name of the format that a path's suffix says; the longest that fits.

    Parameters
    ----------
    path
        Of a file to write.
    others
        Formats besides :data:`FORMATS`, each the suffix without its dot.

    Raises
    ------
    UsageError
        If there is none.
    """
    name = Path(path).name.lower()
    suffixes = {key: form.suffix for key, form in FORMATS.items()} | {o: f".{o}" for o in others}
    fitting = [key for key, suffix in suffixes.items() if name.endswith(suffix)]
    if not fitting:
        known = ", ".join(suffixes.values())
        raise UsageError(f"{path}: no format has this suffix: there are {known}")
    return max(fitting, key=lambda key: len(suffixes[key]))


def write(
    recording: "Recording", path: Path | str, *, form: str | None = None, **settings: Any
) -> tuple[Path, ...]:
    """Write a recording in the format `form`, or that of the path's suffix.

    Parameters
    ----------
    recording
        What to write.
    path
        Where. Formats that hold one person have the first one's motion there; the others' is
        beside it, ``NAME.2.bvh`` for the person of number 2.
    form
        A key of :data:`FORMATS`.
    settings
        As in :class:`pose3d.export.settings.Settings`.

    Returns
    -------
    tuple
        The files, or folders, that were written.

    Raises
    ------
    UsageError
        If no format has that suffix, or a setting means nothing.
    PoseError
        If the file cannot be written, or the recording holds nothing for this format.
    """
    from pose3d.export.settings import Settings
    from pose3d.files import check_writable

    path = Path(path)
    check_writable(path.parent)
    chosen = FORMATS[form or format_of(path)]
    if chosen.each and not recording.people:
        raise PoseError(f"{path}: there is nobody in the recording to write")
    written: tuple[Path, ...] = import_module(f"pose3d.export.{chosen.module}").write(
        recording, path, Settings(**settings)
    )
    return written
