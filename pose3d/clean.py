"""Keypoints freed of what no body can do, before they are lifted.

Left and right that change places for a moment are put back; a joint that leaps away and back faster
than muscles can is taken out; the rest is smoothed by what its score says it may err, never by more
than a punch or a kick accelerates; short gaps are filled, long ones stay.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pose3d.rows import chunks, windows
from pose3d.sequence import Keypoints2D
from pose3d.skeleton import COCO
from pose3d.smooth import smooth

SHORT = 0.25  # seconds of a gap that is filled
FILLED = 0.5  # times its neighbours' score, a filled keypoint's
FLIP = 0.5  # seconds that left and right may be exchanged, for it to be a mistake
FLIP_SHARE = 0.5  # how much better the exchanged ones must fit: 0 is as well, 1 is exactly
FLIP_APART = 0.08  # metres between left and right, below which they cannot be told apart
LONGEST_SPIKE = 3  # frames
REACH = 16  # frames on either side that decide what is one: no fewer than 2 + 3 + 4
SPIKE_NOISE = 0.06  # metres that a keypoint may always be off
ERROR, DOUBT = 0.012, 0.12  # metres that a keypoint errs: with score 1, and more towards 0
MARGIN = 3.0  # seconds on either side that a smoothed place heeds
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
Points = NDArray[np.float32]
Indices = NDArray[np.integer]


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
    points = np.array(sequence.keypoints, np.float32)
    scores = np.nan_to_num(np.array(sequence.score, np.float32), copy=False)
    scores[np.isnan(points).any(-1)] = 0
    points[~(scores > 0)] = np.nan
    if len(points) < 3 or not scores.any():
        return sequence
    times = np.asarray(sequence.time, float)
    metre = pixels_per_metre(points, scores, times)
    unflip(points, scores, times, metre)
    wrong = spikes(points, times, metre)
    scores[wrong], points[wrong] = 0, np.nan
    _smooth(points, scores, times, metre)
    return replace(sequence, keypoints=points, score=scores)


def pixels_per_metre(points: Points, scores: Points, times: Array) -> Array:
    """How large (T,) a metre is where the person is: the longest of the bones tells."""
    from scipy.ndimage import median_filter

    longest = np.empty(len(points))
    for c in chunks(len(points)):
        seen = points[c].astype(float)
        bones = np.linalg.norm(seen[:, BONES[:, 0]] - seen[:, BONES[:, 1]], axis=-1) / LENGTHS
        certain = np.minimum(scores[c][:, BONES[:, 0]], scores[c][:, BONES[:, 1]])
        longest[c] = np.where(certain > 0.2, np.nan_to_num(bones), 0).max(1)
    known = longest > 1
    if not known.any():
        extent = np.nanmax(points[..., 1]) - np.nanmin(points[..., 1])
        return np.full(len(points), max(float(extent) / 1.7, 1.0))
    filled = np.interp(times, times[known], longest[known])
    width = 2 * round(WINDOW / max(float(np.median(np.diff(times))), 1e-3)) + 1
    return median_filter(filled, min(width, 2 * len(filled) - 1), mode="nearest")


def unflip(points: Points, scores: Points, times: Array, metre: Array) -> None:
    """Put left and right of points (T, 17, 2) and scores (T, 17) back that change for a moment."""
    for group in GROUPS:
        left, right = np.array([_PAIRS[part] for part in group]).T
        moments = _exchanges(points, left, right, times, metre)
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


def spikes(points: Points, times: Array, metre: Array) -> NDArray[np.bool_]:
    """Which keypoints (T, 17) leap from between their neighbours, and back, faster than possible.

    A body that goes from x(t0) to x(t1) with an acceleration of at most a is nowhere off the line
    between them by more than a (t - t0) (t1 - t) / 2.
    """
    wrong = np.zeros(points.shape[:2], bool)
    for c in chunks(len(points)):
        around = slice(max(c.start - REACH, 0), min(c.stop + REACH, len(points)))
        inner = slice(c.start - around.start, c.stop - around.start)
        wrong[c] = _leaps(points[around].astype(float), times[around], metre[around])[inner]
    return wrong


def _leaps(points: Array, times: Array, metre: Array) -> NDArray[np.bool_]:
    """As `spikes`, all at once."""
    count = len(times)
    wrong = np.zeros(points.shape[:2], bool)
    for length in range(1, LONGEST_SPIKE + 1):
        if count < length + 2:
            break
        first, last = slice(count - length - 1), slice(length + 1, count)
        outside = ~wrong[first] & ~wrong[last]
        leaps = [slice(step, step + count - length - 1) for step in range(1, length + 1)]
        for at in leaps:
            before, after = times[at] - times[first], times[last] - times[at]
            share = (before / (before + after))[:, None, None]
            line = points[first] * (1 - share) + points[last] * share
            off = np.linalg.norm(points[at] - line, axis=-1)
            reach = LARGEST * (before * after)[:, None] / 2 + SPIKE_NOISE
            outside &= np.nan_to_num(off) > reach * metre[at, None]
        for at in leaps:
            wrong[at] |= outside
    return wrong


def _exchanges(
    points: Points, left: Indices, right: Indices, times: Array, metre: Array
) -> NDArray[np.int64]:
    """Rows at which the joints of the left become those of the right, and these the left's."""
    joints = np.concatenate([left, right])
    rows = np.flatnonzero(~np.isnan(points[:, joints, 0]).any(1))
    found = [rows[:0]]
    for c in chunks(len(rows) - 1):
        a, b = rows[c], rows[c.start + 1 : c.stop + 1]
        before, after = points[a].astype(float), points[b].astype(float)
        changed = _exchanged(before, after, left, right, metre[b])
        found.append(b[changed & (times[b] - times[a] < SHORT)])
    return np.concatenate(found)


def _exchanged(
    before: Array, after: Array, left: Indices, right: Indices, metre: Array
) -> NDArray[np.bool_]:
    """Whether left and right change places (N,) from joints (N, 17, 2) to those a frame later."""

    def apart(x: Array, y: Array) -> Array:
        return np.linalg.norm(x - y, axis=-1)

    same = sum(apart(after[:, side], before[:, side]).sum(1) for side in (left, right))
    crossed = apart(after[:, left], before[:, right]).sum(1)
    crossed += apart(after[:, right], before[:, left]).sum(1)
    between = [apart(points[:, left], points[:, right]).mean(1) for points in (after, before)]
    better = same - crossed > FLIP_SHARE * (same + crossed)
    return np.asarray(better & (np.minimum(*between) / metre > FLIP_APART))


def _smooth(points: Points, scores: Points, times: Array, metre: Array) -> None:
    """Smooth courses, in place, with short gaps filled; long gaps part them."""
    for joint in range(points.shape[1]):
        known = np.flatnonzero(scores[:, joint] > 0)
        for piece in np.split(known, np.flatnonzero(np.diff(times[known]) > SHORT) + 1):
            if len(piece):
                rows = slice(int(piece[0]), int(piece[-1]) + 1)
                course = points[rows, joint], scores[rows, joint], times[rows], metre[rows]
                _smooth_course(*course, LIKELY[joint])


def _smooth_course(
    points: Points, scores: Points, times: Array, metre: Array, likely: float
) -> None:
    """As `_smooth`, of one keypoint (T, 2) without long gaps."""
    acceleration = likely * float(np.median(metre))
    there = scores > 0
    raw, certain = points.copy(), scores.copy()
    for window in windows(times, MARGIN, there):
        around, inner = window.around, window.inner
        seen = there[around]
        values = np.where(seen[:, None], raw[around], 0).astype(float)
        error = (ERROR + DOUBT * (1 - certain[around].astype(float)) ** 2) * metre[around]
        precision = np.where(seen, error**-2, 0)
        points[window.core] = smooth(values, precision, times[around], acceleration)[inner]
        near = certain[around][seen].astype(float)
        score = np.interp(times[window.core], times[around][seen], near)
        scores[window.core] = np.where(seen[inner], score, FILLED * score)
