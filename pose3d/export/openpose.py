"""OpenPose's output: a folder ``NAME.openpose`` with a JSON file for every frame, BODY_25.

Of its 25 points, the neck lies between the shoulders and the middle of the hips between the hips;
feet are missing. What is missing is 0, 0, 0, as there. ``person_id`` is the person's number.
"""

from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose3d.export.digits import as_text, before, lines
from pose3d.export.folder import replacing_folder
from pose3d.export.settings import Settings
from pose3d.sequence import Keypoints2D, Recording
from pose3d.skeleton import COCO

PIXELS, SCORE = 3, 4  # decimals
PATTERN = "*_keypoints.json"
VERSION = 1.3  # of OpenPose's JSON
EMPTY = ",".join(
    f'"{part}_keypoints_{kind}":[]'
    for kind in ("2d", "3d")
    for part in ("pose", "face", "hand_left", "hand_right")
    if (part, kind) != ("pose", "2d")
)

# The keypoints each of BODY_25's points is the middle of; of OpenPose's documentation, "output".
BODY_25: tuple[tuple[str, ...], ...] = (
    ("nose",), ("left_shoulder", "right_shoulder"),
    ("right_shoulder",), ("right_elbow",), ("right_wrist",),
    ("left_shoulder",), ("left_elbow",), ("left_wrist",),
    ("left_hip", "right_hip"),
    ("right_hip",), ("right_knee",), ("right_ankle",),
    ("left_hip",), ("left_knee",), ("left_ankle",),
    ("right_eye",), ("left_eye",), ("right_ear",), ("left_ear",),
    (), (), (), (), (), (),
)  # fmt: skip


def write(recording: Recording, path: Path, _settings: Settings) -> tuple[Path, ...]:
    """Write a file for every frame of the video up to the last in which there is anybody."""
    found = []
    for person in recording.people:
        rows = np.flatnonzero(person.keypoints.found)
        frames = person.keypoints.frame[rows].tolist()
        text = _points(person.keypoints, rows).decode().split("\n")
        found += [(frame, person.id, t) for frame, t in zip(frames, text, strict=False)]
    source = recording.meta.get("source", {})
    stem = Path(source.get("name") or path.stem).stem
    people = {frame: list(group) for frame, group in groupby(sorted(found), lambda row: row[0])}
    count = max(max(people, default=-1) + 1, int(source.get("frames") or 0))
    with replacing_folder(path, PATTERN) as part:
        for frame in range(count):
            everyone = ",".join(_person(number, text) for _, number, text in people.get(frame, ()))
            content = f'{{"version":{VERSION},"people":[{everyone}]}}'
            (part / f"{stem}_{frame:012d}_keypoints.json").write_text(content, "utf-8")
    return (path,)


def _person(number: int, points: str) -> str:
    """One person as OpenPose has it, with the lists that are empty here."""
    return f'{{"person_id":[{number}],"pose_keypoints_2d":[{points}],{EMPTY}}}'


def _points(keypoints: Keypoints2D, rows: NDArray[np.int64]) -> bytes:
    """A line for every row: x, y and score of all points."""
    if not len(rows):
        return b""
    points = np.zeros((len(rows), len(BODY_25), 3))
    for n, names in enumerate(BODY_25):
        if not names:
            continue
        of = [COCO.index(name) for name in names]
        place = keypoints.keypoints[rows][:, of].mean(1)
        score = keypoints.score[rows][:, of].min(1)
        known = np.isfinite(place).all(1) & (score > 0)
        points[known, n] = np.concatenate([place, score[:, None]], 1)[known]
    xy = before(",", as_text(points[..., :2].reshape(-1, 2), PIXELS))
    certain = before(",", as_text(points[..., 2].reshape(-1, 1), SCORE))
    joined = np.concatenate([xy, certain], 1).reshape(len(rows), -1)
    return lines(joined[:, 1:])
