"""Legs that reach for where their feet stand.

Hip and bone lengths stay, the knee keeps the plane in which it bends (two-bone inverse kinematics),
and before and after a stance the change fades. A stance ends where the leg no longer reaches its
place: there the heel has left the floor.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pose3d.rows import Rows, windows
from pose3d.skeleton import H36M
from pose3d.smooth import smooth
from pose3d.world.contact import Stance, among
from pose3d.world.path import pieces

FADE = 0.2  # seconds
NEAR = 5.0  # seconds on either side that legs heed
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


def with_feet_at(
    legs: Rows, times: Array, stances: list[Stance], places: Array, lowest: float
) -> tuple[Iterator[tuple[slice, Array]], list[Stance]]:
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
        Height below which no ankle may be.

    Returns
    -------
    parts
        Rows, and their legs (N, 2, 3, 3) whose standing feet are at their places; both hips have
        moved alike. They are worked out while one goes through them.
    stances
        As far as feet are at their places.
    """
    for _ in range(ENDS):
        parts = _reaching(legs, times, stances, places, lowest)
        there = _there(parts, len(times), stances, places)
        parts = _reaching(legs, times, stances, places, lowest)
        if there == [stance.rows for stance in stances]:
            break
        places = places[[rows.stop > rows.start for rows in there]]
        stances = [
            replace(stance, rows=rows)
            for stance, rows in zip(stances, there, strict=True)
            if rows.stop > rows.start
        ]
    return parts, stances


def _there(
    parts: Iterator[tuple[slice, Array]], count: int, stances: list[Stance], places: Array
) -> list[slice]:
    """The longest part of each stance in which the foot is at its place."""
    near = np.zeros((count, 2), bool)
    for rows, legs in parts:
        for n in among(stances, rows):
            here, side = stances[n].cut(rows).rows, stances[n].side
            away = np.linalg.norm(legs[here, side, 2] - places[n], axis=1)
            near[rows][here, side] = away < EXACT
    found = []
    for stance in stances:
        runs = pieces(near[stance.rows, stance.side])
        longest = max(runs, key=lambda run: run.stop - run.start, default=slice(0, 0))
        first = stance.rows.start
        found.append(slice(first + longest.start, first + longest.stop))
    return found


def _reaching(
    legs: Rows, times: Array, stances: list[Stance], places: Array, lowest: float
) -> Iterator[tuple[slice, Array]]:
    """Rows, and their legs (N, 2, 3, 3) whose standing feet are at their places if they reach."""
    for window in windows(times, NEAR):
        here = among(stances, window.around)
        own = [stances[n].cut(window.around) for n in here]
        moved = _moved(legs[window.around], times[window.around], own, places[here], lowest)
        yield window.core, moved[window.inner]


def _moved(legs: Array, times: Array, stances: list[Stance], places: Array, lowest: float) -> Array:
    """As `_reaching`, all at once."""
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
    bones = np.linalg.norm(np.diff(legs, axis=2), axis=-1)
    within = STRETCH * (bones[..., 0] + bones[..., 1])
    for _ in range(REACHES):
        lacking = np.zeros((len(times), 3))
        for side in range(2):
            reach = wanted[side] - legs[:, side, 0] - shift
            distance = np.linalg.norm(reach, axis=1)
            excess = np.where(firm[side], distance - within[:, side], 0).clip(0)
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
