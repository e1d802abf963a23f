"""A recording as JSON: everything that ``NAME.pose3d.npz`` holds, in one object.

::

    {"meta": {...},                     as in the .npz: source, options, weights, camera, steps
     "keypoint_names": [17 names],      the order of keypoints_2d and score_2d (COCO)
     "joint_names": [17 names],         the order of joints_3d and joints_world (Human3.6M)
     "joint_parents": [17 indices],     -1 for the root
     "people": [
        {"id": 1,
         "frame": [T],                  index of the frame in the video
         "time": [T],                   seconds
         "box": [T][4],                 x0, y0, x1, y1, pixels
         "keypoints_2d": [T][17][2],    pixels
         "score_2d": [T][17],           0 to 1
         "joints_3d": [T][17][3],       metres, camera frame, relative to the hip; once lifted
         "root": [T][3], "joints_world": [T][17][3], "contact": [T][2]}]}    where known

What is missing is null. Pixels are rounded to 0.01, metres to 0.1 mm, scores to 0.001.

A picture's file has ``meta``, ``keypoint_names`` and, for everyone in it, ``box`` [4], ``score``,
``keypoints_2d`` [17][2] and ``score_2d`` [17].
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.export.digits import as_text, before, lines, words
from pose3d.export.settings import Settings
from pose3d.files import replacing
from pose3d.sequence import People, Person, Recording
from pose3d.skeleton import COCO, H36M, H36M_PARENTS

PIXELS, SCORES, METRES, SECONDS = 2, 3, 4, 6  # decimals
CHUNK = 4096  # frames in memory as text at a time


def write(recording: Recording, path: Path, _settings: Settings) -> tuple[Path, ...]:
    """Write a recording as JSON."""
    head = {
        "meta": recording.meta,
        "keypoint_names": COCO.names,
        "joint_names": H36M.names,
        "joint_parents": H36M_PARENTS,
    }
    with replacing(path) as part, open(part, "wb") as file:
        file.write(json.dumps(head, allow_nan=False).encode()[:-1] + b', "people": [')
        for n, person in enumerate(recording.people):
            file.write(b",\n" if n else b"\n")
            file.write(f'{{"id": {person.id}'.encode())
            for name, array, decimals in _arrays(person):
                file.write(f',\n "{name}": ['.encode())
                file.writelines(nested(array, decimals))
                file.write(b"]")
            file.write(b"}")
        file.write(b"]}\n")
    return (path,)


def write_picture(people: People, meta: dict[str, Any], path: Path) -> None:
    """Write everyone in one picture as JSON."""
    content = {
        "meta": meta,
        "keypoint_names": COCO.names,
        "people": [
            {
                "box": listed(people.boxes[row], PIXELS),
                "score": round(float(people.scores[row]), SCORES),
                "keypoints_2d": listed(people.keypoints[row], PIXELS),
                "score_2d": listed(people.keypoint_scores[row], SCORES),
            }
            for row in range(len(people))
        ],
    }
    path.write_text(json.dumps(content, allow_nan=False) + "\n", "utf-8")


def _arrays(person: Person) -> Iterator[tuple[str, NDArray[Any], int]]:
    keypoints, pose = person.keypoints, person.pose
    yield "frame", keypoints.frame, 0
    yield "time", keypoints.time, SECONDS
    yield "box", keypoints.box, PIXELS
    yield "keypoints_2d", keypoints.keypoints, PIXELS
    yield "score_2d", keypoints.score, SCORES
    if pose is not None:
        yield "joints_3d", pose.joints, METRES
        further = (("root", pose.root), ("joints_world", pose.world), ("contact", pose.contact))
        yield from ((name, array, METRES) for name, array in further if array is not None)


def nested(array: NDArray[Any], decimals: int) -> Iterator[bytes]:
    """The items of an array as JSON, with commas between; what is missing is null."""
    opened = "[" * (array.ndim - 1)
    inner = array.shape[1:]
    marks = [opened]
    for index in list(np.ndindex(*inner))[1:]:
        # Of the last lists, those end here that the next number is the first of again.
        ended = next(n for n, i in enumerate(reversed(index)) if i)
        marks.append("]" * ended + "," + "[" * ended)
    for start in range(0, len(array), CHUNK):
        rows = array[start : start + CHUNK].reshape(-1, len(marks))
        if rows.dtype.kind == "b":
            text = words(["false", "true"])[rows.astype(int)]
        else:
            text = as_text(rows, decimals if rows.dtype.kind == "f" else 0, missing="null")
        piece = lines(before(words(marks), text), "]" * (array.ndim - 1), end=",")
        yield piece if start + CHUNK < len(array) else piece[:-1]


def listed(array: NDArray[Any], decimals: int) -> Any:
    """An array as nested lists, rounded; NaN as None."""
    if array.dtype.kind != "f":
        return array.tolist()
    rounded: NDArray[Any] = array.astype(float).round(decimals).astype(object)
    rounded[np.isnan(array)] = None
    return rounded.tolist()
