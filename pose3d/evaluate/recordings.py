"""A recording against the truth: which person is which, and which frames belong together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    id
        The person's number.
    time
        (T,) seconds.
    joints
        (T, 17, 3) metres; NaN where unknown.
    keypoints
        (T, 17, 2) pixels, or None.
    """

    id: int
    time: NDArray[np.float64]
    joints: NDArray[np.float64]
    keypoints: NDArray[np.float64] | None


@dataclass(frozen=True)
class RecordingErrors:
    """Errors of everyone in the truth, by their place in it.

    Attributes
    ----------
    people
        Errors of those who were found.
    mean
        Of these, everyone counting alike; `frames` are of all together.
    coverage
        The share of the truth's frames in which the person was found, of everyone.
    ids
        Which number they have in the recording.
    extra
        Numbers of the recording's people who are not in the truth.
    """

    people: dict[str, PoseErrors]
    mean: PoseErrors
    coverage: dict[str, float]
    ids: dict[str, int]
    extra: tuple[int, ...]
    joints: tuple[str, ...] = H36M.names


def evaluate_files(prediction: Path, truth: Path) -> RecordingErrors:
    """Compare a ``NAME.pose3d.npz`` with the truth.

    Who is who is decided for all of the time at once, so that everyone is somebody else and the
    distances are the least together.

    Parameters
    ----------
    prediction
        A recording with 3D joints.
    truth
        Another recording, or an ``.npz`` with `time` (T,), `joints_camera` (T, 17, 3) and perhaps
        `keypoints_2d` (T, 17, 2), as ``data/rendered_walk.truth.npz`` has them; of P people these
        are (P, T, 17, 3) and (P, T, 17, 2).

    Raises
    ------
    PoseError
        If a file holds no 3D joints, or the two have no person or no frame in common.
    """
    found, real = read_motion(prediction), read_motion(truth)
    errors, ids = {}, {}
    coverage = {f"person {motion.id}": 0.0 for motion in real}
    for row, column in _pairs(real, found):
        motion, other = real[row], found[column]
        mine, theirs = common_frames(other, motion)
        known = ~np.isnan(other.joints[mine]).any((1, 2))
        if not known.any():
            continue
        who = f"person {motion.id}"
        errors[who] = pose_errors(other.joints[mine], motion.joints[theirs], motion.time[theirs])
        coverage[who] = float(known.sum() / len(motion.time))
        ids[who] = other.id
    if not errors:
        raise PoseError(f"{prediction} and {truth} have no person and frame in common")
    extra = tuple(sorted({motion.id for motion in found} - set(ids.values())))
    return RecordingErrors(errors, _mean(list(errors.values())), coverage, ids, extra)


def _pairs(real: list[Motion], found: list[Motion]) -> list[tuple[int, int]]:
    """Rows of both that belong together; only such as share frames."""
    from scipy.optimize import linear_sum_assignment

    cost = np.array([[_apart(a, b, *common_frames(b, a)) for b in found] for a in real])
    finite = np.isfinite(cost)
    worst = cost[finite].sum() + 1 if finite.any() else 1.0
    rows, columns = linear_sum_assignment(np.where(finite, cost, worst))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if finite[r, c]]


def _mean(everyone: list[PoseErrors]) -> PoseErrors:
    def mean(name: str) -> float:
        return float(np.mean([getattr(errors, name) for errors in everyone]))

    joints = np.mean([errors.per_joint for errors in everyone], 0)
    return PoseErrors(
        mean("mpjpe"),
        mean("pa_mpjpe"),
        mean("n_mpjpe"),
        mean("mpjve"),
        per_joint=tuple(joints.tolist()),
        frames=sum(errors.frames for errors in everyone),
    )


def read_motion(path: Path) -> list[Motion]:
    """Everyone's motion in a recording or in a file of truth."""
    try:
        with npz.opened(path) as file:
            if "joints_camera" in file:
                points = [file[name] for name in ("keypoints_2d",) if name in file]
                return _true_motions(file["time"], file["joints_camera"], *points)
    except (OSError, ValueError, npz.DamagedError) as error:
        raise PoseError(f"{path} is no file of joints ({error})") from None
    people = [person for person in Recording.load(path).people if person.pose]
    if not people:
        raise PoseError(f"{path} holds no 3D joints: run `pose3d lift` on it")
    return [
        Motion(
            person.id,
            person.keypoints.time,
            person.pose.joints.astype(float),  # type: ignore[union-attr]
            person.keypoints.keypoints.astype(float),
        )
        for person in people
    ]


def _true_motions(
    time: NDArray[Any], joints: NDArray[Any], keypoints: NDArray[Any] | None = None
) -> list[Motion]:
    """Everyone in a file of truth, numbered from 1."""
    if joints.ndim == 3:
        joints = joints[None]
        keypoints = None if keypoints is None else keypoints[None]
    shape = (len(joints), *time.shape, 17)
    if time.ndim != 1 or joints.shape != (*shape, 3):
        raise ValueError(f"joints of shape {joints.shape} and times of shape {time.shape}")
    if keypoints is not None and keypoints.shape != (*shape, 2):
        raise ValueError(f"keypoints of shape {keypoints.shape}")
    return [
        Motion(
            n + 1,
            time.astype(float),
            person.astype(float),
            None if keypoints is None else keypoints[n].astype(float),
        )
        for n, person in enumerate(joints)
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
    if np.isnan(distance).all():  # also where there is no common frame
        return float("inf")
    return float(np.nanmean(distance)) * len(truth.time) / len(mine)
