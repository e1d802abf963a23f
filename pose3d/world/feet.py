"""Feet that stay where they stand.

First the path of the hip is found again, now also bound by the feet that stand: each stance has
one place, unknown across the floor, at the height of what it stands on. What is left is taken up
by the legs: hip and bone lengths stay, the knee keeps the plane in which it bends (two-bone inverse
kinematics), and before and after a stance the change fades. A stance ends where the leg no longer
reaches its place: there the heel has left the floor.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pose3d.skeleton import H36M
from pose3d.smooth import RATE, acceleration_band, durations, smooth
from pose3d.world.contact import Stance
from pose3d.world.path import Evidence, pieces

FOOT_ERROR = 0.025  # metres that a lifter errs between hip and ankle
HEIGHT_ERROR = 0.02
ROLL = 0.06  # metres off its place, from where an ankle moves over a foot that rolls
FLAT = 0.12  # seconds that a foot stands flat at least
FADE = 0.2  # seconds
WINDOW = 2048  # frames solved at once
MARGIN = 15.0  # seconds on either side that they heed: feet in turn carry places far
FIXED = 1e-5**-2  # precision of a place that is known already, 1 / m^2
STRETCH = 0.999  # of its length that a leg reaches with ease
UTMOST = 0.9999  # that it reaches for the place of a standing foot
EXACT = 1e-5  # metres
ENDS = 4  # rounds in which stances are shortened
# Times the hips' width: how much the knee is drawn forward, for nearly straight legs.
STRAIGHT = 0.15
REACHES = 5
PULL = 0.01**-2  # precision of the shift that brings feet within reach, 1 / m^2
LEGS = np.array(
    [[H36M.index(f"{side}{joint}") for joint in ("Hip", "Knee", "Ankle")] for side in "LR"]
)

Array = NDArray[np.float64]
Indices = NDArray[np.integer]


def planted_path(
    evidence: Evidence,
    ankles: Array,
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
        Of every frame about the hip, in the world frame (y up).
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
    count = len(times)
    path, places = np.empty((count, 3)), np.full((len(stances), 3), np.nan)
    for start in range(0, count, WINDOW):
        stop = min(start + WINDOW, count)
        low, high = np.searchsorted(times, [times[start] - MARGIN, times[stop - 1] + MARGIN])
        here = [n for n, s in enumerate(stances) if s.rows.start < high and s.rows.stop > low]
        found, where = _window(
            evidence[low:high],
            ankles[low:high],
            times[low:high],
            [_cut(stances[n], low, high) for n in here],
            heights[here],
            acceleration,
            places[here],
        )
        path[start:stop] = found[start - low : stop - low]
        for n, place in zip(here, where, strict=True):
            if stances[n].rows.start < stop:
                places[n] = place
    return path, places


def _cut(stance: Stance, low: int, high: int) -> Stance:
    """A stance as far as it lies in the rows from `low` to `high`, which it then refers to."""
    rows = slice(max(stance.rows.start, low) - low, min(stance.rows.stop, high) - low)
    return replace(stance, rows=rows)


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


def flat(stances: list[Stance], ankles: Array, times: Array) -> list[Stance]:
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
        path = ankles[stance.rows, stance.side]
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


def with_feet_at(
    legs: Array, times: Array, stances: list[Stance], places: Array, lowest: Array
) -> tuple[Array, list[Stance]]:
    """Feet put where they stand; world frame, y up.

    Parameters
    ----------
    legs
        (T, 2, 3, 3) left and right hip, knee and ankle, metres.
    times
        (T,) seconds.
    stances, places
        Each with the place (3,) of its ankle.
    lowest
        (T,) height below which no ankle may be.

    Returns
    -------
    legs (T, 2, 3, 3)
        Whose standing feet are at their places; both hips have moved alike.
    stances
        As far as they are.
    """
    for _ in range(ENDS):
        result = _reaching(legs, times, stances, places, lowest)
        there = [
            _there(result, stance, place) for stance, place in zip(stances, places, strict=True)
        ]
        if there == [stance.rows for stance in stances]:
            break
        places = places[[rows.stop > rows.start for rows in there]]
        stances = [
            replace(stance, rows=rows)
            for stance, rows in zip(stances, there, strict=True)
            if rows.stop > rows.start
        ]
    return result, stances


def _there(legs: Array, stance: Stance, place: Array) -> slice:
    """The longest part of a stance in which the foot is at its place."""
    ankle = legs[stance.rows, stance.side, 2]
    runs = pieces(np.linalg.norm(ankle - place, axis=1) < EXACT)
    longest = max(runs, key=lambda run: run.stop - run.start, default=slice(0, 0))
    return slice(stance.rows.start + longest.start, stance.rows.start + longest.stop)


def _reaching(
    legs: Array, times: Array, stances: list[Stance], places: Array, lowest: Array
) -> Array:
    """Legs (T, 2, 3, 3) whose standing feet are at their places, as far as they reach."""
    wanted = np.zeros((2, len(times), 3))
    firm = np.zeros((2, len(times)), bool)
    for side in range(2):
        ankle = legs[:, side, 2]
        change, firm[side] = _change(ankle, times, side, stances, places)
        wanted[side] = ankle + change
        wanted[side][:, 1] = np.maximum(wanted[side][:, 1], lowest)
    result = legs + _lowered(legs, wanted, firm, times)[:, None, None]
    forward = np.cross(result[:, 0, 0] - result[:, 1, 0], [0.0, 1.0, 0.0])
    for side in range(2):
        stretch = np.where(firm[side], UTMOST, STRETCH)
        result[:, side, 1], result[:, side, 2] = bent(
            result[:, side], wanted[side], forward, stretch
        )
    return result


def _change(
    ankle: Array, times: Array, side: int, stances: list[Stance], places: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """How far (T, 3) one ankle (T, 3) must move, and (T,) where its foot stands."""
    change = np.zeros((len(times), 3))
    sure = np.zeros(len(times))
    for stance, place in zip(stances, places, strict=True):
        if stance.side != side:
            continue
        first, last = times[stance.rows.start], times[stance.rows.stop - 1]
        near = slice(*np.searchsorted(times, [first - FADE, last + FADE]))
        start, stop = stance.rows.start - near.start, stance.rows.stop - near.start
        away = place - ankle[near]
        # Beyond the stance, its first and last change fades.
        away[:start], away[stop:] = away[start], away[stop - 1]
        outside = np.maximum(first - times[near], times[near] - last)
        share = 0.5 + 0.5 * np.cos(np.pi * np.clip(outside / FADE, 0, 1))
        share[start:stop] = 1
        # Where two stances of a foot are close, the nearer one counts.
        stronger = share > sure[near]
        change[near][stronger] = (share[:, None] * away)[stronger]
        sure[near] = np.maximum(sure[near], share)
    return change, sure == 1


def _lowered(legs: Array, wanted: Array, firm: NDArray[np.bool_], times: Array) -> Array:
    """How far (T, 3) the whole body moves so that standing feet (2, T, 3) are within reach."""
    shift = np.zeros((len(times), 3))
    for _ in range(REACHES):
        lacking = np.zeros((len(times), 3))
        for side in range(2):
            hip, knee, ankle = (legs[:, side, joint] for joint in range(3))
            length = np.linalg.norm(knee - hip, axis=1) + np.linalg.norm(ankle - knee, axis=1)
            reach = wanted[side] - hip - shift
            distance = np.linalg.norm(reach, axis=1)
            excess = np.where(firm[side], distance - STRETCH * length, 0).clip(0)
            pull = reach * (excess / np.maximum(distance, 1e-9))[:, None]
            stronger = np.linalg.norm(pull, axis=1) > np.linalg.norm(lacking, axis=1)
            lacking[stronger] = pull[stronger]
        if not lacking.any():
            break
        precision = np.where(firm.any(0) | (lacking != 0).any(1), PULL, PULL / 20)
        shift += smooth(1.2 * lacking, precision, times, 6.0)
    return shift


def bent(
    leg: Array, ankle: Array, forward: Array, stretch: float | Array = STRETCH
) -> tuple[Array, Array]:
    """Knee and ankle (T, 3) of legs (T, 3, 3) of hip, knee and ankle that reach for `ankle`.

    A leg that is too short reaches `stretch` of its length; one that was straight bends `forward`
    (T, 3).
    """
    hip, knee = leg[:, 0], leg[:, 1]
    thigh = np.linalg.norm(knee - hip, axis=1)
    shank = np.linalg.norm(leg[:, 2] - knee, axis=1)
    reach = ankle - hip
    distance = np.linalg.norm(reach, axis=1)
    allowed = np.clip(distance, np.abs(thigh - shank) + 1e-4, stretch * (thigh + shank))
    direction = reach / np.maximum(distance, 1e-9)[:, None]
    # The knee bends where it bent, seen from the line from hip to ankle, and turns with that line.
    before = leg[:, 2] - hip
    before = before / np.maximum(np.linalg.norm(before, axis=1, keepdims=True), 1e-9)
    aside = knee - hip + STRAIGHT * forward
    aside = aside - (aside * before).sum(1, keepdims=True) * before
    both = 1 + (before * direction).sum(1, keepdims=True)
    turned = (aside * direction).sum(1, keepdims=True) / np.maximum(both, 1e-6)
    aside = aside - turned * (before + direction)
    length = np.linalg.norm(aside, axis=1, keepdims=True)
    aside = aside / np.maximum(length, 1e-9)
    cosine = (thigh**2 + allowed**2 - shank**2) / np.maximum(2 * thigh * allowed, 1e-9)
    cosine = np.clip(cosine, -1, 1)
    along, across = thigh * cosine, thigh * np.sqrt(1 - cosine**2)
    bend = hip + along[:, None] * direction + across[:, None] * aside
    return bend, hip + allowed[:, None] * direction
