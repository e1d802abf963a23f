"""From the camera to the world: up, floor, standing feet, for everyone at once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.body import bone_lengths, stature
from pose3d.errors import UsageError
from pose3d.rows import Computed, Rows, chunks
from pose3d.sequence import Person
from pose3d.world.contact import ANKLE_KEYPOINTS, Stance, lasting, stances, standing
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
from pose3d.world.path import root_path
from pose3d.world.placed import Body, posed, walked

# The ankle joint of somebody in shoes is so much of their height above the ground: 0.039 barefoot
# (Drillis and Contini, 1966) and a sole of 2 cm; it is 0.054 in HDM05 and 0.050 in the rendered
# clip, medians over feet at rest.
SOLE = 0.05
HEIGHT_ERROR = 0.06  # of people's heights, as a share, where they are not given
SAME_FLOOR = 0.15  # share up to which a floor that is off is taken for a size that is off
MIN_CAMERA_HEIGHT = 0.6  # metres above the floor, from where the floor tells sizes
POSES = 10_000  # that tell which way is up; of more, every n-th is looked at

NOTHING = np.zeros(0, np.float32)

Array = NDArray[np.float64]
Sight = Callable[[], tuple[Rows, NDArray[np.floating]]]


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
    same one with `root`, `world` and (for a still camera) `contact`; what was seen of them is
    forgotten. Where sizes change and feet are locked, `joints` are changed in place.

    Parameters
    ----------
    people
        Lifted; those without a pose stay as they are.
    seen
        Per person something that gives (the rows of) their keypoints on the plane z = 1, (T, 17, 2)
        without lens distortion, and the scores (T, 17).
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

    def contacts_for(up: Array) -> list[NDArray[np.bool_]]:
        return [_contact(b, *seen[n](), up) for b, n in zip(bodies, lifted, strict=True)]

    up = _up(bodies, camera_up, contacts_for if still_camera else None)
    contacts = contacts_for(up) if still_camera else [_nowhere(body) for body in bodies]
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
        walk = walked(body, *seen[n](), own, rotation, translation, lock)
        seen[n] = forgotten  # before the world takes as much memory
        pose = posed(body, walk, rotation, translation, lock)
        assert pose.world is not None
        origin = _first_place(pose.world) if origin is None else origin
        if origin is not None:
            pose.world[:] -= origin.astype(np.float32)
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


def _first_place(world: NDArray[np.float32]) -> Array | None:
    """The first known hip (3,) of somebody, on the floor."""
    known = np.isfinite(world[:, 0, 0])
    return world[np.argmax(known), 0].astype(float) * [1, 0, 1] if known.any() else None


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


def _body(person: Person, rays: Rows, scores: NDArray[np.floating]) -> Body:
    assert person.pose is not None
    joints, times = person.pose.joints, np.asarray(person.keypoints.time, float)
    root, _ = root_path(joints, rays, scores, times)
    tall = stature(bone_lengths(joints))
    return Body(joints, root.astype(np.float32), times, SOLE * tall if tall > 0 else 0.0)


def _up(
    bodies: list[Body],
    camera_up: str | Array,
    contacts_for: Callable[[Array], list[NDArray[np.bool_]]] | None,
) -> Array:
    """Up in the camera frame; `contacts_for` tells who stands, where the camera does."""
    if not isinstance(camera_up, str):
        return unit(np.asarray(camera_up, float))
    if camera_up == "image":
        return np.array([0.0, -1.0, 0.0])
    placed = [np.flatnonzero(np.isfinite(body.root[:, 0])) for body in bodies]
    every = -(-sum(map(len, placed)) // POSES) or 1
    prior, error = posture_up(
        body.joints[rows[::every]] for body, rows in zip(bodies, placed, strict=True)
    )
    if contacts_for is None:
        return prior
    steps = _stances(bodies, contacts_for(prior))
    return level_up(*places_of(steps, len(bodies)), prior, error)


def _contact(body: Body, rays: Rows, scores: NDArray[np.floating], up: Array) -> NDArray[np.bool_]:
    contact = standing(
        Computed(body.ankles),
        Computed(lambda rows: body.lower(rows, up)),
        Computed(lambda rows: np.asarray(rays[rows][:, ANKLE_KEYPOINTS], float)),
        scores[:, ANKLE_KEYPOINTS],
        np.isfinite(body.root[:, 0]),
        body.times,
        up,
    )
    return lasting(contact, body.times)


def _nowhere(body: Body) -> NDArray[np.bool_]:
    """Contacts of feet of which nobody knows."""
    return np.zeros((len(body.times), 2), bool)


def _stances(bodies: list[Body], contacts: list[NDArray[np.bool_]]) -> list[Stance]:
    found = []
    for n, (body, contact) in enumerate(zip(bodies, contacts, strict=True)):
        found += stances(contact, Computed(body.sized_ankles), body.times, n)
    return found


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
    every = np.concatenate([np.zeros(0), *(_lower_soles(body, up) for body in bodies)])
    every = every[np.isfinite(every)]
    return float(np.quantile(every, 0.05)) if len(every) else 0.0


def _lower_soles(body: Body, up: Array) -> NDArray[np.float32]:
    """Height (T,) along up of the sole that is lower."""
    heights = np.empty(len(body.times), np.float32)
    for rows in chunks(len(heights)):
        heights[rows] = (body.sized_ankles(rows) @ up).min(1) - body.sole
    return heights
