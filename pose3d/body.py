"""Bodies that keep their size: one set of bone lengths a person, and how tall that is.

Bones are as long as their median over the clip, the same on both sides. Joints are then moved as
little as these lengths allow, and rather along the line of sight, where a lifter knows least and
the picture changes least, than across it.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pose3d.errors import UsageError
from pose3d.rows import chunks, windows
from pose3d.sequence import Pose3D
from pose3d.skeleton import H36M, H36M_PARENTS
from pose3d.smooth import smooth

# From the ankles to just above the eyes along the bones is so much of a standing person's height:
# ankle 0.039 and eyes 0.936 of it above the ground (Drillis and Contini, 1966; Winter,
# "Biomechanics and motor control of human movement", 2009, figure 4.1), 0.02 more for the bends of
# the trunk and for the joint lying above the eyes.
CHAIN_SHARE = 0.918
HEIGHTS = (0.4, 2.6)  # metres: what --height may be
ACROSS, ALONG = 1.0, 3.0  # how easily a joint moves, as a standard deviation
SIZE_ACCELERATION = 0.5  # of the lifter's wavering scale, 1/s^2
SIZE_NOISE = 0.02
MARGIN = 8.0  # seconds on either side that the evened scale heeds
ROUNDS = 8
PRECISE = 1e-5  # metres
CHUNK = 512  # frames worked on at once

CHILDREN = np.arange(1, len(H36M))
PARENTS = np.array(H36M_PARENTS[1:])
MIRROR_BONES = H36M.mirror[1:] - 1

Array = NDArray[np.float64]


def bone_lengths(joints: NDArray[np.floating]) -> Array:
    """Median length (16,) of the bone that ends in every joint but the first; sides alike.

    Parameters
    ----------
    joints
        (T, 17, 3) metres; NaN where missing.
    """
    known = np.flatnonzero(~np.isnan(joints[:, 0, 0]))
    if not len(known):
        return np.full(len(CHILDREN), np.nan)
    length = np.empty(len(CHILDREN))
    for bone, (child, parent) in enumerate(zip(CHILDREN, PARENTS, strict=True)):
        found = np.empty(len(known))  # one bone after the other, for memory's sake
        for c in chunks(len(known)):
            start, end = (joints[known[c], joint].astype(float) for joint in (parent, child))
            found[c] = np.linalg.norm(end - start, axis=1)
        length[bone] = np.median(found, overwrite_input=True)
    return np.asarray((length + length[MIRROR_BONES]) / 2)


def stature(lengths: Array) -> float:
    """How tall (metres) somebody with these bones (16,) stands."""
    leg = lengths[[1, 2, 4, 5]].sum() / 2
    return float((leg + lengths[6:10].sum()) / CHAIN_SHARE)


def parse_height(text: str) -> float:
    """Metres of ``1.78m``, ``178cm``, ``1.78`` or ``178``.

    Raises
    ------
    UsageError
        If it is no height of a person.
    """
    number = text.strip().lower().replace(" ", "")
    in_a_metre = None
    for unit, count in (("cm", 100), ("mm", 1000), ("m", 1)):
        if number.endswith(unit):
            number, in_a_metre = number.removesuffix(unit), count
            break
    try:
        value = float(number)
    except ValueError:
        raise UsageError(f"a height is given like 1.78m or 178cm, not {text!r}") from None
    if in_a_metre is None:
        in_a_metre = 100 if value >= 40 else 1
    height = value / in_a_metre  # not times 0.01: 165 cm are 1.65 m to the last digit
    if not HEIGHTS[0] <= height <= HEIGHTS[1]:
        low, high = HEIGHTS
        raise UsageError(f"nobody is {text} tall: give a height from {low} to {high} m")
    return height


def parse_heights(text: str) -> dict[int | None, float]:
    """Metres by person's id of ``1=1.78m,2=165cm``, or of everyone, under None, of ``1.78m``.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if "=" not in text:
        return {None: parse_height(text)}
    heights: dict[int | None, float] = {}
    for part in text.split(","):
        number, _, height = part.partition("=")
        if not number.strip().isdecimal():
            raise UsageError(f"heights of several are given like 1=1.78m,2=165cm, not {text!r}")
        heights[int(number)] = parse_height(height)
    return heights


def scaled(pose: Pose3D, height: float) -> Pose3D:
    """A pose whose bones are those of somebody `height` metres tall."""
    tall = stature(bone_lengths(pose.joints))
    if not np.isfinite(tall) or tall <= 0:
        return pose
    factor = np.float32(height / tall)
    root = None if pose.root is None else pose.root * factor
    return replace(pose, joints=pose.joints * factor, root=root)


def steady(
    joints: NDArray[np.floating],
    directions: NDArray[np.floating],
    times: NDArray[np.floating],
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Give all frames the same bones.

    A lifter's scale wavers, since it cannot be seen; it is evened out first. The rest is the least
    change, weighted by how easily a joint moves, for which all bones have their length: Newton's
    steps onto the constraints, every frame on its own.

    Parameters
    ----------
    joints
        (T, 17, 3) relative to the hip, metres, camera frame; NaN where missing.
    directions
        (T, 3) unit vectors of the line of sight to the person; NaN where unknown.
    times
        (T,) seconds.
    out
        Where to put the result, which may be `joints`; a new array without it.

    Returns
    -------
    (T, 17, 3) float32
    """
    result = np.array(joints, np.float32) if out is None else out
    result[:] = joints
    known = ~np.isnan(result[:, 0, 0])
    if not known.any():
        return result
    lengths = bone_lengths(joints)
    rows = np.flatnonzero(known)
    factor = _even_size(result, rows, lengths, np.asarray(times, float)[rows])
    for c in chunks(len(rows), CHUNK):
        part = rows[c]
        ray = np.where(np.isnan(directions[part]), [0.0, 0.0, 1.0], directions[part])
        outer = ray[:, :, None] * ray[:, None, :]
        mobility = ACROSS**2 * (np.eye(3) - outer) + ALONG**2 * outer
        pose = result[part].astype(float) * factor[c]
        result[part] = _constrained(pose, lengths, mobility)
    return result


def _even_size(
    joints: NDArray[np.floating], rows: NDArray[np.int64], lengths: Array, times: Array
) -> Array:
    """Factor (N, 1, 1) that brings the bones of rows (N,) to `lengths`, slowly changing."""
    factor, even = np.empty((len(rows), 1)), np.empty((len(rows), 1, 1))
    for c in chunks(len(rows)):
        now = _lengths(joints[rows[c]])
        factor[c, 0] = (now * lengths).sum(1) / np.maximum((now**2).sum(1), 1e-9)
    for window in windows(times, MARGIN):
        precision = np.full(window.around.stop - window.around.start, SIZE_NOISE**-2)
        near = factor[window.around], precision, times[window.around]
        even[window.core, 0] = smooth(*near, SIZE_ACCELERATION)[window.inner]
    return even


def _constrained(joints: Array, lengths: Array, mobility: Array) -> Array:
    """Joints (T, 17, 3) moved onto bones of `lengths`; mobility (T, 3, 3) is a covariance."""
    result = joints.copy()
    busy = np.arange(len(joints))
    for _ in range(ROUNDS):
        bones = result[busy][:, CHILDREN] - result[busy][:, PARENTS]
        length = np.linalg.norm(bones, axis=-1)
        error = length - lengths
        off = np.abs(error).max(1) > PRECISE
        busy, bones, error, length = busy[off], bones[off], error[off], length[off]
        if not len(busy):
            break
        unit = bones / np.maximum(length, 1e-9)[..., None]
        moved = unit @ mobility[busy]  # (T, 16, 3): what a pull on a bone does
        together = np.einsum("tbi,tci->tbc", moved, unit, optimize=True) * COUPLING
        together += 1e-9 * np.eye(len(CHILDREN))
        pull = np.linalg.solve(together, error[..., None])
        change = np.einsum("jb,tbi->tji", INCIDENCE, moved * pull)
        result[busy] -= change
    result = result - result[:, :1]
    return _exact(result, lengths)


def _exact(joints: Array, lengths: Array) -> Array:
    """What Newton's steps left, along the bones from the hip outwards."""
    bones = joints[:, CHILDREN] - joints[:, PARENTS]
    bones *= (lengths / np.maximum(np.linalg.norm(bones, axis=-1), 1e-9))[..., None]
    placed = np.zeros_like(joints)
    for joint, parent in zip(CHILDREN, PARENTS, strict=True):
        placed[:, joint] = placed[:, parent] + bones[:, joint - 1]
    return placed


def _lengths(joints: NDArray[np.floating]) -> Array:
    return np.linalg.norm(joints[:, CHILDREN] - joints[:, PARENTS], axis=-1).astype(float)


# Which joint (17) a bone (16) ends in (+1) and begins in (-1), and how bones share joints.
INCIDENCE = np.zeros((len(H36M), len(CHILDREN)))
INCIDENCE[CHILDREN, CHILDREN - 1] = 1
INCIDENCE[PARENTS, CHILDREN - 1] -= 1
COUPLING = INCIDENCE.T @ INCIDENCE
