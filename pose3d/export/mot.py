"""Joint angles for OpenSim: ``NAME.mot``, a file for everyone, in degrees.

The columns are those of :mod:`pose3d.angles`, after the recording's own times. What is missing is
``nan``, as OpenSim writes it.
"""

from pathlib import Path

import numpy as np

from pose3d.angles import angles
from pose3d.export.digits import as_text, before, lines
from pose3d.export.settings import Settings, each
from pose3d.export.space import Motion, motions
from pose3d.files import replacing
from pose3d.sequence import Pose3D, Recording

SECONDS, DEGREES = 7, 5  # decimals
CHUNK = 4096  # frames in memory as text at a time


def write(recording: Recording, path: Path, _settings: Settings) -> tuple[Path, ...]:
    """Write everyone's angles."""
    poses = {person.id: person.pose for person in recording.people}
    written = []
    for target, motion in each(path, motions(recording)):
        pose = poses[motion.id]
        assert pose is not None
        with replacing(target) as part:
            _write(motion, pose, part, target.stem)
        written.append(target)
    return tuple(written)


def _write(motion: Motion, pose: Pose3D, path: Path, name: str) -> None:
    found = angles(pose)
    table = np.stack(list(found.values()), 1)
    columns = len(found) + 1
    head = [
        name,
        "version=1",
        f"nRows={len(table)}",
        f"nColumns={columns}",
        "inDegrees=yes",
        "endheader",
        "\t".join(["time", *found]),
    ]
    with open(path, "wb") as file:
        file.write(("\n".join(head) + "\n").encode())
        for start in range(0, len(table), CHUNK):
            chunk = slice(start, start + CHUNK)
            cells = before("\t", as_text(table[chunk], DEGREES, missing="nan"))
            file.write(lines(as_text(motion.time[chunk], SECONDS), cells))
