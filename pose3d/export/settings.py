"""What may be chosen about the files for other programs, and how several people share them."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pose3d.errors import UsageError
from pose3d.export.clock import Clock, clock
from pose3d.export.space import Motion
from pose3d.sequence import Recording

UNITS = {"m": 1.0, "cm": 100.0, "mm": 1000.0}  # in a metre
LAYOUTS = ("long", "wide")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Choices; a format takes those that mean something to it.

    Attributes
    ----------
    unit
        Of length, in BVH and TRC: ``m``, ``cm`` or ``mm``.
    layout
        Of CSV: ``long``, a row for every joint, or ``wide``, one for every frame.
    """

    unit: str = "m"
    layout: str = "long"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise UsageError(f"a unit is {', '.join(UNITS)}, not {self.unit!r}")
        if self.layout not in LAYOUTS:
            raise UsageError(f"a layout is {' or '.join(LAYOUTS)}, not {self.layout!r}")

    @property
    def scale(self) -> float:
        """Units in a metre."""
        return UNITS[self.unit]


def each(path: Path, motions: Sequence[Motion]) -> Iterator[tuple[Path, Motion]]:
    """A file for everyone: `path` for the first, with the number in its name for the others."""
    for n, motion in enumerate(motions):
        name = path.name if not n else f"{path.stem}.{motion.id}{path.suffix}"
        yield path.with_name(name), motion


def common_clock(recording: Recording, motions: Sequence[Motion], path: Path) -> Clock:
    """A constant rate for a file; a warning if that is not the recording's own."""
    found = clock(motions, recording.meta.get("source", {}).get("fps"))
    if found.resampled:
        _log.warning(
            "%s: the video's frames come at irregular times, which this format cannot hold: "
            "motion is resampled to %.6g frames/s",
            path,
            found.rate,
        )
    return found
