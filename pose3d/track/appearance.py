"""What people wear: colour histograms of trunk and thighs, cheap, and enough to tell two apart."""

import numpy as np
from numpy.typing import NDArray

from pose3d.frame import Frame
from pose3d.skeleton import COCO

# Corners of the patches that are looked at: shoulders and hips, hips and knees.
PATCHES = np.array(
    [
        [COCO.index(f"{side}_{part}") for part in pair for side in ("left", "right")]
        for pair in (("shoulder", "hip"), ("hip", "knee"))
    ]
)
BINS = (8, 3, 3)  # hue, saturation, value
BINS_OF_BOTH = 2 * 8 * 3 * 3
SMALLEST = 4  # pixels of a patch's side
SAMPLES = 32  # pixels a side at most
MIN_SCORE = 0.3


def colours(
    frame: Frame, keypoints: NDArray[np.floating], scores: NDArray[np.floating]
) -> NDArray[np.float32] | None:
    """Histogram (144,) of what somebody wears; None where too little of it is seen.

    Parameters
    ----------
    frame
        In which they are seen.
    keypoints, scores
        (17, 2) COCO keypoints in pixels and (17,) in [0, 1].
    """
    seen = (scores[PATCHES] > MIN_SCORE).all(1)
    if not seen[0]:
        return None
    corners = keypoints[PATCHES]
    middle, half = corners.mean(1), (corners.max(1) - corners.min(1)) / 2
    # From the side the shoulders meet, yet the trunk has a width.
    half = np.maximum(np.float64(0.8) * half, 0.15 * half.max(1, keepdims=True))
    low = np.clip(middle - half, 0, frame.size).astype(int).tolist()
    high = np.clip(middle + half, 0, frame.size).astype(int).tolist()
    trunk, thighs = (
        _histogram(frame, low[n], high[n]) if seen[n] else None for n in range(len(PATCHES))
    )
    if trunk is None:
        return None
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


def _histogram(frame: Frame, low: list[int], high: list[int]) -> NDArray[np.float32] | None:
    """Histogram, of sum 1, of the upright rectangle between two corners x, y."""
    import cv2

    sides = [end - start for start, end in zip(low, high, strict=True)]
    if min(sides) < SMALLEST:
        return None
    columns, rows = (
        range(start, end, max(side // SAMPLES, 1))
        for start, end, side in zip(low, high, sides, strict=True)
    )
    patch = np.ascontiguousarray(frame.patch(rows, columns))
    hsv = cv2.cvtColor(patch, cv2.COLOR_RGB2HSV)
    histogram = cv2.calcHist([hsv], [0, 1, 2], None, BINS, [0, 180, 0, 256, 0, 256]).ravel()
    return (histogram / max(float(histogram.sum()), 1.0)).astype(np.float32)
