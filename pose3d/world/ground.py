"""Which way is up, and what feet stand on.

Up is where standing people point, and what makes the heights of standing feet agree: of all
directions near the posture's, the one under which the heights of everyone's stances pile up most.
There may be several piles, for somebody may stand on something; the floor is the lowest that feet
stand on for long.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d.rows import chunks
from pose3d.skeleton import H36M
from pose3d.world.contact import Stance

POSTURE_ERROR = 4.0  # degrees: how far lifters and people lean alike over a whole clip
CAMERA_ERROR = 25.0  # degrees: how far cameras are tilted
STRAIGHT = 145.0  # degrees of the knee, from where a leg is straight
FORWARD = 2.0  # degrees that the neck of a standing person is ahead of the ankles: see below
LEANING = 35.0  # degrees between trunk and legs, up to where somebody stands
SPREAD = 10.0  # degrees from where a posture weighs little
SEARCH = 12.0  # degrees around the posture's up
AT_ONCE = 16  # directions tried at once: an hour has thousands of stances
ACROSS_ERROR, ALONG_ERROR = 0.03, 0.12  # of a stance's place, metres, across and along the view
SETTLED = 0.3  # seconds from where a stance tells its height as well as any
SPOT = 0.4  # metres within which depths err alike
SUPPORT_ERROR = 0.05  # metres within which heights are one support
SUPPORT_REACH = 0.15  # metres from a support at which a stance may still belong to it
SUPPORT_APART = 0.2  # metres between two supports
LONG = 0.5  # seconds of standing that make a support
SHARE = 0.04  # of all standing
BINS = 0.01  # metres

AXIS_JOINTS = (
    "LAnkle", "RAnkle", "LKnee", "RKnee", "LHip", "RHip", "Hip", "Thorax",
)  # fmt: skip

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Support:
    """Something that feet stand on: height of the ankles on it along up, and for how long."""

    height: float
    seconds: float


def posture_up(poses: Iterable[NDArray[np.floating]]) -> tuple[Array, float]:
    """Where standing people point, camera frame.

    Parameters
    ----------
    poses
        Of every person (T, 17, 3), metres, without missing rows.

    Returns
    -------
    up (3,)
        A unit vector; the picture's own up where nobody stands.
    error
        Its standard deviation in degrees.
    """
    picture = np.array([0.0, -1.0, 0.0])
    axes = np.concatenate([np.zeros((0, 3)), *(_standing_axes(pose) for pose in poses)])
    if len(axes) < 5:
        return picture, CAMERA_ERROR
    mean = unit(np.median(axes, 0))
    for _ in range(10):
        off = np.degrees(np.arccos(np.clip(axes @ mean, -1, 1)))
        mean = unit((axes / (1 + (off / SPREAD) ** 2)[:, None] ** 2).sum(0))
    return mean, POSTURE_ERROR


def level_up(places: list[Array], seconds: list[Array], prior: Array, error: float) -> Array:
    """The direction near `prior` under which standing feet agree best in height.

    Parameters
    ----------
    places, seconds
        (N, 3) and (N,) of every person's stances: heights of different people are not compared,
        since sizes that are not known shift them.
    prior, error
        Of :func:`posture_up`.
    """
    kept = [(p, _news(p, w)) for p, w in zip(places, seconds, strict=True) if len(p) >= 3]
    if not kept:
        return prior
    best, step = np.zeros(2), SEARCH / 6
    while step > 0.05:
        grid = best + step * np.stack(np.meshgrid(*[np.arange(-6, 7)] * 2), -1).reshape(-1, 2)
        grid = grid[np.hypot(*grid.T) <= SEARCH]
        ups = tilted(prior, grid)
        alike = np.concatenate([_agreement(kept, ups[c]) for c in chunks(len(ups), AT_ONCE)])
        best = grid[np.argmax(alike - (grid**2).sum(1) / (2 * error**2))]
        step /= 4
    return tilted(prior, best)


def supports(heights: Array, seconds: Array) -> list[Support]:
    """What the stances stand on, the floor first, then upwards.

    Parameters
    ----------
    heights
        (N,) of the ankles along up, metres.
    seconds
        (N,) that each lasted.
    """
    found: list[Support] = []
    left = np.asarray(seconds, float).copy()
    total = float(left.sum())
    while left.sum() > 0:
        density, edges = _density(heights, left)
        peak = edges[np.argmax(density)]
        near = np.abs(heights - peak) < SUPPORT_REACH
        lasted = float(left[near].sum())
        if lasted < max(min(LONG, total / 2), SHARE * total):
            break
        height = _weighted_median(heights[near], left[near])
        if all(abs(height - other.height) > SUPPORT_APART for other in found):
            found.append(Support(height, lasted))
        left[near] = 0
    return sorted(found, key=lambda support: support.height)


def nearest(height: Array, found: list[Support]) -> NDArray[np.int64]:
    """Index (N,) of the support that heights (N,) belong to; -1 for none."""
    if not found:
        return np.full(len(height), -1)
    away = np.abs(height[:, None] - np.array([support.height for support in found]))
    return np.where(away.min(1) < SUPPORT_REACH, away.argmin(1), -1)


def tilted(direction: Array, degrees: Array) -> Array:
    """A unit vector turned by (..., 2) degrees along two axes at right angles to it."""
    helper = np.array([1.0, 0, 0]) if abs(direction[0]) < 0.7 else np.array([0, 0, 1.0])
    a = unit(np.cross(direction, helper))
    axes = np.stack([a, np.cross(direction, a)])
    length = np.linalg.norm(degrees, axis=-1, keepdims=True)
    shift = np.tan(np.radians(length)) / np.maximum(length, 1e-12)
    return unit(direction + shift * (degrees @ axes))


def unit(vector: Array) -> Array:
    """A vector (..., 3) of length 1."""
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12)


def places_of(stances: list[Stance], people: int) -> tuple[list[Array], list[Array]]:
    """Places and durations of the stances, person by person."""
    places, seconds = [], []
    for person in range(people):
        own = [stance for stance in stances if stance.person == person]
        places.append(np.array([stance.place for stance in own]).reshape(-1, 3))
        seconds.append(np.array([stance.seconds for stance in own]))
    return places, seconds


def _standing_axes(pose: NDArray[np.floating]) -> Array:
    """From the feet to the neck (N, 3), unit, in the frames in which somebody stands straight."""
    joint = {name: np.asarray(pose[:, H36M.index(name)], float) for name in AXIS_JOINTS}
    feet = (joint["LAnkle"] + joint["RAnkle"]) / 2
    legs, trunk = joint["Hip"] - feet, joint["Thorax"] - joint["Hip"]
    upright = _angle(legs, trunk) < LEANING
    for side in "LR":
        thigh = joint[f"{side}Hip"] - joint[f"{side}Knee"]
        shank = joint[f"{side}Knee"] - joint[f"{side}Ankle"]
        upright &= _angle(thigh, shank) < 180 - STRAIGHT
    # Weight rests on the ball of the foot, ahead of the ankle. FORWARD is the median over the
    # people of the CMU and HDM05 archives.
    body = unit(joint["Thorax"] - feet)
    backward = unit(np.cross(body, joint["LHip"] - joint["RHip"]))
    return unit(body + np.tan(np.radians(FORWARD)) * backward)[upright]


def _angle(a: Array, b: Array) -> Array:
    return np.degrees(np.arccos(np.clip((unit(a) * unit(b)).sum(-1), -1, 1)))


def _agreement(people: list[tuple[Array, Array]], ups: Array) -> Array:
    """How much heights pile up along each of `ups` (G, 3): log likelihoods (G,).

    About half a unit for each stance that agrees.
    """
    total = np.zeros(len(ups))
    for places, weight in people:
        heights = ups @ places.T
        along = ups @ unit(places).T
        width = np.median(np.sqrt(ACROSS_ERROR**2 + (ALONG_ERROR * along) ** 2), axis=1)
        here = np.empty_like(heights)
        for n, height in enumerate(heights):
            density, edges = _density(height, weight, float(width[n]))
            here[n] = np.interp(height, edges, density)
        # Half, since every stance is measured against the others, which it moves as well.
        total += 0.5 * np.log(np.maximum(here / weight.sum(), 1e-3)) @ weight
    return total


def _news(places: Array, seconds: Array) -> Array:
    """Weight (N,) of stances: however often one stands in a place, it tells its height once."""
    _, cell, count = np.unique(
        np.floor(places / SPOT).astype(int), axis=0, return_inverse=True, return_counts=True
    )
    return np.minimum(seconds / SETTLED, 1.0) / count[cell.ravel()]


def _density(heights: Array, weights: Array, width: float = SUPPORT_ERROR) -> tuple[Array, Array]:
    """Smoothed histogram and its bins' places; a single height of weight 1 peaks at 1."""
    low = heights.min() - 4 * width
    count = int((heights.max() + 4 * width - low) / BINS) + 2
    # Feet kilometres apart come from broken depths: coarser bins will do.
    size = BINS * max(1.0, count / 5000)
    count = min(count, 5001)
    at = ((heights - low) / size).astype(int)
    histogram = np.bincount(at.clip(0, count - 1), weights, minlength=count)
    reach = max(int(4 * width / size), 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * size / width) ** 2)
    return np.convolve(histogram, kernel, "same"), low + (np.arange(count) + 0.5) * size


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(sums, sums[-1] / 2)])
