"""Keypoints freed of what no body can do, before they are lifted.

Left and right that change places for a moment are put back; a joint that leaps away and back faster
than muscles can is taken out; the rest is smoothed by what its score says it may err, never by more
than a punch or a kick accelerates; short gaps are filled, long ones stay.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pose3d.sequence import Keypoints2D
from pose3d.skeleton import COCO
from pose3d.smooth import smooth

SHORT = 0.25  # seconds of a gap that is filled
FILLED = 0.5  # times its neighbours' score, a filled keypoint's
FLIP = 0.5  # seconds that left and right may be exchanged, for it to be a mistake
FLIP_SHARE = 0.5  # how much better the exchanged ones must fit: 0 is as well, 1 is exactly
FLIP_APART = 0.08  # metres between left and right, below which they cannot be told apart
LONGEST_SPIKE = 3  # frames
SPIKE_NOISE = 0.06  # metres that a keypoint may always be off
ERROR, DOUBT = 0.012, 0.12  # metres that a keypoint errs: with score 1, and more towards 0
WINDOW = 0.5  # seconds around a frame whose sizes are compared

# Likely (smoothing) and largest possible (spikes) acceleration of each keypoint, m/s^2. A boxer's
# fist reaches 250 and more when it hits.
_LIKELY = {"wrist": 250.0, "ankle": 150.0, "elbow": 150.0, "knee": 80.0}
LIKELY = np.array([_LIKELY.get(name.split("_")[-1], 40.0) for name in COCO.names])
LARGEST = np.maximum(1.5 * LIKELY, 120.0)

# Joints that detectors exchange together, as (left, right) pairs.
_PAIRS = {
    part: (COCO.index(f"left_{part}"), COCO.index(f"right_{part}"))
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
}
GROUPS = (
    ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
    ("hip", "knee", "ankle"),
    ("knee", "ankle"),
    ("elbow", "wrist"),
)

# Lengths of an adult's bones in metres, by which pixels become metres; at least one of them is
# seldom foreshortened (Winter, "Biomechanics and motor control of human movement", 2009, for a
# height of 1.72 m).
_BONES = (
    (("left_shoulder", "left_hip"), 0.50), (("right_shoulder", "right_hip"), 0.50),
    (("left_hip", "left_knee"), 0.42), (("right_hip", "right_knee"), 0.42),
    (("left_knee", "left_ankle"), 0.42), (("right_knee", "right_ankle"), 0.42),
)  # fmt: skip
BONES = np.array([[COCO.index(a), COCO.index(b)] for (a, b), _ in _BONES])
LENGTHS = np.array([length for _, length in _BONES])

Array = NDArray[np.float64]


def clean(sequence: Keypoints2D) -> Keypoints2D:
    """A person's keypoints, without flips, spikes, tremor and short gaps.

    Parameters
    ----------
    sequence
        As detected; it is not changed.

    Returns
    -------
    Keypoints2D
        The same rows. Where a joint was missing for longer than :data:`SHORT`, it is still NaN
        with score 0.
    """
    points = np.asarray(sequence.keypoints, float)
    scores = np.where(np.isnan(points).any(-1), 0, np.nan_to_num(sequence.score)).astype(float)
    points = np.where(scores[..., None] > 0, points, np.nan)
    if len(points) < 3 or not scores.any():
        return sequence
    times = np.asarray(sequence.time, float)
    metre = pixels_per_metre(points, scores, times)
    points, scores = unflipped(points, scores, times, metre)
    scores[spikes(points, times, metre)] = 0
    points[scores == 0] = np.nan
    smoothed, certain = _smoothed(points, scores, times, metre)
    return replace(sequence, keypoints=smoothed, score=certain)


def pixels_per_metre(points: Array, scores: Array, times: Array) -> Array:
    """How large (T,) a metre is where the person is: the longest of the bones tells."""
    from scipy.ndimage import median_filter

    bones = np.linalg.norm(points[:, BONES[:, 0]] - points[:, BONES[:, 1]], axis=-1) / LENGTHS
    certain = np.minimum(scores[:, BONES[:, 0]], scores[:, BONES[:, 1]])
    longest = np.where(certain > 0.2, np.nan_to_num(bones), 0).max(1)
    known = longest > 1
    if not known.any():
        extent = np.nanmax(points[..., 1]) - np.nanmin(points[..., 1])
        return np.full(len(points), max(float(extent) / 1.7, 1.0))
    filled = np.interp(times, times[known], longest[known])
    width = 2 * round(WINDOW / max(float(np.median(np.diff(times))), 1e-3)) + 1
    return median_filter(filled, min(width, 2 * len(filled) - 1), mode="nearest")


def unflipped(points: Array, scores: Array, times: Array, metre: Array) -> tuple[Array, Array]:
    """Points (T, 17, 2) and scores (T, 17) whose left and right do not change for a moment."""
    points, scores = points.copy(), scores.copy()
    for group in GROUPS:
        left, right = np.array([_PAIRS[part] for part in group]).T
        moments = _exchanges(points[:, left], points[:, right], times, metre)
        at = 0
        while at + 1 < len(moments):
            start, stop = moments[at], moments[at + 1]
            if times[stop] - times[start] > FLIP:
                at += 1
                continue
            rows = np.s_[start:stop]
            for values in (points, scores):
                values[rows, left], values[rows, right] = (
                    values[rows, right].copy(),
                    values[rows, left].copy(),
                )
            at += 2
    return points, scores


def spikes(points: Array, times: Array, metre: Array) -> NDArray[np.bool_]:
    """Which keypoints (T, 17) leap from between their neighbours, and back, faster than possible.

    A body that goes from x(t0) to x(t1) with an acceleration of at most a is nowhere off the line
    between them by more than a (t - t0) (t1 - t) / 2.
    """
    wrong = np.zeros(points.shape[:2], bool)
    for joint, largest in enumerate(LARGEST):
        wrong[:, joint] = _leaps(points[:, joint], times, metre, largest)
    return wrong


def _leaps(points: Array, times: Array, metre: Array, largest: float) -> NDArray[np.bool_]:
    """As `spikes`, of one keypoint (T, 2) whose acceleration is at most `largest`."""
    count = len(times)
    wrong = np.zeros(count, bool)
    for length in range(1, LONGEST_SPIKE + 1):
        if count < length + 2:
            break
        first, last = np.arange(count - length - 1), np.arange(length + 1, count)
        clear = ~wrong[first] & ~wrong[last]
        outside = clear.copy()
        for step in range(1, length + 1):
            at = first + step
            before, after = times[at] - times[first], times[last] - times[at]
            share = (before / (before + after))[:, None]
            line = points[first] * (1 - share) + points[last] * share
            off = np.linalg.norm(points[at] - line, axis=-1)
            reach = largest * (before * after) / 2 + SPIKE_NOISE
            outside &= np.nan_to_num(off) > reach * metre[at]
        for step in range(1, length + 1):
            wrong[first + step] |= outside
    return wrong


def _exchanges(left: Array, right: Array, times: Array, metre: Array) -> NDArray[np.int64]:
    """Rows at which left (T, N, 2) becomes right and right left."""
    both = ~np.isnan(left).any((1, 2)) & ~np.isnan(right).any((1, 2))
    rows = np.flatnonzero(both)
    if len(rows) < 2:
        return rows[:0]
    a, b = rows[:-1], rows[1:]

    def apart(x: Array, y: Array) -> Array:
        return np.linalg.norm(x - y, axis=-1).sum(1)

    same = apart(left[b], left[a]) + apart(right[b], right[a])
    crossed = apart(left[b], right[a]) + apart(right[b], left[a])
    between = np.linalg.norm(left[b] - right[b], axis=-1).mean(1) / metre[b]
    between = np.minimum(between, np.linalg.norm(left[a] - right[a], axis=-1).mean(1) / metre[a])
    flips = (same - crossed > FLIP_SHARE * (same + crossed)) & (between > FLIP_APART)
    return b[flips & (times[b] - times[a] < SHORT)]


def _smoothed(
    points: Array, scores: Array, times: Array, metre: Array
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Smooth courses with short gaps filled; long gaps part them."""
    result = np.full(points.shape, np.nan, np.float32)
    certain = np.zeros(scores.shape, np.float32)
    for joint in range(points.shape[1]):
        known = np.flatnonzero(scores[:, joint] > 0)
        if not len(known):
            continue
        for piece in np.split(known, np.flatnonzero(np.diff(times[known]) > SHORT) + 1):
            rows = np.s_[piece[0] : piece[-1] + 1]
            there = scores[rows, joint] > 0
            values = np.where(there[:, None], points[rows, joint], 0)
            error = (ERROR + DOUBT * (1 - scores[rows, joint]) ** 2) * metre[rows]
            precision = np.where(there, error**-2, 0)
            acceleration = LIKELY[joint] * float(np.median(metre[rows]))
            result[rows, joint] = smooth(values, precision, times[rows], acceleration)
            score = np.interp(times[rows], times[piece], scores[piece, joint])
            certain[rows, joint] = np.where(there, score, FILLED * score)
    return result, certain
