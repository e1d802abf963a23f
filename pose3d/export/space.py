"""Where joints are in files that have one frame of reference: y up, metres.

In the world frame where there is one (floor at y = 0). Otherwise the camera's frame is turned
upright, so that x is right, y up and z towards the viewer: the hip is where it is in front of the
camera if that is known, and at the origin if not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d.errors import PoseError
from pose3d.sequence import Recording
from pose3d.skeleton import H36M

UPRIGHT = np.array([1.0, -1.0, -1.0])
JOINTS = tuple(name.split("/")[0] for name in H36M.names)  # slashes part paths in some programs


@dataclass(frozen=True)
class Motion:
    """One person's joints for a file.

    Attributes
    ----------
    id
        The person's number.
    frame, time
        (T,) as in :class:`~pose3d.sequence.Keypoints2D`.
    joints
        (T, 17, 3) float64 metres, y up; NaN where missing.
    """

    id: int
    frame: NDArray[np.int64]
    time: NDArray[np.float64]
    joints: NDArray[np.float64]


def frame_of(recording: Recording) -> str:
    """``world`` or ``camera``: what the joints of all people are in."""
    poses = [person.pose for person in recording.people if person.pose is not None]
    return "world" if poses and all(pose.world is not None for pose in poses) else "camera"


def motions(recording: Recording) -> list[Motion]:
    """Everyone who is lifted.

    Raises
    ------
    PoseError
        If there are people and none is.
    """
    world = frame_of(recording) == "world"
    found = []
    for person in recording.people:
        pose, keypoints = person.pose, person.keypoints
        if pose is None:
            continue
        if world:
            assert pose.world is not None
            joints = pose.world.astype(float)
        else:
            joints = pose.joints.astype(float)
            if pose.root is not None:
                joints += pose.root[:, None]
            joints *= UPRIGHT
        found.append(Motion(person.id, keypoints.frame, keypoints.time, joints))
    if recording.people and not found:
        raise PoseError("there is no 3D motion in the recording yet: run `pose3d lift` on it")
    return found
