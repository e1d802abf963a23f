"""Joint angles, in degrees, as biomechanics names them.

Seventeen joints show where a limb points, and how it is turned about itself only while the next
joint is bent. What can be told is named after the recommendations of the International Society of
Biomechanics (ISB): Wu et al., "ISB recommendation on definitions of joint coordinate system ...
part I: ankle, hip, and spine", J. Biomech. 35, 2002, and "part II: shoulder, elbow, wrist and
hand", J. Biomech. 38, 2005; the hip in the sequence of Grood and Suntay (J. Biomech. Eng. 105,
1983).

Frames of reference
-------------------
pelvis
    z to the person's right along the hips, x forward, y up, as near the spine as that allows.
trunk
    z to the right along the shoulders, x forward, y from the spine to the thorax.

Definitions
-----------
hip_flexion
    How far the thigh is forward, in the pelvis' sagittal plane.
hip_abduction
    How far the thigh is away from the midline.
hip_rotation
    How far the thigh is turned inwards about itself, as a bent knee shows; NaN while it is bent
    less than 30 degrees.
knee_flexion
    Angle between thigh and shank; 0 is straight.
shoulder_flexion
    How far the upper arm is forward, in the trunk's sagittal plane; 180 is overhead.
shoulder_abduction
    How far the upper arm is away from the midline, in the trunk's frontal plane.
shoulder_elevation, shoulder_plane
    ISB's: angle between the upper arm and the trunk's downward axis; and the plane in which it
    is raised, 0 to the side and 90 forward (NaN for arms that hang).
shoulder_rotation
    How far the upper arm is turned inwards about itself, as a bent elbow shows: 0 where the
    forearm points forward from an arm that hangs, and for a raised arm, where raising it the
    shortest way brings the forearm (ISB's last two turns about the arm's axis, added up). NaN
    while the elbow is bent less than 30 degrees, or the arm points straight up.
elbow_flexion
    Angle between upper arm and forearm; 0 is straight.
trunk_flexion, trunk_bending, trunk_rotation
    Trunk against pelvis: forward, to the right side, and turned to the left. The pelvis is
    known by its hips and the spine above it only, so its own tilt is not told from a bend there.
neck_flexion, neck_bending
    Head against trunk: forward, and to the right; 0 where the line from the thorax to the head
    continues the trunk's.
pelvis_tilt, pelvis_obliquity, pelvis_heading, trunk_lean, trunk_side_lean
    Against the vertical, where there is a world: pelvis tilted forward, right hip up, and the
    way it faces, 0 along the world's z (to the camera), 90 along x; trunk leaning forward and to
    the right.

Ankles and wrists are the last joints that are known: they have no angles.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pose3d.sequence import Pose3D
from pose3d.skeleton import H36M

BENT: Final = 30.0  # degrees, from which the next joint shows how a limb is turned
HANGING: Final = 15.0  # degrees from the axis, below which an arm has no plane
TINY: Final = 1e-6

SIDES: Final = {"left": "L", "right": "R"}
Array = NDArray[np.float64]


def angles(pose: Pose3D) -> dict[str, NDArray[np.float32]]:
    """Every angle of a pose over time.

    Parameters
    ----------
    pose
        Of T frames; its `world` is used where there is one, for the angles against the vertical.

    Returns
    -------
    dict
        Name to (T,) float32, degrees; NaN where a joint is missing or the angle has no meaning.
        Those of limbs begin with ``left_`` or ``right_``.

    Examples
    --------
    >>> import pose3d                                              # doctest: +SKIP
    >>> person = pose3d.load("walk.pose3d.npz").people[0]          # doctest: +SKIP
    >>> angles(person.pose)["left_knee_flexion"].max()             # doctest: +SKIP
    63.4
    """
    # The camera frame has y down; turned about its x axis it is right-handed with y up as well.
    upright = pose.world is not None
    joints = pose.world if pose.world is not None else pose.joints * np.array([1.0, -1.0, -1.0])
    joint = {name: np.asarray(joints[:, n], float) for n, name in enumerate(H36M.names)}
    with np.errstate(invalid="ignore", divide="ignore"):
        pelvis, trunk = _pelvis(joint), _trunk(joint)
        found: dict[str, Array] = {}
        for side, letter in SIDES.items():
            limb = _leg(joint, letter, pelvis) | _arm(joint, letter, trunk)
            found |= {f"{side}_{name}": value for name, value in limb.items()}
        found |= _spine(joint, pelvis, trunk)
        if upright:
            found |= _against_vertical(pelvis, trunk)
    return {name: value.astype(np.float32) for name, value in found.items()}


def _leg(joint: dict[str, Array], letter: str, pelvis: Array) -> dict[str, Array]:
    out = 1.0 if letter == "R" else -1.0  # the leg's own side, along z
    thigh = joint[f"{letter}Knee"] - joint[f"{letter}Hip"]
    shank = joint[f"{letter}Ankle"] - joint[f"{letter}Knee"]
    forward, up, right = _within(pelvis, _unit(thigh)).T
    flexion, abduction = np.arctan2(forward, -up), np.arcsin(np.clip(out * right, -1, 1))
    knee = _between(thigh, shank)
    # The shank of a bent knee points straight back from a thigh that is flexed and abducted, but
    # not turned; of one turned inwards, it points outwards.
    bent = _within(pelvis, shank)
    back = _flexed(flexion, out * abduction, np.array([-1.0, 0, 0]))
    aside = _flexed(flexion, out * abduction, np.array([0.0, 0, 1]))
    turn = out * np.arctan2((bent * aside).sum(-1), (bent * back).sum(-1))
    return {
        "hip_flexion": np.degrees(flexion),
        "hip_abduction": np.degrees(abduction),
        "hip_rotation": np.where(knee >= BENT, np.degrees(turn), np.nan),
        "knee_flexion": knee,
    }


def _arm(joint: dict[str, Array], letter: str, trunk: Array) -> dict[str, Array]:
    out = 1.0 if letter == "R" else -1.0
    upper = joint[f"{letter}Elbow"] - joint[f"{letter}Shoulder"]
    lower = joint[f"{letter}Wrist"] - joint[f"{letter}Elbow"]
    axis = _within(trunk, _unit(upper))
    forward, up, right = axis.T
    elevation = np.degrees(np.arccos(np.clip(-up, -1, 1)))
    off_axis = np.minimum(elevation, 180 - elevation)
    elbow = _between(upper, lower)
    # The forearm of an arm that hangs points forward; raised the shortest way, wherever that
    # brings it.
    bent = _within(trunk, lower)
    ahead = _raised(axis, np.array([1.0, 0, 0]))
    inwards = _raised(axis, np.array([0.0, 0, -out]))
    turn = np.degrees(np.arctan2((bent * inwards).sum(-1), (bent * ahead).sum(-1)))
    known = (elbow >= BENT) & (elevation < 180 - HANGING)
    plane = np.degrees(np.arctan2(forward, out * right))
    return {
        "shoulder_flexion": np.degrees(np.arctan2(forward, -up)),
        "shoulder_abduction": np.degrees(np.arctan2(out * right, -up)),
        "shoulder_elevation": elevation,
        "shoulder_plane": np.where(off_axis > HANGING, plane, np.nan),
        "shoulder_rotation": np.where(known, turn, np.nan),
        "elbow_flexion": elbow,
    }


def _spine(joint: dict[str, Array], pelvis: Array, trunk: Array) -> dict[str, Array]:
    # Columns of the trunk's axes, seen from the pelvis; about z, then x, then y.
    turned = np.einsum("tci,tcj->tij", pelvis, trunk)
    head = _within(trunk, _unit(joint["Head"] - joint["Thorax"]))
    return {
        "trunk_flexion": np.degrees(np.arctan2(turned[:, 0, 1], turned[:, 1, 1])),
        "trunk_bending": np.degrees(np.arcsin(np.clip(turned[:, 2, 1], -1, 1))),
        "trunk_rotation": np.degrees(np.arctan2(-turned[:, 2, 0], turned[:, 2, 2])),
        "neck_flexion": np.degrees(np.arctan2(head[:, 0], head[:, 1])),
        "neck_bending": np.degrees(np.arcsin(np.clip(head[:, 2], -1, 1))),
    }


def _against_vertical(pelvis: Array, trunk: Array) -> dict[str, Array]:
    found = {}
    for name, part in (("pelvis", pelvis), ("trunk", trunk)):
        right = part[:, :, 2] * np.array([1.0, 0, 1.0])
        level = _unit(right)
        ahead = np.cross(np.array([0.0, 1.0, 0.0]), level)
        up = part[:, :, 1]
        found[name] = (
            np.degrees(np.arctan2((up * ahead).sum(-1), up[:, 1])),
            np.degrees(np.arcsin(np.clip((up * level).sum(-1), -1, 1))),
            np.degrees(np.arctan2(ahead[:, 0], ahead[:, 2])),
        )
    return {
        "pelvis_tilt": found["pelvis"][0],
        "pelvis_obliquity": np.degrees(np.arcsin(np.clip(pelvis[:, 1, 2], -1, 1))),
        "pelvis_heading": found["pelvis"][2],
        "trunk_lean": found["trunk"][0],
        "trunk_side_lean": found["trunk"][1],
    }


def _pelvis(joint: dict[str, Array]) -> Array:
    return _frame(joint["RHip"] - joint["LHip"], joint["Spine"] - joint["Hip"])


def _trunk(joint: dict[str, Array]) -> Array:
    return _frame(joint["RShoulder"] - joint["LShoulder"], joint["Thorax"] - joint["Spine"])


def _frame(right: Array, up: Array) -> Array:
    """Axes (T, 3, 3), in columns: forward, up, right; `right` is kept."""
    z = _unit(right)
    y = _unit(up - (up * z).sum(-1, keepdims=True) * z)
    return np.stack([np.cross(y, z), y, z], -1)


def _within(frame: Array, vectors: Array) -> Array:
    """Vectors (T, 3) as forward, up, right of a frame (T, 3, 3)."""
    return np.einsum("tci,tc->ti", frame, vectors)


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > TINY, length, np.nan)


def _between(a: Array, b: Array) -> Array:
    """Angle (T,) between vectors, degrees."""
    return np.degrees(np.arccos(np.clip((_unit(a) * _unit(b)).sum(-1), -1, 1)))


def _flexed(flexion: Array, right: Array, vector: Array) -> Array:
    """A vector (3,) of a hanging thigh (T, 3) after it was swung aside, then forward; radians."""
    x, y, z = vector
    y, z = y * np.cos(right) + z * np.sin(right), z * np.cos(right) - y * np.sin(right)
    cos, sin = np.cos(flexion), np.sin(flexion)
    return np.stack([x * cos - y * sin, x * sin + y * cos, z], -1)


def _raised(axis: Array, vector: Array) -> Array:
    """A vector (3,) of a hanging arm (T, 3) after the shortest turn that brings it to `axis`."""
    down = np.array([0.0, -1.0, 0.0])
    about = np.cross(down, axis)
    once = np.cross(about, vector)
    cosine = axis @ down
    return vector + once + np.cross(about, once) / np.maximum(1 + cosine, TINY)[:, None]
