"""What people wear: colour histograms of trunk and thighs, cheap, and enough to tell two apart."""

import numpy as np
from numpy.typing import NDArray

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
    seen = (scores[PATCHES] > MIN_SCORE).all(1)
    if not seen[0]:
        return None
    corners = keypoints[PATCHES]
    middle, half = corners.mean(1), np.ptp(corners, axis=1) / 2
    # From the side the shoulders meet, yet the trunk has a width.
    half = np.maximum(np.float64(0.8) * half, 0.15 * half.max(1, keepdims=True))
    ends = np.stack([middle - half, middle + half], 1)
    low_high = np.clip(ends, 0, image.shape[1::-1]).astype(int)
    trunk, thighs = (
        _histogram(image, *ends) if whole else None
        for ends, whole in zip(low_high.tolist(), seen, strict=True)
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


def _histogram(
    image: NDArray[np.uint8], low: list[int], high: list[int]
) -> NDArray[np.float32] | None:
    """Histogram, of sum 1, of the upright rectangle between two corners x, y."""
    import cv2

    sides = [end - start for start, end in zip(low, high, strict=True)]
    if min(sides) < SMALLEST:
        return None
    patch = patch_of(image, low, high, [max(side // SAMPLES, 1) for side in sides])
    hsv = cv2.cvtColor(patch, cv2.COLOR_RGB2HSV)
    histogram = cv2.calcHist([hsv], [0, 1, 2], None, BINS, [0, 180, 0, 256, 0, 256]).ravel()
    return (histogram / max(float(histogram.sum()), 1.0)).astype(np.float32)


def patch_of(
    image: NDArray[np.uint8], low: list[int], high: list[int], step: list[int]
) -> NDArray[np.uint8]:
    """Every so manieth pixel, RGB, of the rectangle between two corners; all three are x, y."""
    return np.ascontiguousarray(image[low[1] : high[1] : step[1], low[0] : high[0] : step[0]])
