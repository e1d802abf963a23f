"""One person put into the world: where they go, bound by the feet that stand, and their joints."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d.rows import Computed, Rows, chunks
from pose3d.sequence import Pose3D
from pose3d.world.contact import ANKLES, HIPS, Stance
from pose3d.world.feet import flat, planted_path
from pose3d.world.ground import Support
from pose3d.world.legs import LEGS, with_feet_at
from pose3d.world.path import acceleration_along, pieces, root_path

DEEPEST = 0.005  # metres below the floor that a sole may be

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Body:
    """One person on the way to the world, in the camera frame.

    Attributes
    ----------
    joints
        (T, 17, 3) relative to the hip, metres, before their size is changed.
    root
        (T, 3) of the hip, likewise.
    times
        (T,) seconds.
    sole
        Metres below the ankles.
    size
        Factor of all lengths, for which nothing changes in the picture.
    """

    joints: NDArray[np.float32]
    root: NDArray[np.float32]
    times: Array
    sole: float
    size: float = 1.0

    def ankles(self, rows: slice) -> Array:
        """(N, 2, 3) left and right, before their size is changed."""
        return np.asarray(self.root[rows, None] + self.joints[rows][:, ANKLES], float)

    def sized_ankles(self, rows: slice) -> Array:
        """(N, 2, 3) left and right."""
        return self.size * self.ankles(rows)

    def lower(self, rows: slice, up: Array) -> Array:
        """(N, 2) metres that each ankle is lower than its hip joint, before a change of size."""
        joints = self.joints[rows].astype(float)
        return (joints[:, HIPS] - joints[:, ANKLES]) @ up


@dataclass(frozen=True)
class Walk:
    """Where somebody goes, world frame.

    Attributes
    ----------
    path
        (T, 3) of the hip, metres; NaN where unknown.
    stances
        In which a foot is to be kept still; by rows.
    places
        (S, 3) of their ankles.
    """

    path: Array
    stances: list[Stance]
    places: Array

    def part(self, rows: slice) -> "Walk":
        """The same of some rows, counted from the first of them."""
        inside = [n for n, s in enumerate(self.stances) if rows.start <= s.rows.start < rows.stop]
        own = [self.stances[n].shifted(-rows.start) for n in inside]
        return Walk(self.path[rows], own, self.places[inside])


def walked(
    body: Body,
    rays: Rows,
    scores: NDArray[np.floating],
    steps: list[tuple[Stance, Support]],
    rotation: Array,
    translation: Array,
    lock: bool,
) -> Walk:
    """Where a person goes.

    Parameters
    ----------
    body
        The person.
    rays, scores
        What is seen of them, see :func:`pose3d.world.path.root_path`.
    steps
        Their stances, and what each is on, with its height above the floor.
    rotation, translation
        From the camera frame to the world: world = rotation camera + translation.
    lock
        Whether feet that stand bind the path.
    """
    path, evidence = root_path(body.joints, rays, scores, body.times)
    for c in chunks(len(path)):
        path[c] = body.size * path[c] @ rotation.T + translation
    if not lock:
        return Walk(path, [step for step, _ in steps], np.zeros((len(steps), 3)))
    seen = Computed(lambda rows: evidence[rows].scaled(body.size).turned(rotation, translation))
    feet = Computed(lambda rows: body.size * body.joints[rows][:, ANKLES] @ rotation.T)
    stances: list[Stance] = []
    places = [np.zeros((0, 3))]
    for rows in pieces(np.isfinite(path[:, 0])):
        inside = [pair for pair in steps if rows.start <= pair[0].rows.start < rows.stop]
        if not inside:
            continue
        heights = np.array([support.height + body.sole for _, support in inside])
        before, times, ankles = path[rows], body.times[rows], feet.part(rows)
        there = Computed(lambda some: before[some, None] + ankles[some])  # noqa: B023
        firm = flat([step.shifted(-rows.start) for step, _ in inside], there, times)
        calm = acceleration_along(before - translation)
        path[rows], found = planted_path(seen.part(rows), ankles, times, firm, heights, calm)
        found[:, 1] = heights
        stances += [step.shifted(rows.start) for step in firm]
        places.append(found)
    return Walk(path, stances, np.concatenate(places))


def posed(body: Body, walk: Walk, rotation: Array, translation: Array, lock: bool) -> Pose3D:
    """A person in the world, with feet at their places if they are to be locked.

    The body's joints are changed in place and become the pose's.
    """
    count = len(body.times)
    joints, world = body.joints, np.full((count, 17, 3), np.nan, np.float32)
    upright = Computed(
        lambda rows: body.size * joints[rows].astype(float) @ rotation.T + walk.path[rows, None]
    )
    stances = [] if lock else walk.stances
    for rows in pieces(np.isfinite(walk.path[:, 0])):
        part = world[rows]
        if lock:
            there = upright.part(rows), walk.part(rows), body.times[rows], body.sole - DEEPEST
            stances += [stance.shifted(rows.start) for stance in _locked(*there, part)]
        else:
            for c in chunks(len(part)):
                part[c] = upright.part(rows)[c]
    contact = np.zeros((count, 2), bool)
    for stance in stances:
        contact[stance.rows, stance.side] = True
    root = np.empty((count, 3), np.float32)
    for c in chunks(count):
        root[c] = (world[c, 0] - translation) @ rotation
        # Who has no place has a pose.
        placed = np.isfinite(root[c, 0])[:, None, None]
        joints[c] = np.where(
            placed, (world[c] - world[c, :1]) @ rotation, body.size * joints[c].astype(float)
        )
    return Pose3D(joints, root, world, contact)


def _locked(
    upright: Rows, walk: Walk, times: Array, lowest: float, world: NDArray[np.float32]
) -> list[Stance]:
    """Fill `world` (T, 17, 3) with joints that are `upright`, standing feet at their places.

    Returns the stances without the frames in which the foot already rolls or has left.
    """
    legs = Computed(lambda rows: upright[rows][:, LEGS])
    parts, stances = with_feet_at(legs, times, walk.stances, walk.places, lowest)
    for rows, moved in parts:
        here = upright[rows]
        # The body goes where its hips go.
        here += (moved[:, 0, 0] - here[:, HIPS[0]])[:, None]
        here[:, LEGS] = moved
        world[rows] = here
    return stances
