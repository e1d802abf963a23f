"""Markers for biomechanics: ``NAME.c3d``, everyone in one file, millimetres, y up.

Points have the joints' names; of several people, "Person2:RKnee". What is missing has the
residual -1. The format knows times only as one rate, a 32-bit number; irregular recordings are
resampled to one. The number of the first frame is that of the recording, counted from 1, and so
tells its time. The group POSE3D says which frame of reference the points are in, and whether they
were resampled.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pose3d import __version__
from pose3d.errors import PoseError
from pose3d.export.clock import Clock
from pose3d.export.settings import Settings, common_clock
from pose3d.export.space import JOINTS, frame_of, motions
from pose3d.files import replacing
from pose3d.sequence import Recording

BLOCK, MARKER = 512, 16  # bytes: in which the format counts; x, y, z and residual
INTEGER = 2  # type of a parameter
MILLIMETRES = 1000.0
MOST_FRAMES = 0xFFFF  # that the header can count; readers take more from TRIAL
MOST_LETTERS = 127  # bytes of a text that every reader takes


def write(recording: Recording, path: Path, _settings: Settings) -> tuple[Path, ...]:
    """Write everyone's markers.

    Raises
    ------
    PoseError
        If ezc3d is not installed: it has no wheels for Linux and Windows on ARM.
    """
    try:
        import ezc3d
    except ImportError:
        raise PoseError(
            f"{path}: C3D is written by a package that is not installed: pip install ezc3d"
        ) from None
    everyone = motions(recording)
    fps = recording.meta.get("source", {}).get("fps")
    if any(len(motion.frame) for motion in everyone):
        clock = common_clock(recording, everyone, path)
    else:
        clock = Clock(fps or 30.0, 0.0, 0, 0, resampled=False)
    several = len(everyone) > 1
    labels = [
        f"Person{motion.id}:{joint}" if several else joint
        for motion in everyone
        for joint in JOINTS
    ]
    points = np.zeros((3, len(labels), clock.count))
    for n, motion in enumerate(everyone):
        own = slice(n * len(JOINTS), (n + 1) * len(JOINTS))
        points[:, own] = clock.sample(motion).T * MILLIMETRES
    file = ezc3d.c3d()
    _describe(file, recording, clock, labels)
    file["data"]["points"] = points
    file["data"]["meta_points"]["residuals"] = np.where(np.isnan(points[:1]), -1.0, 0.0)
    del file["data"]["rotations"]  # else it describes those too, of which there are none
    # ezc3d takes no name that does not end in its suffix, in small letters.
    with (
        replacing(path) as part,
        TemporaryDirectory(prefix=f"{part.name}.", dir=part.parent) as folder,
    ):
        made = Path(folder) / "points.c3d"
        file.write(str(made))
        _check_whole(made, points[0].size)
        made.replace(part)
    return (path,)


def _describe(file: Any, recording: Recording, clock: Clock, labels: list[str]) -> None:
    """Say what the points are, and when."""
    first = clock.first if not clock.resampled else round(clock.start * clock.rate)
    countable = first + clock.count <= MOST_FRAMES
    file["header"]["points"]["first_frame"] = first if countable else 0
    point = file["parameters"]["POINT"]
    point["RATE"]["value"] = np.array([clock.rate])
    point["LABELS"]["value"] = labels
    point["UNITS"]["value"] = ["mm"]
    source = recording.meta.get("source", {}).get("name") or ""
    for group, name, value in (
        ("POINT", "X_SCREEN", "+X"),
        ("POINT", "Y_SCREEN", "+Y"),
        ("TRIAL", "CAMERA_RATE", clock.rate),
        ("MANUFACTURER", "COMPANY", "pose3d"),
        ("MANUFACTURER", "SOFTWARE", "pose3d"),
        ("MANUFACTURER", "VERSION_LABEL", __version__),
        ("POSE3D", "FRAME", frame_of(recording)),
        ("POSE3D", "SOURCE", source.encode()[:MOST_LETTERS].decode(errors="ignore")),
        ("POSE3D", "RESAMPLED", int(clock.resampled)),
    ):
        file.add_parameter(group, name, value)
    for name, frame in (("START", first + 1), ("END", first + max(clock.count, 1))):
        field = f"ACTUAL_{name}_FIELD"
        file.add_parameter("TRIAL", field, [frame & 0xFFFF, frame >> 16])
        file["parameters"]["TRIAL"][field]["type"] = INTEGER  # lists become floats otherwise


def _check_whole(made: Path, markers: int) -> None:
    """Find out what ezc3d does not: that the disk was full."""
    with open(made, "rb") as file:
        data = int.from_bytes(file.read(18)[16:], "little")  # the block where points begin
    expected = (data - 1) * BLOCK + markers * MARKER
    if data < 2 or made.stat().st_size < expected:
        raise OSError(f"only {made.stat().st_size} of {expected} bytes fitted: is the disk full?")
