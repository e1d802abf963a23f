"""Feet that stand still, and where.

A standing ankle does not move in the picture of a still camera, which keypoints tell to a few
pixels. A foot that swings along the line of sight moves little there too, so it must also be still
in space, where more is allowed for what depth errs.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose3d.rows import Rows, windows
from pose3d.skeleton import COCO, H36M
from pose3d.smooth import derivative, smooth
from pose3d.world.path import pieces

ANKLES = (H36M.index("LAnkle"), H36M.index("RAnkle"))
ANKLE_KEYPOINTS = (COCO.index("left_ankle"), COCO.index("right_ankle"))
HIPS = (H36M.index("LHip"), H36M.index("RHip"))

IN_PICTURE = 0.45  # m/s across the line of sight, above which a foot moves
IN_SPACE = 1.0  # m/s
VERTICAL = 0.5  # m/s
DOUBT = 1.7  # times as fast, a foot between two rests has not moved
SHORTEST = 0.1  # seconds that a foot stands at least
HOLE = 0.07  # seconds of doubt that are no step
MIN_SCORE = 0.15
ERROR = 0.02  # of an ankle in the picture, metres at the person's distance
ERROR_3D = 0.04
SWING = 40.0  # m/s^2, likely acceleration of a foot
MARGIN = 8.0  # seconds on either side that a speed heeds
BELOW_HIP = 0.35  # metres that a foot which carries somebody is lower than the hip

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stance:
    """A foot that stands for a while.

    Attributes
    ----------
    person, side
        Whose; 0 is the left foot, 1 the right.
    rows
        Of the person's sequence.
    place
        (3,) of the ankle, mean over the rows.
    seconds
        How long.
    """

    person: int
    side: int
    rows: slice
    place: Array
    seconds: float

    def shifted(self, rows: int) -> "Stance":
        """The same in a sequence that begins so many rows earlier."""
        return replace(self, rows=slice(self.rows.start + rows, self.rows.stop + rows))

    def cut(self, rows: slice) -> "Stance":
        """As far as it lies in `rows`, which it then refers to."""
        first, stop = max(self.rows.start, rows.start), min(self.rows.stop, rows.stop)
        return replace(self, rows=slice(first - rows.start, stop - rows.start))


def among(stances: list[Stance], rows: slice) -> list[int]:
    """Which stances share some rows."""
    return [
        n for n, s in enumerate(stances) if s.rows.start < rows.stop and s.rows.stop > rows.start
    ]


def standing(
    ankles: Rows,
    lower: Rows,
    rays: Rows,
    scores: NDArray[np.floating],
    known: NDArray[np.bool_],
    times: Array,
    up: Array,
) -> NDArray[np.bool_]:
    """Whether the left and the right foot (T, 2) stand still.

    Parameters
    ----------
    ankles
        (T, 2, 3) in the camera frame, metres.
    lower
        (T, 2) metres that each is lower than its hip joint.
    rays, scores
        (T, 2, 2) of the ankles' keypoints on the plane z = 1, and (T, 2).
    known
        (T,) whether there are ankles.
    times
        (T,) seconds.
    up
        (3,) unit vector in the camera frame.
    """
    contact = np.zeros((len(times), 2), bool)
    for rows in pieces(known):
        if rows.stop - rows.start < 3:
            continue
        speed = np.empty((rows.stop - rows.start, 2), np.float32)
        for window in windows(times[rows], MARGIN):
            around, core = _later(window.around, rows.start), _later(window.core, rows.start)
            ankle, ray = ankles[around], rays[around]
            for side in range(2):
                seen = ankle[:, side], ray[:, side], scores[around, side], times[around]
                speed[window.core, side] = _speed(*seen, up)[window.inner]
            contact[core] = lower[core] > BELOW_HIP
        for side in range(2):
            contact[rows, side] &= _still(speed[:, side])
    return lasting(contact, times)


def _later(rows: slice, count: int) -> slice:
    return slice(rows.start + count, rows.stop + count)


def lasting(contact: NDArray[np.bool_], times: Array) -> NDArray[np.bool_]:
    """Contacts (T, 2) without holes of a frame or two and without ones that short."""
    result = contact.copy()
    for side in range(2):
        on = result[:, side]
        for rows in pieces(~on):
            inside = rows.start > 0 and rows.stop < len(on)
            if inside and times[rows.stop - 1] - times[rows.start - 1] < HOLE:
                on[rows] = True
        for rows in pieces(on):
            if times[rows.stop - 1] - times[rows.start] < SHORTEST:
                on[rows] = False
    return result


def stances(
    contact: NDArray[np.bool_], ankles: Rows, times: Array, person: int = 0
) -> list[Stance]:
    """The stances of one person; ankles (T, 2, 3) in any frame of reference."""
    return [
        Stance(
            person,
            side,
            rows,
            np.median(ankles[rows][:, side], 0),
            float(times[rows.stop - 1] - times[rows.start]),
        )
        for side in range(2)
        for rows in pieces(contact[:, side])
    ]


def _speed(ankle: Array, ray: Array, score: NDArray[np.floating], times: Array, up: Array) -> Array:
    """How fast (T,) one ankle (T, 3), seen at (T, 2) with a score (T,), is; below 1 it stands."""
    seen = (score > MIN_SCORE) & ~np.isnan(ray[:, 0])
    # Where it is not seen, the lifted ankle tells.
    lifted = ankle[:, :2] / np.maximum(ankle[:, 2:], 0.1)
    depth = smooth(ankle[:, 2:], np.full(len(times), ERROR_3D**-2 / 25), times, 2.0)[:, 0]
    across = np.where(seen[:, None], ray, lifted) * depth[:, None]
    precision = np.where(seen, np.clip(score, 0.1, 1), 0.1) / ERROR**2
    across = smooth(across, precision, times, SWING)
    towards = derivative(depth, times)[:, None] * across / np.maximum(depth, 0.1)[:, None]
    in_picture = np.linalg.norm(derivative(across, times) - towards, axis=1)
    place = smooth(ankle, np.full(len(times), ERROR_3D**-2), times, SWING)
    velocity = derivative(place, times)
    return np.maximum.reduce(
        [
            in_picture / IN_PICTURE,
            np.linalg.norm(velocity, axis=1) / IN_SPACE,
            np.abs(velocity @ up) / VERTICAL,
        ]
    )


def _still(speed: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether an ankle with such a speed (T,) does not move."""
    still = np.asarray(speed < 1)
    for rows in pieces(~still):
        inside = rows.start > 0 and rows.stop < len(still)
        if inside and (speed[rows] < DOUBT).all():
            still[rows] = True
    return still
