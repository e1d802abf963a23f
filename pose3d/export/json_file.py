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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.sequence import People, Person, Recording
from pose3d.skeleton import COCO, H36M, H36M_PARENTS

PIXELS, SCORES, METRES, SECONDS = 2, 3, 4, 6  # decimals


def write_recording(recording: Recording, path: Path) -> None:
    """Write a recording as JSON; one person is in memory as text at a time."""
    head = {
        "meta": recording.meta,
        "keypoint_names": COCO.names,
        "joint_names": H36M.names,
        "joint_parents": H36M_PARENTS,
    }
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(head, allow_nan=False)[:-1] + ', "people": [')
        for n, person in enumerate(recording.people):
            file.write(("," if n else "") + "\n" + json.dumps(_person(person), allow_nan=False))
        file.write("]}\n")


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


def _person(person: Person) -> dict[str, Any]:
    keypoints, pose = person.keypoints, person.pose
    arrays: dict[str, tuple[NDArray[Any] | None, int]] = {
        "frame": (keypoints.frame, 0),
        "time": (keypoints.time, SECONDS),
        "box": (keypoints.box, PIXELS),
        "keypoints_2d": (keypoints.keypoints, PIXELS),
        "score_2d": (keypoints.score, SCORES),
    }
    if pose is not None:
        arrays |= {
            "joints_3d": (pose.joints, METRES),
            "root": (pose.root, METRES),
            "joints_world": (pose.world, METRES),
            "contact": (pose.contact, 0),
        }
    return {"id": person.id} | {
        name: listed(array, decimals)
        for name, (array, decimals) in arrays.items()
        if array is not None
    }


def listed(array: NDArray[Any], decimals: int) -> Any:
    """An array as nested lists, rounded; NaN as None."""
    if array.dtype.kind != "f":
        return array.tolist()
    rounded: NDArray[Any] = array.astype(float).round(decimals).astype(object)
    rounded[np.isnan(array)] = None
    return rounded.tolist()
