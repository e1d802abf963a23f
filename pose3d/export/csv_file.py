"""Tables for statistics: joints as ``NAME.csv``, joint angles as ``NAME.angles.csv``.

Joints, long (a row for everyone's every joint in every frame)::

    person,frame,time,joint,x,y,z,score

or wide (a row for everyone's every frame)::

    person,frame,time,Hip_x,Hip_y,Hip_z,Hip_score,RHip_x,...

Angles are always wide: ``person,frame,time,``, the names of :mod:`pose3d.angles`, in degrees, and
``score``. Time is in seconds, joints in metres in the frame of :mod:`pose3d.export.space`. The
score is that of the keypoints that a joint is seen by, their mean, or in the table of angles that
of all joints: where it is low the person was hidden, and the pose is a guess. What is missing is an
empty cell.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pose3d.angles import angles
from pose3d.certainty import joint_scores, whole_scores
from pose3d.export.digits import Text, as_text, before, lines, words
from pose3d.export.settings import Settings
from pose3d.export.space import JOINTS, Motion, motions
from pose3d.files import replacing
from pose3d.sequence import Person, Recording

SECONDS, METRES, SCORE, DEGREES = 6, 5, 3, 4  # decimals
CHUNK = 4096  # frames in memory as text at a time


def write(recording: Recording, path: Path, settings: Settings) -> tuple[Path, ...]:
    """Write both tables."""
    second = path.with_name(f"{path.stem}.angles{path.suffix}")
    people = {person.id: person for person in recording.people}
    everyone = motions(recording)
    with replacing(path) as part, open(part, "wb") as file:
        rows = _long if settings.layout == "long" else _wide
        file.write(_header(settings.layout).encode())
        for motion in everyone:
            scores = joint_scores(people[motion.id])
            for chunk in _chunks(len(motion.frame)):
                file.write(rows(motion, scores, chunk))
    with replacing(second) as part, open(part, "wb") as file:
        _write_angles(file, [people[motion.id] for motion in everyone])
    return path, second


def _header(layout: str) -> str:
    if layout == "long":
        return "person,frame,time,joint,x,y,z,score\n"
    columns = (f"{joint}_{part}" for joint in JOINTS for part in ("x", "y", "z", "score"))
    return ",".join(["person,frame,time", *columns]) + "\n"


def _long(motion: Motion, scores: NDArray[Any], chunk: slice) -> bytes:
    points = motion.joints[chunk].reshape(-1, 3)
    times = len(JOINTS)
    names = np.tile(words(JOINTS), (len(points) // times, 1))
    return lines(
        np.repeat(_when(motion, chunk), times, 0),
        ",",
        names,
        before(",", as_text(points, METRES)),
        before(",", as_text(scores[chunk].reshape(-1, 1), SCORE)),
    )


def _wide(motion: Motion, scores: NDArray[Any], chunk: slice) -> bytes:
    points = before(",", as_text(motion.joints[chunk].reshape(-1, 3), METRES))
    certain = before(",", as_text(scores[chunk].reshape(-1, 1), SCORE))
    both = np.concatenate([points, certain], 1)
    return lines(_when(motion, chunk), both.reshape(-1, len(JOINTS) * both.shape[1]))


def _when(motion: Motion | Person, chunk: slice) -> Text:
    """Person, frame, time (N, width)."""
    own = motion if isinstance(motion, Motion) else motion.keypoints
    frame = as_text(own.frame[chunk])
    number = np.broadcast_to(words([str(motion.id)]), (len(frame), len(str(motion.id))))
    comma = np.full((len(frame), 1), ord(","), np.uint8)
    return np.concatenate([number, comma, frame, comma, as_text(own.time[chunk], SECONDS)], 1)


def _write_angles(file: BinaryIO, people: list[Person]) -> None:
    found = [angles(person.pose) for person in people if person.pose is not None]
    names = list(dict.fromkeys(name for each in found for name in each))
    file.write((",".join(["person,frame,time", *names, "score"]) + "\n").encode())
    for person, own in zip(people, found, strict=True):
        nothing = np.full(len(person.keypoints), np.nan)
        table = np.stack([own.get(name, nothing) for name in names], 1)
        scores = whole_scores(person)[:, None]
        for chunk in _chunks(len(table)):
            cells = before(",", as_text(table[chunk], DEGREES))
            certain = before(",", as_text(scores[chunk], SCORE))
            file.write(lines(_when(person, chunk), cells, certain))


def _chunks(length: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, length, CHUNK))
