"""Where the hip is in space: the path that explains the keypoints best.

A joint at X relative to the hip that is seen on the ray (x, y, 1) puts two linear conditions on the
hip's place t before the camera: t_x - x t_z = x X_z - X_x, and likewise for y. Their residuals are
metres across the line of sight. All frames are solved together, joints that contradict the others
weigh less (Geman and McClure), and the path is as smooth as people can move.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d.rows import Computed, Rows, chunks, windows
from pose3d.skeleton import SHARED_JOINTS
from pose3d.smooth import smooth_vectors

# What a lifter errs across the line of sight, metres, and over how many frames it errs alike.
LIFTING_ERROR = 0.03
ALIKE = 5
OUTLIER = 0.08  # metres from where a joint weighs little
PIXEL_ERROR = 4.0  # of a keypoint with score 0.5, in pixels of a person 300 pixels tall
ROUNDS = 4
MIN_KEYPOINTS = 4
MARGIN = 15.0  # seconds of what is seen on either side that a place heeds
NEAREST = 0.3  # metres: nobody is closer to the lens
# Likely accelerations of the hip, m/s^2: across the line of sight as in a jump; along it, where
# size is all that tells, somewhat less.
ACROSS, ALONG = 12.0, 10.0

JOINTS, KEYPOINTS = np.array(SHARED_JOINTS).T
# COCO's annotators put hips elsewhere than the joints are.
RELIABLE = np.where(np.isin(JOINTS, (1, 4)), 0.5, 1.0)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What the picture says about the hip's place, frame by frame.

    Attributes
    ----------
    information
        (T, 3, 3) inverse covariance.
    target
        (T, 3) information times place.
    """

    information: Array
    target: Array

    def turned(self, rotation: Array, translation: Array) -> "Evidence":
        """The same in another frame of reference: x' = rotation x + translation."""
        information = rotation @ self.information @ rotation.T
        return Evidence(information, self.target @ rotation.T + information @ translation)

    def scaled(self, factor: float) -> "Evidence":
        """The same of somebody so many times as large."""
        return Evidence(self.information / factor**2, self.target / factor)

    def __getitem__(self, rows: slice) -> "Evidence":
        return Evidence(self.information[rows], self.target[rows])


def root_path(
    joints: NDArray[np.floating],
    rays: Rows,
    scores: NDArray[np.floating],
    times: NDArray[np.floating],
) -> tuple[Array, Computed]:
    """The hip's place in every frame, camera frame, metres.

    Parameters
    ----------
    joints
        (T, 17, 3) relative to the hip, Human3.6M order, camera frame; NaN where missing.
    rays
        (T, 17, 2) COCO keypoints on the plane z = 1, without lens distortion; NaN where missing.
    scores
        (T, 17) of the keypoints in [0, 1].
    times
        (T,) seconds.

    Returns
    -------
    root (T, 3)
        NaN where the joints are, or where nothing was ever seen.
    evidence
        What each frame alone says: its rows are :class:`Evidence`, worked out when asked for.
    """
    count = len(times)
    root, heeded = np.full((count, 3), np.nan), np.full((count, 3), np.nan)
    blur = np.zeros(count)
    for rows in pieces(~np.isnan(joints[:, 0, 0])):
        part = Computed(lambda some: rays[some]).part(rows)
        blur[rows] = _blur(part, scores[rows])
        if blur[rows.start] > 0:
            seen = joints[rows], part, scores[rows], np.asarray(times[rows], float), blur[rows]
            _solve(*seen, root[rows], heeded[rows])

    def evidence(rows: slice) -> Evidence:
        where = heeded[rows], blur[rows]
        return _evidence(joints[rows], rays[rows], scores[rows], *where, robust=True)

    return root, Computed(evidence)


def pieces(known: NDArray[np.bool_]) -> list[slice]:
    """Stretches of rows that are all known."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _blur(rays: Rows, scores: NDArray[np.floating]) -> float:
    """How far keypoints of a stretch are off on the plane z = 1; 0 where nothing is seen."""
    heights = np.concatenate([_height(rays[c], scores[c]) for c in chunks(len(scores))])
    seen = heights[heights > 0]
    return PIXEL_ERROR / 300 * max(float(np.median(seen)), 1e-3) if len(seen) else 0.0


def _solve(
    joints: NDArray[np.floating],
    rays: Rows,
    scores: NDArray[np.floating],
    times: Array,
    blur: Array,
    path: Array,
    before: Array,
) -> None:
    """Fill in the path (T, 3) of a stretch without gaps, and the one that its evidence heeds."""
    telling = np.concatenate([_known(rays[c], scores[c]).any(1) for c in chunks(len(times))])
    path[:] = [0.0, 0.0, 5.0]
    for number in range(ROUNDS):
        before[:] = path
        calm = acceleration_along(before)
        for window in windows(times, MARGIN, telling):
            a = window.around
            seen = joints[a], rays[a], scores[a], before[a], blur[a]
            evidence = _evidence(*seen, robust=number > 0)
            solved = smooth_vectors(evidence.information, evidence.target, times[a], calm)
            path[window.core] = solved[window.inner]
    _push_before_the_camera(path, times)


def _known(rays: NDArray[np.floating], scores: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which of the keypoints that joints share (T, J) are seen, where they are enough."""
    seen = ~np.isnan(rays[:, KEYPOINTS]).any(-1) & (scores[:, KEYPOINTS] > 0)
    return np.asarray(seen & (seen.sum(1) >= MIN_KEYPOINTS)[:, None])


def _height(rays: NDArray[np.floating], scores: NDArray[np.floating]) -> Array:
    """How high (T,) somebody is on the plane z = 1; negative where not enough is seen."""
    seen, y = _known(rays, scores), rays[:, KEYPOINTS, 1]
    return np.where(seen, y, -np.inf).max(1) - np.where(seen, y, np.inf).min(1)


def _evidence(
    joints: NDArray[np.floating],
    rays: NDArray[np.floating],
    scores: NDArray[np.floating],
    path: Array,
    blur: Array,
    robust: bool,
) -> Evidence:
    """What every frame says by itself, by its distance; `robust` heeds who contradicts the path.

    The conditions' rows are (1, 0, -x) and (0, 1, -y); `blur` (T,) is how far keypoints are off on
    the plane z = 1. Frames without a place in the path say nothing.
    """
    placed = np.isfinite(path[:, 0])
    path = np.where(placed[:, None], path, 0)
    seen = _known(rays, scores) & placed[:, None]
    ray = np.where(seen[..., None], rays[:, KEYPOINTS], 0).astype(float)
    joint = np.where(placed[:, None, None], joints[:, JOINTS], 0).astype(float)
    score = scores[:, KEYPOINTS].astype(float)
    wanted = ray * joint[..., 2:] - joint[..., :2]
    depth = np.maximum(path[:, 2], NEAREST)[:, None]
    keypoint = blur[:, None] * depth * (1.5 - score) / np.maximum(score, 0.05) / 2
    weight = seen * RELIABLE / (ALIKE * (LIFTING_ERROR**2 + keypoint**2))
    if robust:
        error = path[:, None, :2] - ray * path[:, None, 2:] - wanted
        weight /= (1 + (error**2).sum(-1) / OUTLIER**2) ** 2
    weighted = weight[..., None] * ray
    information = np.zeros((len(path), 3, 3))
    information[:, 0, 0] = information[:, 1, 1] = weight.sum(1)
    information[:, :2, 2] = information[:, 2, :2] = -weighted.sum(1)
    information[:, 2, 2] = np.einsum("tjc,tjc->t", weighted, ray)
    target = np.empty((len(path), 3))
    target[:, :2] = np.einsum("tj,tjc->tc", weight, wanted)
    target[:, 2] = -np.einsum("tjc,tjc->t", weighted, wanted)
    return Evidence(information, target)


def acceleration_along(path: Array) -> Array:
    """Inverse covariance (3, 3) of the hip's acceleration for someone seen along `path`."""
    ray = np.array([np.median(axis) for axis in path.T])
    ray = ray / max(float(np.linalg.norm(ray)), 1e-9)
    outer = np.outer(ray, ray)
    return outer / ALONG**2 + (np.eye(3) - outer) / ACROSS**2


def _push_before_the_camera(path: Array, times: Array) -> None:
    """Push a path out to where a lens can see it."""
    np.maximum(path[:, 2], NEAREST, out=path[:, 2])
    if not (np.isfinite(path).all() and (np.diff(times) > 0).all()):
        path[:] = np.nan
