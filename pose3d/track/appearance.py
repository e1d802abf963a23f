"""What people wear: colour histograms of trunk and thighs, cheap, and enough to tell two apart."""

import numpy as np
from numpy.typing import NDArray

from pose3d.skeleton import COCO

# Corners of the patches that are looked at: shoulders and hips, hips and knees.
PATCHES = tuple(
    tuple(COCO.index(f"{side}_{part}") for part in pair for side in ("left", "right"))
    for pair in (("shoulder", "hip"), ("hip", "knee"))
)
BINS = (8, 3, 3)  # hue, saturation, value
BINS_OF_BOTH = 2 * 8 * 3 * 3
SMALLEST = 4  # pixels of a patch's side
SAMPLES = 32  # pixels a side at most
MIN_SCORE = 0.3


def colours(
    image: NDArray[np.uint8], keypoints: NDArray[np.floating], scores: NDArray[np.floating]
) -> NDArray[np.float32] | None:
    """Histogram (144,) of what somebody wears; None where too little of it is seen.

    Parameters
    ----------
    image
        (H, W, 3) RGB.
    keypoints, scores
        (17, 2) COCO keypoints in pixels and (17,) in [0, 1].
    """
    parts = [_patch(image, keypoints[list(p)], scores[list(p)]) for p in PATCHES]
    if parts[0] is None:
        return None
    trunk, thighs = parts
    return np.concatenate([trunk, thighs if thighs is not None else np.zeros_like(trunk)])


def difference(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Hellinger's distance of two sums of histograms, from 0 for the same colours to 1."""
    halves = len(a) // 2
    distances, weights = [], []
    for part, weight in ((slice(0, halves), 2.0), (slice(halves, None), 1.0)):
        total = float(a[part].sum() * b[part].sum())
        if total > 0:
            alike = float(np.sqrt(a[part] * b[part]).sum()) / total**0.5
            distances.append(np.sqrt(max(1 - alike, 0.0)))
            weights.append(weight)
    return float(np.average(distances, weights=weights)) if distances else float("nan")


def _patch(
    image: NDArray[np.uint8], corners: NDArray[np.floating], scores: NDArray[np.floating]
) -> NDArray[np.float32] | None:
    """Histogram, of sum 1, of the upright rectangle between four corners (4, 2)."""
    import cv2

    if not (scores > MIN_SCORE).all():
        return None
    middle, half = corners.mean(0), np.ptp(corners, axis=0) / 2
    # From the side the shoulders meet, yet the trunk has a width.
    half = np.maximum(half * [0.8, 0.8], 0.15 * half.max())
    low = np.clip(middle - half, 0, image.shape[1::-1]).astype(int)
    high = np.clip(middle + half, 0, image.shape[1::-1]).astype(int)
    if (high - low).min() < SMALLEST:
        return None
    step = np.maximum((high - low) // SAMPLES, 1)
    patch = np.ascontiguousarray(image[low[1] : high[1] : step[1], low[0] : high[0] : step[0]])
    hsv = cv2.cvtColor(patch, cv2.COLOR_RGB2HSV)
    histogram = cv2.calcHist([hsv], [0, 1, 2], None, BINS, [0, 180, 0, 256, 0, 256]).ravel()
    return (histogram / max(float(histogram.sum()), 1.0)).astype(np.float32)
