"""From the camera to the world: up, floor, standing feet, for everyone at once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.body import bone_lengths, stature
from pose3d.errors import UsageError
from pose3d.sequence import Person, Pose3D
from pose3d.skeleton import H36M
from pose3d.world.contact import ANKLE_KEYPOINTS, ANKLES, HIPS, Stance, lasting, stances, standing
from pose3d.world.feet import LEGS, flat, planted_path, with_feet_at
from pose3d.world.ground import (
    SUPPORT_ERROR,
    Support,
    level_up,
    nearest,
    places_of,
    posture_up,
    supports,
    unit,
)
from pose3d.world.path import Evidence, acceleration_along, pieces, root_path

# The ankle joint of somebody in shoes is so much of their height above the ground: 0.039 barefoot
# (Drillis and Contini, 1966) and a sole of 2 cm; it is 0.054 in HDM05 and 0.050 in the rendered
# clip, medians over feet at rest.
SOLE = 0.05
HEIGHT_ERROR = 0.06  # of people's heights, as a share, where they are not given
SAME_FLOOR = 0.15  # share up to which a floor that is off is taken for a size that is off
MIN_CAMERA_HEIGHT = 0.6  # metres above the floor, from where the floor tells sizes
CHUNK = 2048  # frames worked on at once
DEEPEST = 0.005  # metres below the floor that a sole may be

NOTHING = np.zeros(0)

Array = NDArray[np.float64]
Sight = Callable[[], tuple[NDArray[np.floating], NDArray[np.floating]]]


@dataclass(frozen=True)
class Body:
    """One person on the way to the world, in the camera frame.

    Attributes
    ----------
    joints
        (T, 17, 3) relative to the hip, metres, before their size is changed.
    root
        (T, 3) of the hip, likewise.
    rays, scores
        (T, 2, 2) and (T, 2) of the ankles' keypoints, left and right.
    times
        (T,) seconds.
    sole
        Metres below the ankles.
    size
        Factor of all lengths, for which nothing changes in the picture.
    """

    joints: NDArray[np.floating]
    root: Array
    rays: Array
    scores: NDArray[np.floating]
    times: Array
    sole: float
    size: float = 1.0

    @property
    def ankles(self) -> Array:
        """(T, 2, 3) left and right."""
        return self.size * (self.root[:, None] + self.joints[:, ANKLES])


def to_world(
    people: list[Person],
    seen: list[Sight],
    *,
    camera_up: str | Array = "auto",
    still_camera: bool = True,
    lock_feet: bool = True,
    known_heights: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Put everyone on a floor.

    Both lists are worked off, so that memory holds nobody twice: each person gives way to the
    same one with `root`, `world` and (for a still camera) `contact`, and with other `joints` where
    feet were locked; what was seen of them is forgotten.

    Parameters
    ----------
    people
        Lifted; those without a pose stay as they are.
    seen
        Per person something that gives their keypoints on the plane z = 1, (T, 17, 2) without lens
        distortion, and the scores (T, 17).
    camera_up
        ``auto`` from what the video shows, ``image`` for the picture's own, or (3,) in the camera
        frame.
    still_camera
        False if the camera moves: nothing then tells where feet stand, and the world is the
        picture's.
    lock_feet
        Keep standing feet where they stand.
    known_heights
        Ids of people whose height was given: their size is not changed.

    Returns
    -------
    facts
        JSON-able: ``rotation`` and ``translation`` (world = R camera + t), ``supports`` with height
        above the floor and seconds, the floor first, ``sizes`` that the floor changed, by id.
    """
    lifted = [n for n, person in enumerate(people) if person.pose is not None]
    bodies = [_body(people[n], *seen[n]()) for n in lifted]
    up = _up(bodies, camera_up, still_camera)
    contacts = [_contact(body, up, still_camera) for body in bodies]
    steps = _stances(bodies, contacts)

    sizes = _sizes(bodies, steps, up, [people[n].id in known_heights for n in lifted])
    bodies = [
        replace(body, size=size, sole=body.sole * size)
        for body, size in zip(bodies, sizes, strict=True)
    ]
    steps = _stances(bodies, contacts)
    heights = np.array([step.place @ up - bodies[step.person].sole for step in steps])
    seconds = np.array([step.seconds for step in steps])
    found = supports(heights, seconds) if steps else []
    floor = found[0].height if found else _lowest(bodies, up)

    rotation, translation = rotation_to_world(up), np.array([0.0, -floor, 0.0])
    belongs = nearest(heights, found)
    lock = lock_feet and still_camera
    origin: Array | None = None
    for i, n in enumerate(lifted):
        body, bodies[i] = bodies[i], replace(bodies[i], joints=NOTHING, root=NOTHING)
        own = [
            (s, found[b]) for s, b in zip(steps, belongs, strict=True) if s.person == i and b >= 0
        ]
        own = [(s, Support(support.height - floor, support.seconds)) for s, support in own]
        pose = _placed(body, seen[n], own, rotation, translation, lock)
        seen[n] = forgotten
        origin = _first_place(pose) if origin is None else origin
        pose = _moved(pose, np.zeros(3) if origin is None else -origin)
        people[n] = replace(people[n], pose=pose if still_camera else replace(pose, contact=None))
    if origin is not None:
        translation = translation - origin
    return {
        "rotation": rotation.tolist(),
        "translation": translation.tolist(),
        "supports": [
            {"height": round(s.height - floor, 4), "seconds": round(s.seconds, 2)} for s in found
        ],
        "sizes": {str(people[n].id): round(s, 4) for n, s in zip(lifted, sizes, strict=True)},
    }


def forgotten() -> tuple[Array, Array]:
    """What is seen of somebody who has been placed."""
    return np.zeros((0, 17, 2)), np.zeros((0, 17))


def _first_place(pose: Pose3D) -> Array | None:
    """The first known hip (3,) of somebody, on the floor."""
    assert pose.world is not None
    hips = pose.world[np.isfinite(pose.world[:, 0, 0]), 0]
    return hips[0].astype(float) * [1, 0, 1] if len(hips) else None


def _moved(pose: Pose3D, offset: Array) -> Pose3D:
    """A pose that is elsewhere in the world."""
    assert pose.world is not None
    return replace(pose, world=(pose.world + offset).astype(np.float32))


def rotation_to_world(up: Array) -> Array:
    """Rotation (3, 3) from the camera frame to one with y up in which the camera looks along -z."""
    away = np.array([0.0, 0.0, 1.0]) - up[2] * up
    if np.linalg.norm(away) < 0.05:  # looking straight down or up: the picture's top is ahead
        away = np.array([0.0, -1.0, 0.0]) - -up[1] * up
    back = -unit(away)
    return np.stack([np.cross(up, back), up, back])


def parse_up(text: str) -> str | Array:
    """What ``--camera-up`` says: ``auto``, ``image`` or three numbers.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    if text in ("auto", "image"):
        return text
    try:
        vector = np.array([float(number) for number in text.split(",")])
    except ValueError:
        vector = np.zeros(0)
    if vector.shape != (3,) or not np.isfinite(vector).all() or not vector.any():
        raise UsageError(
            f"up in the camera frame (x right, y down, z forward) is auto, image or X,Y,Z such as "
            f"0,-1,0, not {text!r}"
        )
    return unit(vector)


def _body(person: Person, rays: NDArray[np.floating], scores: NDArray[np.floating]) -> Body:
    assert person.pose is not None
    joints, times = person.pose.joints, np.asarray(person.keypoints.time, float)
    root, _ = root_path(joints, rays, scores, times)
    tall = stature(bone_lengths(joints))
    return Body(
        joints,
        root,
        np.asarray(rays[:, ANKLE_KEYPOINTS], float),
        scores[:, ANKLE_KEYPOINTS],
        times,
        SOLE * tall if tall > 0 else 0.0,
    )


def _up(bodies: list[Body], camera_up: str | Array, still: bool) -> Array:
    if not isinstance(camera_up, str):
        return unit(np.asarray(camera_up, float))
    if camera_up == "image":
        return np.array([0.0, -1.0, 0.0])
    prior, error = posture_up(body.joints[np.isfinite(body.root[:, 0])] for body in bodies)
    if not still:
        return prior
    steps = _stances(bodies, [_contact(body, prior, still) for body in bodies])
    return level_up(*places_of(steps, len(bodies)), prior, error)


def _contact(body: Body, up: Array, still: bool) -> NDArray[np.bool_]:
    if not still:
        return np.zeros((len(body.times), 2), bool)
    legs = np.asarray(body.joints[:, ANKLES + HIPS], float)
    lower = (legs[:, 2:] - legs[:, :2]) @ up
    ankles = body.root[:, None] + legs[:, :2]
    contact = standing(ankles, lower, body.rays, body.scores, body.times, up)
    return lasting(contact, body.times)


def _stances(bodies: list[Body], contacts: list[NDArray[np.bool_]]) -> list[Stance]:
    return [
        stance
        for n, (body, contact) in enumerate(zip(bodies, contacts, strict=True))
        for stance in stances(contact, body.ankles, body.times, n)
    ]


def _sizes(
    bodies: list[Body], steps: list[Stance], up: Array, known: list[bool]
) -> NDArray[np.float64]:
    """Factors (P,) of sizes for which everyone stands on one floor, as far as they are credible.

    A person's unknown size moves their floor towards the camera or away from it.
    """
    depths = np.full(len(bodies), np.nan)
    weights = np.zeros(len(bodies))
    for n, body in enumerate(bodies):
        own = [step for step in steps if step.person == n]
        if own:
            heights = np.array([step.place @ up - body.sole for step in own])
            found = supports(heights, np.array([step.seconds for step in own]))
            if found and -found[0].height > MIN_CAMERA_HEIGHT:
                depths[n], weights[n] = -found[0].height, found[0].seconds
    factors = np.ones(len(bodies))
    sure = np.array(known, bool) & np.isfinite(depths)
    chosen = sure if sure.any() else np.isfinite(depths)
    if chosen.sum() + (~sure & np.isfinite(depths)).sum() < 2 or not chosen.any():
        return factors
    common = float(np.exp(np.average(np.log(depths[chosen]), weights=weights[chosen] + 1e-6)))
    for n, depth in enumerate(depths):
        ratio = np.log(common / depth) if np.isfinite(depth) else 0.0
        if not known[n] and abs(ratio) < SAME_FLOOR:
            trust = HEIGHT_ERROR**2 / (HEIGHT_ERROR**2 + (SUPPORT_ERROR / common) ** 2)
            factors[n] = np.exp(trust * ratio)
    return factors


def _lowest(bodies: list[Body], up: Array) -> float:
    """Height along up of the lowest soles, where nobody is seen standing."""
    heights = [(body.ankles @ up).min(1) - body.sole for body in bodies]
    every = np.concatenate(heights) if heights else np.zeros(0)
    every = every[np.isfinite(every)]
    return float(np.quantile(every, 0.05)) if len(every) else 0.0


def _placed(
    body: Body,
    sight: Sight,
    steps: list[tuple[Stance, Support]],
    rotation: Array,
    translation: Array,
    lock: bool,
) -> Pose3D:
    """A person in the world; heights of the supports are above the floor."""
    _, evidence = root_path(body.joints, *sight(), body.times)
    evidence = evidence.scaled(body.size).turned(rotation, translation)
    legs = body.size * np.asarray(body.joints[:, LEGS], float) @ rotation.T
    root = body.size * body.root @ rotation.T + translation
    standing = [step for step, _ in steps]
    if lock:
        standing = []
        for rows in pieces(np.isfinite(root[:, 0])):
            inside = [pair for pair in steps if rows.start <= pair[0].rows.start < rows.stop]
            standing += _lock(legs, root, rows, evidence, body, inside, translation)
    contact = np.zeros((len(root), 2), bool)
    for step in standing:
        contact[step.rows, step.side] = True
    joints, world = (np.empty((len(root), len(H36M), 3), np.float32) for _ in range(2))
    for start in range(0, len(root), CHUNK):
        c = slice(start, start + CHUNK)
        here = body.size * np.asarray(body.joints[c], float) @ rotation.T
        here[:, LEGS] = legs[c]
        joints[c], world[c] = here @ rotation, here + root[c, None]
    hip = (root - translation) @ rotation
    return Pose3D(joints, hip.astype(np.float32), world, contact)


def _lock(
    legs: Array,
    root: Array,
    rows: slice,
    evidence: Evidence,
    body: Body,
    steps: list[tuple[Stance, Support]],
    eye: Array,
) -> list[Stance]:
    """Keep standing feet where they stand, in place, in a stretch of known rows seen from `eye`.

    Legs (T, 2, 3, 3) are relative to the hip. Returns the stances without the frames in which the
    foot already rolls or has left.
    """
    times = body.times[rows]
    feet = legs[rows, :, 2]
    standing = [step.shifted(-rows.start) for step, _ in steps]
    heights = np.array([support.height + body.sole for _, support in steps])
    places = np.zeros((0, 3))
    path = root[rows]
    if steps:
        calm = acceleration_along(path - eye)
        standing = flat(standing, path[:, None] + feet, times)
        path, places = planted_path(evidence[rows], feet, times, standing, heights, calm)
        places[:, 1] = heights
    lowest = np.full(len(times), body.sole - DEEPEST)
    before = legs[rows] + path[:, None, None]
    after, standing = with_feet_at(before, times, standing, places, lowest)
    # The body goes where its hips go.
    path = path + (after[:, 0, 0] - before[:, 0, 0])
    root[rows] = path
    legs[rows] = after - path[:, None, None]
    return [stance.shifted(rows.start) for stance in standing]
