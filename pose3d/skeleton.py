"""The two skeletons: 17 COCO keypoints in the picture, 17 Human3.6M joints in space."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Skeleton:
    """Named joints and how they hang together.

    Attributes
    ----------
    names
        One name per joint, in file order.
    bones
        Pairs of joint indices to draw a line between.
    left, right
        Joint indices of the person's own left and right side, in matching order.
    """

    names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    left: tuple[int, ...]
    right: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Index of a joint by name."""
        return self.names.index(name)

    def side(self, joint: int) -> str:
        """``"left"``, ``"right"`` or ``"middle"``."""
        return "left" if joint in self.left else "right" if joint in self.right else "middle"

    @property
    def mirror(self) -> NDArray[np.int64]:
        """Permutation (J,) that exchanges left and right joints."""
        order = np.arange(len(self.names))
        order[list(self.left)], order[list(self.right)] = self.right, self.left
        return order


# The order of COCO's person_keypoints annotations (Lin et al., ECCV 2014).
COCO = Skeleton(
    names=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_hip", "right_hip",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    bones=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6),
        (5, 7), (6, 8), (7, 9), (8, 10), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
    left=(1, 3, 5, 7, 9, 11, 13, 15),
    right=(2, 4, 6, 8, 10, 12, 14, 16),
)  # fmt: skip

# VideoPose3D's 17 of Human3.6M's 32 joints, in its order (Pavllo et al., CVPR 2019).
H36M_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
H36M = Skeleton(
    names=(
        "Hip", "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "Spine", "Thorax",
        "Neck/Nose", "Head", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist",
    ),
    bones=tuple((joint, parent) for joint, parent in enumerate(H36M_PARENTS) if parent >= 0),
    left=(4, 5, 6, 11, 12, 13),
    right=(1, 2, 3, 14, 15, 16),
)  # fmt: skip

# The joints that both skeletons share, as (Human3.6M index, COCO index): the twelve of the limbs.
SHARED_JOINTS = (
    (1, 12), (2, 14), (3, 16), (4, 11), (5, 13), (6, 15),
    (11, 5), (12, 7), (13, 9), (14, 6), (15, 8), (16, 10),
)  # fmt: skip

# Keypoint-wise standard deviations of COCO's annotators, as in the COCO keypoint evaluation
# (https://cocodataset.org/#keypoints-eval); OKS uses twice these.
COCO_SIGMAS = np.array(
    [.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087,
     .089, .089]
)  # fmt: skip
