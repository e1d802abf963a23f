"""How surely joints were seen: what was hidden is guessed, and shall look like it.

Scores are the probability of a keypoint to be right (of our own weights). On the rendered crossing
those below 0.7 are off by 18 pixels and more in the median, those above by less than 10.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pose3d.sequence import Person
from pose3d.skeleton import COCO, H36M, SHARED_JOINTS

LEAST: Final = 0.3  # keypoints below are not drawn
CERTAIN: Final = 0.7  # those below are faint, and joints that are seen by them

# The keypoints that show where a joint is.
SEEN_BY: Final = {joint: (keypoint,) for joint, keypoint in SHARED_JOINTS} | {
    H36M.index(joint): tuple(COCO.index(name) for name in names)
    for joint, names in {
        "Hip": ("left_hip", "right_hip"),
        "Spine": ("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
        "Thorax": ("left_shoulder", "right_shoulder"),
        "Neck/Nose": ("nose",),
        "Head": ("left_eye", "right_eye", "left_ear", "right_ear"),
    }.items()
}


def joint_scores(person: Person) -> NDArray[np.float64]:
    """(T, 17) of the joints: the mean score of the keypoints that each is seen by."""
    seen = person.keypoints.score.astype(float)
    return np.stack([seen[:, SEEN_BY[joint]].mean(1) for joint in range(len(H36M))], 1)


def whole_scores(person: Person) -> NDArray[np.float64]:
    """(T,) the mean score of all joints in each frame."""
    return joint_scores(person).mean(1)
