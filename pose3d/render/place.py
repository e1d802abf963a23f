"""Where everyone stands in the 3D view: as measured, or roughly where that is not known.

The view's frame is the world frame: metres, y up, floor at 0, the camera looks along -z.
"""

import numpy as np
from numpy.typing import NDArray

from pose3d.sequence import Person, Recording
from pose3d.skeleton import H36M, SHARED_JOINTS

Array = NDArray[np.float64]

ANKLES = [H36M.index("RAnkle"), H36M.index("LAnkle")]
ANKLE_HEIGHT = 0.08  # metres above the sole
NEAREST, FARTHEST = 0.5, 60.0  # metres from the camera
CALM = 0.5  # seconds over which a rough place is averaged
STEEPEST = 0.7  # slope of the floor in the camera's frame, as from a camera 35 degrees downwards
LOWEST_SHARE = 0.05  # of all ankles lie below the floor's level for ankles
MIN_RANGE = 0.5  # metres of depth from which a slope can be told


def placed(recording: Recording) -> list[Array | None]:
    """Everyone's joints (T, 17, 3) in the view's frame; None for who is not lifted.

    The recording's own world frame is used where there is one. Otherwise everyone stands where
    the 3D joints, seen by the camera, lie closest to the keypoints; upright is the camera's up;
    and the floor is raised or tilted to the lowest feet without turning anybody.
    """
    people = recording.people
    if any(person.pose is not None and person.pose.world is not None for person in people):
        return [
            None if p.pose is None or p.pose.world is None else p.pose.world.astype(float)
            for p in people
        ]
    joints = [_in_camera(person, recording) for person in people]
    upright = [None if j is None else j * [1, -1, -1] for j in joints]
    known = [j for j in upright if j is not None]
    if not known:
        return upright
    level, slope = _floor(np.concatenate(known))
    middle = np.nanmean(np.concatenate(known)[:, 0], 0) if _any(known) else np.zeros(3)
    for j in known:
        j[..., 1] -= (level + slope * j[:, :1, 2]) - ANKLE_HEIGHT
        j[..., [0, 2]] -= middle[[0, 2]]
    return upright


def _any(known: list[Array]) -> bool:
    return any(np.isfinite(j[:, 0]).any() for j in known)


def _in_camera(person: Person, recording: Recording) -> Array | None:
    """Joints (T, 17, 3) in the camera's frame."""
    pose = person.pose
    if pose is None:
        return None
    if pose.root is not None:
        return np.asarray(pose.joints + pose.root[:, None], float)
    matrix = np.asarray(recording.meta["camera"]["K"], float)
    keypoints = person.keypoints
    root = rough_root(np.asarray(pose.joints, float), keypoints.keypoints, keypoints.score, matrix)
    return pose.joints + _calm(root, keypoints.time)[:, None]


def rough_root(
    joints: Array, keypoints: NDArray[np.floating], scores: NDArray[np.floating], matrix: Array
) -> Array:
    """Where the hip must be for the joints to be seen at the keypoints, frame by frame.

    A joint (X, Y, Z) moved by (x, y, z) is seen on the ray (u, v, 1) where X + x = u (Z + z) and
    Y + y = v (Z + z): two linear equations for each of the limbs' joints, solved by least squares.

    Parameters
    ----------
    joints
        (T, 17, 3) metres, camera frame, relative to the hip.
    keypoints, scores
        (T, 17, 2) pixels and (T, 17).
    matrix
        (3, 3) of the camera.

    Returns
    -------
    (T, 3)
        Metres, camera frame; NaN where too little is seen.
    """
    h36m, coco = np.array(SHARED_JOINTS).T
    points = joints[:, h36m]
    rays = (np.asarray(keypoints, float)[:, coco] - matrix[:2, 2]) / [matrix[0, 0], matrix[1, 1]]
    weight = np.nan_to_num(np.asarray(scores, float)[:, coco]) ** 2
    weight = np.where(np.isfinite(rays).all(-1) & np.isfinite(points).all(-1), weight, 0)
    rays, points = np.nan_to_num(rays), np.nan_to_num(points)
    zero, one = np.zeros_like(weight), np.ones_like(weight)
    rows = np.stack(
        [
            np.stack([one, zero, -rays[..., 0]], -1),
            np.stack([zero, one, -rays[..., 1]], -1),
        ],
        2,
    )
    sides = rays * points[..., 2:] - points[..., :2]
    normal = np.einsum("tj,tjki,tjkl->til", weight, rows, rows)
    target = np.einsum("tj,tjki,tjk->ti", weight, rows, sides)
    root = np.full((len(joints), 3), np.nan)
    enough = (weight > 0).sum(1) >= 3
    root[enough] = np.linalg.solve(normal[enough] + 1e-9 * np.eye(3), target[enough][..., None])[
        ..., 0
    ]
    root[(root[:, 2] < NEAREST) | (root[:, 2] > FARTHEST)] = np.nan
    return root


def _calm(root: Array, time: Array) -> Array:
    """A path averaged over a moment; stays where it is while unknown."""
    known = np.isfinite(root).all(1)
    if not known.any():
        return root
    filled = np.stack([np.interp(time, time[known], root[known, k]) for k in range(3)], 1)
    step = float(np.median(np.diff(time))) if len(time) > 1 else CALM
    half = min(int(CALM / max(step, 1e-3) / 2), len(time) // 2)
    padded = np.pad(filled, ((half, half), (0, 0)), mode="edge")
    window = np.ones(2 * half + 1) / (2 * half + 1)
    depth = np.convolve(padded[:, 2], window, "valid")
    # Along the ray through the hip: what is seen of it stays where it is seen.
    return filled * (depth / filled[:, 2])[:, None]


def _floor(joints: Array) -> tuple[float, float]:
    """Level and slope along z of the plane that the lowest ankles (T, 17, 3) stand on.

    By asymmetric least squares (Newey and Powell, 1987): those below count much more than those
    above.
    """
    feet = joints[np.isfinite(joints[:, ANKLES]).all((1, 2))]
    if not len(feet):
        return 0.0, 0.0
    low, z = feet[:, ANKLES, 1].min(1), feet[:, 0, 2]
    inputs = np.stack([np.ones_like(z), z - z.mean()], 1)
    sloped = np.ptp(z) > MIN_RANGE
    level, slope = float(np.quantile(low, LOWEST_SHARE)), 0.0
    for _ in range(20 if sloped else 0):
        weight = np.where(low < level + slope * inputs[:, 1], 1 - LOWEST_SHARE, LOWEST_SHARE)
        normal = (inputs * weight[:, None]).T @ inputs
        level, slope = np.linalg.solve(normal, (inputs * weight[:, None]).T @ low)
        slope = float(np.clip(slope, -STEEPEST, STEEPEST))
    return float(level - slope * z.mean()), slope
