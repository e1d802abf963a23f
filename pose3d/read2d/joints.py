"""The joint sets of other tools, by name, and their way to COCO's 17 keypoints."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pose3d import limits
from pose3d.skeleton import COCO

_FACE_APART = ("right_eye", "left_eye", "right_ear", "left_ear")
_RIGHT_ARM = ("right_shoulder", "right_elbow", "right_wrist")
_LEFT_ARM = ("left_shoulder", "left_elbow", "left_wrist")
_RIGHT_LEG = ("right_hip", "right_knee", "right_ankle")
_LEFT_LEG = ("left_hip", "left_knee", "left_ankle")
_FEET = tuple(
    f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel")
)

# OpenPose's two bodies, by its documentation of the output format.
BODY_25: Final = (
    "nose", "neck", *_RIGHT_ARM, *_LEFT_ARM, "hip", *_RIGHT_LEG, *_LEFT_LEG, *_FACE_APART, *_FEET,
)  # fmt: skip
COCO_18: Final = (
    "nose", "neck", *_RIGHT_ARM, *_LEFT_ARM, *_RIGHT_LEG, *_LEFT_LEG, *_FACE_APART,
)  # fmt: skip
# Halpe's 26 (Fang et al., AlphaPose); its 136 and COCO's 133 whole bodies begin with COCO's 17.
HALPE_26: Final = (
    *COCO.names, "head", "neck", "hip", "left_big_toe", "right_big_toe", "left_small_toe",
    "right_small_toe", "left_heel", "right_heel",
)  # fmt: skip
WHOLE_133: Final = (*COCO.names, *("",) * 116)
HALPE_136: Final = (*HALPE_26, *("",) * 110)
# MediaPipe's pose landmarker, by its documentation.
MEDIAPIPE: Final = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
    "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky",
    "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb", "left_hip",
    "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel",
    "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip
# VideoPose3D's layout "h36m": no eyes and ears; what it calls the neck or nose lies at the nose.
H36M_LAYOUT: Final = (
    "hip", *_RIGHT_LEG, *_LEFT_LEG, "spine", "thorax", "nose", "head", *_LEFT_ARM, *_RIGHT_ARM,
)  # fmt: skip

_BY_COUNT = {
    len(names): names
    for names in (COCO.names, COCO_18, BODY_25, HALPE_26, MEDIAPIPE, WHOLE_133, HALPE_136)
}
BODIES: Final = tuple(sorted(_BY_COUNT))


def set_of(count: int) -> tuple[str, ...] | None:
    """The joint set that has so many joints, if there is one."""
    return _BY_COUNT.get(count)


def named(names: Sequence[str]) -> tuple[str, ...]:
    """Names as they are written here: ``Left Eye``, ``LEFT-EYE`` and ``left_eye`` are the same."""
    return tuple(re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_") for name in names)


def to_coco(
    points: NDArray[np.floating], scores: NDArray[np.floating], names: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Keypoints (N, K, 2) and scores (N, K) of joints with these names as COCO's 17.

    Scores are kept within [0, 1]. A point without a score, beyond all pictures, or at exactly
    (0, 0), where tools put what they did not find, is missing: NaN and score 0.
    """
    place = np.full((len(points), len(COCO), 2), np.nan, np.float32)
    score = np.zeros((len(points), len(COCO)), np.float32)
    for n, name in enumerate(COCO.names):
        if name in names:
            at = list(names).index(name)
            with np.errstate(over="ignore"):
                place[:, n], score[:, n] = points[:, at], scores[:, at]
    near = (np.abs(place) < limits.SIDE).all(-1)  # not so where it is NaN
    known = near & (score > 0) & place.any(-1)
    place[~known], score[~known] = np.nan, 0
    return place, np.clip(score, 0, 1)
