"""Feet that stay where they stand.

First the path of the hip is found again, now also bound by the feet that stand: each stance has
one place, unknown across the floor, at the height of what it stands on. What is left is taken up
by the legs, see :mod:`pose3d.world.legs`.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pose3d.rows import Rows, windows
from pose3d.smooth import RATE, acceleration_band, durations
from pose3d.world.contact import Stance, among
from pose3d.world.path import Evidence

FOOT_ERROR = 0.025  # metres that a lifter errs between hip and ankle
HEIGHT_ERROR = 0.02
ROLL = 0.06  # metres off its place, from where an ankle moves over a foot that rolls
FLAT = 0.12  # seconds that a foot stands flat at least
MARGIN = 15.0  # seconds on either side that a path heeds: feet in turn carry places far
FIXED = 1e-5**-2  # precision of a place that is known already, 1 / m^2

Array = NDArray[np.float64]
Indices = NDArray[np.integer]


def planted_path(
    evidence: Rows,
    ankles: Rows,
    times: Array,
    stances: list[Stance],
    heights: Array,
    acceleration: Array,
) -> tuple[Array, Array]:
    """The hip's path (T, 3) and the places (S, 3) of the stances, world frame, metres.

    Long sequences are solved in windows that overlap: what is further away than the margin does
    not matter. A stance that lasts from one window into the next keeps its place.

    Parameters
    ----------
    evidence
        Of every frame about the hip, in the world frame (y up): its rows are :class:`Evidence`.
    ankles
        (T, 2, 3), left and right, relative to the hip.
    times
        (T,) seconds, without gaps in what is known.
    stances
        Of this person; their rows refer to `times`.
    heights
        (S,) metres that the ankle is high in each.
    acceleration
        (3, 3), the inverse covariance of the hip's.
    """
    path, places = np.empty((len(times), 3)), np.full((len(stances), 3), np.nan)
    for window in windows(times, MARGIN):
        around = window.around
        here = among(stances, around)
        found, where = _window(
            evidence[around],
            ankles[around],
            times[around],
            [stances[n].cut(around) for n in here],
            heights[here],
            acceleration,
            places[here],
        )
        path[window.core] = found[window.inner]
        for n, place in zip(here, where, strict=True):
            if stances[n].rows.start < window.core.stop:
                places[n] = place
    return path, places


def _window(
    evidence: Evidence,
    ankles: Array,
    times: Array,
    stances: list[Stance],
    heights: Array,
    acceleration: Array,
    known: Array,
) -> tuple[Array, Array]:
    """As `planted_path`, all at once; places that are `known` (S, 3), not NaN, stay."""
    from scipy.sparse import coo_array, csc_array, diags_array
    from scipy.sparse.linalg import splu

    count, standing = len(times), len(stances)
    share = durations(times) * RATE
    size = 3 * (count + standing)
    moving = acceleration_band(times) if count > 2 else np.zeros((3, count))
    smoothness = diags_array(
        [moving[2], moving[1, 1:], moving[1, 1:], moving[0, 2:], moving[0, 2:]],
        offsets=[0, 1, -1, 2, -2],
        shape=(count, count),
    ).tocoo()
    rows: list[Indices] = []
    columns: list[Indices] = []
    values: list[Array] = []

    def put(row: Indices, column: Indices, value: Array) -> None:
        rows.append(row)
        columns.append(column)
        values.append(value)

    block = np.arange(count)[:, None, None] * 3
    axes = np.arange(3)
    target = np.zeros(size)
    target[: 3 * count] = (share[:, None] * evidence.target).ravel()
    weighted = share[:, None, None] * evidence.information
    put(
        np.broadcast_to(block + axes[:, None], weighted.shape).ravel(),
        np.broadcast_to(block + axes, weighted.shape).ravel(),
        weighted.ravel(),
    )
    for a in range(3):
        for b in range(3):
            row, column = smoothness.coords
            put(row * 3 + a, column * 3 + b, smoothness.data * acceleration[a, b])
    for n, (stance, height) in enumerate(zip(stances, heights, strict=True)):
        at = np.arange(stance.rows.start, stance.rows.stop)
        weight = share[at] / FOOT_ERROR**2
        offset = ankles[at, stance.side]
        for axis in range(3):
            here, place = at * 3 + axis, np.full(len(at), 3 * (count + n) + axis)
            put(here, here, weight)
            put(here, place, -weight)
            put(place, here, -weight)
            put(place, place, weight)
            target[here] -= weight * offset[:, axis]
            target[place[0]] += float(weight @ offset[:, axis])
        place = np.array([3 * (count + n) + 1])
        strength = len(at) / HEIGHT_ERROR**2
        put(place, place, np.array([strength]))
        target[place[0]] += strength * height
        if not np.isnan(known[n, 0]):
            place = 3 * (count + n) + axes
            put(place, place, np.full(3, FIXED))
            target[place] += FIXED * known[n]
    put(np.arange(size), np.arange(size), np.full(size, 1e-9))
    matrix = coo_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (size, size)
    )
    solved = splu(csc_array(matrix), permc_spec="MMD_AT_PLUS_A").solve(target).reshape(-1, 3)
    return solved[:count], solved[count:]


def flat(stances: list[Stance], ankles: Rows, times: Array) -> list[Stance]:
    """Stances without their beginning and end, where the ankle moves over a foot that rolls.

    Parameters
    ----------
    stances
        Of this person.
    ankles
        (T, 2, 3), left and right, world frame.
    times
        (T,) seconds.
    """
    result = []
    for stance in stances:
        path = ankles[stance.rows][:, stance.side]
        near = np.linalg.norm(path - np.median(path, 0), axis=1) < ROLL
        first, last = 0, len(near) - 1
        shown = times[stance.rows]
        while shown[last] - shown[first] > FLAT and not (near[first] and near[last]):
            # The end that is further off rolls.
            if not near[first]:
                first += 1
            if not near[last] and shown[last] - shown[first] > FLAT:
                last -= 1
        rows = slice(stance.rows.start + first, stance.rows.start + last + 1)
        result.append(replace(stance, rows=rows))
    return result
