"""How far 3D poses are from the truth: MPJPE and its kin, in millimetres.

Definitions
-----------
MPJPE
    Mean per joint position error after the roots are aligned (Ionescu et al., Human3.6M,
    TPAMI 2014; "protocol 1").
PA-MPJPE
    After the best rotation, translation and scale of every frame (Procrustes; "protocol 2").
N-MPJPE
    After the best scale of every frame (Rhodin et al., CVPR 2018).
MPJVE
    Mean error of the joints' velocity, here mm per second (Pavllo et al., CVPR 2019, give it per
    frame).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class PoseErrors:
    """Errors in mm (MPJVE in mm/s) over frames in which both poses are known."""

    mpjpe: float
    pa_mpjpe: float
    n_mpjpe: float
    mpjve: float
    per_joint: tuple[float, ...]
    frames: int


def rooted(joints: Array) -> Array:
    """Joints (T, J, 3) relative to the first one."""
    return joints - joints[:, :1]


def scaled(predicted: Array, truth: Array) -> Array:
    """Prediction (T, J, 3) times the factor that fits each frame best."""
    factor = (predicted * truth).sum((1, 2)) / np.maximum((predicted**2).sum((1, 2)), 1e-12)
    return predicted * factor[:, None, None]


def aligned(predicted: Array, truth: Array) -> Array:
    """Prediction (T, J, 3) moved, turned and scaled onto the truth, frame by frame.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    TPAMI 1991.
    """
    p_mean, t_mean = predicted.mean(1, keepdims=True), truth.mean(1, keepdims=True)
    p, t = predicted - p_mean, truth - t_mean
    u, s, vt = np.linalg.svd(np.swapaxes(t, 1, 2) @ p)
    # No mirror image: where the best orthogonal matrix is one, the weakest axis is turned.
    sign = np.sign(np.linalg.det(u @ vt))
    s[:, -1] *= sign
    u[:, :, -1] *= sign[:, None]
    rotation = u @ vt
    scale = s.sum(1) / np.maximum((p**2).sum((1, 2)), 1e-12)
    return scale[:, None, None] * (p @ np.swapaxes(rotation, 1, 2)) + t_mean


def distances(a: Array, b: Array) -> Array:
    """Distance (T, J) of every joint."""
    return np.linalg.norm(a - b, axis=-1)


def pose_errors(predicted: Array, truth: Array, times: Array | None = None) -> PoseErrors:
    """Compare poses.

    Parameters
    ----------
    predicted, truth
        (T, J, 3) metres in one frame of reference; the first joint is the root. NaN where unknown.
    times
        (T,) seconds, for the velocity; without them it is NaN.

    Raises
    ------
    ValueError
        If shapes differ or no frame is known in both.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"poses of shapes {predicted.shape} and {truth.shape} cannot be compared")
    known = np.asarray(~np.isnan(predicted + truth).any((1, 2)))
    if not known.any():
        raise ValueError("no frame in which both poses are known")
    p, t = rooted(predicted[known].astype(float)), rooted(truth[known].astype(float))
    plain = distances(p, t)
    return PoseErrors(
        mpjpe=1000 * float(plain.mean()),
        pa_mpjpe=1000 * float(distances(aligned(p, t), t).mean()),
        n_mpjpe=1000 * float(distances(scaled(p, t), t).mean()),
        mpjve=_velocity_error(p, t, known, times),
        per_joint=tuple(1000 * plain.mean(0)),
        frames=int(known.sum()),
    )


def _velocity_error(p: Array, t: Array, known: NDArray[np.bool_], times: Array | None) -> float:
    """Over pairs of frames that follow each other."""
    if times is None or len(p) < 2:
        return float("nan")
    rows = np.flatnonzero(known)
    together = np.diff(rows) == 1
    if not together.any():
        return float("nan")
    seconds = np.diff(times[rows])[together, None, None]
    return 1000 * float(
        np.linalg.norm(
            (np.diff(p, axis=0)[together] - np.diff(t, axis=0)[together]) / seconds, axis=-1
        ).mean()
    )
