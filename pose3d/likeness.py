"""How alike two people of a picture are: by their keypoints, by their boxes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.skeleton import COCO_SIGMAS

PERSON_SHARE = 0.53  # a person's area as a share of the box, the mean in COCO
OUTWARD = np.array([[1, 0, -1, 0], [0, 1, 0, -1], [-1, 0, 1, 0], [0, -1, 0, 1]], np.float32)
VARIANCES = (2 * COCO_SIGMAS) ** 2


def oks(
    keypoints: NDArray[np.floating],
    scores: NDArray[np.floating],
    boxes: NDArray[np.floating],
    others: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Object keypoint similarity (N, P) of keypoints (N, 17, 2) and others' (P, 17, 2).

    As in the COCO keypoint evaluation, each keypoint weighted by its score (N, 17); a person's
    area is taken as 0.53 of the box (N, 4), the mean in COCO.
    """
    area = PERSON_SHARE * np.maximum(_product(boxes[:, 2:] - boxes[:, :2]), 1.0)
    squared = (others[None] - keypoints[:, None]) ** 2
    distances = squared[..., 0] + squared[..., 1]
    alike = np.exp(-distances / (2 * area[:, None, None] * VARIANCES))
    weights = scores + 1e-6
    return np.einsum("npk,nk->np", alike, weights) / weights.sum(1)[:, None]


def widened(boxes: NDArray[np.floating], share: NDArray[np.floating]) -> NDArray[np.floating]:
    """Boxes (..., 4) grown by a share of their size on every side."""
    return boxes + share * (boxes @ OUTWARD)


def overlap(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of boxes (..., 4)."""
    shared = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    intersection = _product(np.maximum(shared, 0))
    union = _product(a[..., 2:] - a[..., :2]) + _product(b[..., 2:] - b[..., :2])
    return intersection / np.maximum(union - intersection, 1e-9)


def covered(box: NDArray[np.floating], others: NDArray[np.floating]) -> float:
    """Share of a box (4,) that the one of the others (P, 4) which covers most of it covers."""
    shared = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    area = max(float((box[2:] - box[:2]).prod()), 1e-9)
    return float(shared.clip(0).prod(1).max(initial=0)) / area


def _product(sides: NDArray[Any]) -> NDArray[Any]:
    """Areas (...) of sides (..., 2): NumPy's own product is slow along so short an axis."""
    return sides[..., 0] * sides[..., 1]
