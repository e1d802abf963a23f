"""A recording against the truth: which person is which, and which frames belong together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose3d import npz
from pose3d.errors import PoseError
from pose3d.evaluate.poses import PoseErrors, pose_errors
from pose3d.sequence import Recording
from pose3d.skeleton import H36M


@dataclass(frozen=True)
class Motion:
    """One person's joints and, where known, keypoints over time.

    Attributes
    ----------
    time
        (T,) seconds.
    joints
        (T, 17, 3) metres; NaN where unknown.
    keypoints
        (T, 17, 2) pixels, or None.
    """

    time: NDArray[np.float64]
    joints: NDArray[np.float64]
    keypoints: NDArray[np.float64] | None


@dataclass(frozen=True)
class RecordingErrors:
    """Errors of everyone in the truth, by their place in it.

    `coverage` is the share of the truth's frames in which the person was found.
    """

    people: dict[str, PoseErrors]
    coverage: dict[str, float]
    joints: tuple[str, ...] = H36M.names


def evaluate_files(prediction: Path, truth: Path) -> RecordingErrors:
    """Compare a ``NAME.pose3d.npz`` with the truth.

    Parameters
    ----------
    prediction
        A recording with 3D joints.
    truth
        Another recording, or an ``.npz`` with `time` (T,), `joints_camera` (T, 17, 3) and perhaps
        `keypoints_2d` (T, 17, 2), as ``data/rendered_walk.truth.npz`` has them.

    Raises
    ------
    PoseError
        If a file holds no 3D joints, or the two have no person or no frame in common.
    """
    found, real = read_motion(prediction), read_motion(truth)
    errors, coverage = {}, {}
    for number, motion in enumerate(real, 1):
        pairs = [(other, *common_frames(other, motion)) for other in found]
        pairs = [pair for pair in pairs if len(pair[1])]
        if not pairs:
            raise PoseError(f"{prediction} and {truth} have no frame in common")
        other, mine, theirs = min(pairs, key=lambda pair: _apart(motion, *pair))
        known = ~np.isnan(other.joints[mine]).any((1, 2))
        if not known.any():
            raise PoseError(f"{prediction} holds no 3D joints for person {number} of {truth}")
        errors[f"person {number}"] = pose_errors(
            other.joints[mine], motion.joints[theirs], motion.time[theirs]
        )
        coverage[f"person {number}"] = float(known.sum() / len(motion.time))
    return RecordingErrors(errors, coverage)


def read_motion(path: Path) -> list[Motion]:
    """Everyone's motion in a recording or in a file of truth."""
    try:
        with npz.opened(path) as file:
            if "joints_camera" in file:
                time, joints = file["time"], file["joints_camera"].astype(float)
                seen = "keypoints_2d" in file
                keypoints = file["keypoints_2d"] if seen else None
                if joints.shape != (len(time), 17, 3):
                    raise ValueError(f"joints of shape {joints.shape}")
                return [Motion(time, joints, keypoints)]
    except (OSError, ValueError, npz.DamagedError) as error:
        raise PoseError(f"{path} is no file of joints ({error})") from None
    people = [person for person in Recording.load(path).people if person.pose]
    if not people:
        raise PoseError(f"{path} holds no 3D joints: run `pose3d lift` on it")
    return [
        Motion(
            person.keypoints.time,
            person.pose.joints.astype(float),  # type: ignore[union-attr]
            person.keypoints.keypoints.astype(float),
        )
        for person in people
    ]


def common_frames(a: Motion, b: Motion) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of two motions that show the same moment, to a quarter of a frame."""
    if len(a.time) < 1 or len(b.time) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    near = np.clip(np.searchsorted(b.time, a.time), 1, len(b.time) - 1)
    near -= np.abs(a.time - b.time[near - 1]) < np.abs(a.time - b.time[near])
    mine = np.flatnonzero(np.abs(a.time - b.time[near]) < np.median(np.diff(b.time)) / 4)
    return mine, near[mine]


def _apart(
    truth: Motion, found: Motion, mine: NDArray[np.int64], theirs: NDArray[np.int64]
) -> float:
    """How far a person found is from one of the truth: in the picture if both are seen there."""
    if truth.keypoints is None or found.keypoints is None:
        a, b = found.joints[mine], truth.joints[theirs]
    else:
        a, b = found.keypoints[mine], truth.keypoints[theirs]
    distance = np.linalg.norm(a - b, axis=-1)
    if np.isnan(distance).all():
        return float("inf")
    return float(np.nanmean(distance)) * len(truth.time) / len(mine)
