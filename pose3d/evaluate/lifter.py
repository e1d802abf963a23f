"""How well a lifter does on motion capture that it never saw, under stated cameras and noise.

Every clip is seen whole by :data:`VIEWS` still cameras, drawn as in training
(`train.cameras.look`) from a fixed seed, at the archive's 50 frames a second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pose3d.evaluate.poses import PoseErrors, aligned, distances, pose_errors
from pose3d.lift.lifter import Lifter
from pose3d.skeleton import SHARED_JOINTS
from pose3d.train.cameras import look
from pose3d.train.motion import load_motion
from pose3d.train.noise import NOISES, Noise, shake

VIEWS = 4
SEED = 20190616
MEASURED = NOISES["measured"]
LIMBS = [joint for joint, _ in SHARED_JOINTS]


@dataclass(frozen=True)
class LifterScores:
    """Errors in mm over all frames of all views.

    `limbs` is the PA-MPJPE of the twelve limb joints, aligned by themselves; `per_action` the
    PA-MPJPE of every action.
    """

    all: PoseErrors
    limbs: float
    per_action: dict[str, float]


def evaluate_lifter(
    lifter: Lifter,
    archive: Path,
    noise: Noise = MEASURED,
    seed: int = SEED,
    views: int = VIEWS,
    progress: Callable[[int], None] = lambda _: None,
) -> LifterScores:
    """Lift every clip of a motion archive and compare.

    Parameters
    ----------
    lifter
        A ``person`` lifter at 50 frames a second.
    archive
        A file of `../shared/data/motion`'s form, such as HDM05's.
    noise
        Of the keypoints; see :data:`~pose3d.train.noise.NOISES`.
    seed, views
        Of the cameras and the noise; how many cameras a clip.
    progress
        Called after every clip.
    """
    bank = load_motion([archive], torch.device("cpu"))
    chance = torch.Generator().manual_seed(seed)
    size, intrinsics = (2, 2), np.eye(3)  # keypoints lie on the plane z = 1 already
    predictions, truths, actions = [], [], []
    for clip, (start, length) in enumerate(
        zip(bank.start.tolist(), bank.length.tolist(), strict=True)
    ):
        points = bank.points[start : start + length][None].expand(views, -1, -1, -1)
        seen = look(points, chance)
        keypoints, scores = shake(seen.keypoints, seen.depth, noise, chance)
        for view in range(views):
            predictions.append(
                lifter.lift_even(keypoints[view].numpy(), scores[view].numpy(), size, intrinsics)
            )
            truths.append(seen.joints[view].numpy())
            actions += [bank.names[clip]] * length
        progress(1)
    p, t = np.concatenate(predictions).astype(float), np.concatenate(truths).astype(float)
    error = 1000 * distances(aligned(p, t), t).mean(1)
    named = np.array(actions)
    return LifterScores(
        all=pose_errors(p, t, np.arange(len(p)) / lifter.rate),
        limbs=1000 * float(distances(aligned(p[:, LIMBS], t[:, LIMBS]), t[:, LIMBS]).mean()),
        per_action={str(a): float(error[named == a].mean()) for a in np.unique(named)},
    )
