"""What a page shows of a recording: numbers for JavaScript, and nothing that it could execute."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d import certainty
from pose3d.angles import angles
from pose3d.render import style
from pose3d.render.place import placed
from pose3d.render.scene import REACH, extent
from pose3d.render.timeline import Timeline
from pose3d.sequence import Person, Recording
from pose3d.skeleton import COCO, H36M, Skeleton
from pose3d.viewer.pack import Packer

ROOM = np.array([REACH / 2, 0, REACH / 2])  # metres


def content(recording: Recording) -> tuple[dict[str, Any], bytes]:
    """The facts of a page, as JSON takes them, and the arrays that they tell the place of.

    Everyone's arrays have a row for every frame of the timeline from their first to their last.
    """
    timeline, packer = Timeline.of(recording), Packer()
    joints = placed(recording)
    low, high = extent([j for j in joints if j is not None])
    # The page's floor goes on for ever: the view may be closer than the pictures'.
    low, high = low + ROOM, high - ROOM
    people = [
        _person(person, where, timeline, packer)
        for person, where in zip(recording.people, joints, strict=True)
    ]
    source = recording.meta.get("source", {})
    match source.get("size"):
        case [int() | float() as width, int() | float() as height] if min(width, height) > 0:
            size = [float(width), float(height)]
        case _:
            size = [16.0, 9.0]
    return {
        "title": str(source.get("name", "")),
        "size": size,
        "step": timeline.step,
        "time": packer.times(timeline.time),
        "firstFrame": int(timeline.frame[0]),
        "people": people,
        "box": [low.tolist(), high.tolist()],
        "keypoints": _skeleton(COCO),
        "joints": _skeleton(H36M),
        "colours": {"left": style.LEFT, "right": style.RIGHT},
        "least": certainty.LEAST,
        "certain": certainty.CERTAIN,
        "seenBy": [certainty.SEEN_BY[joint] for joint in range(len(H36M))],
        "measured": any(p.pose is not None and p.pose.world is not None for p in recording.people),
    }, packer.packed()


def _person(
    person: Person, joints: NDArray[np.float64] | None, timeline: Timeline, packer: Packer
) -> dict[str, Any]:
    keypoints = person.keypoints
    rows = timeline.rows(keypoints.frame)
    begin, end = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)

    def spread(array: NDArray[Any]) -> dict[str, Any]:
        every = np.full((end - begin, *array.shape[1:]), np.nan)
        every[rows - begin] = array
        return packer.floats(every)

    found: dict[str, Any] = {
        "id": person.id,
        "colour": style.of_person(person.id),
        "row": begin,
        "rows": end - begin,
        "keypoints": spread(keypoints.keypoints),
        "score": spread(keypoints.score),
        "angles": {},
    }
    if person.pose is not None and joints is not None and len(rows):
        found["joints"] = spread(joints)
        found["angles"] = {
            name: spread(curve)
            for name, curve in angles(person.pose).items()
            if np.isfinite(curve).any()
        }
    return found


def _skeleton(skeleton: Skeleton) -> dict[str, Any]:
    return {
        "names": list(skeleton.names),
        "bones": [list(bone) for bone in skeleton.bones],
        "sides": [skeleton.side(joint) for joint in range(len(skeleton))],
    }
