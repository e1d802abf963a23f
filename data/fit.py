"""Fit the rig to motion capture: the archive's limb directions, feet that stand on the floor."""

from dataclasses import dataclass

import numpy as np
import roma
import torch
from body import FEET, Body
from numpy.typing import NDArray

# The bones that turn, and how reluctantly (a prior on their angle, 1 / radians^2).
STIFFNESS = {
    "spine05": 1.0, "spine04": 1.0, "spine03": 1.0, "spine02": 1.0, "spine01": 1.0,
    "neck01": 0.5, "neck02": 0.5, "head": 0.3,
    "clavicle.L": 1.0, "clavicle.R": 1.0,
    "upperarm01.L": 0.005, "upperarm01.R": 0.005, "lowerarm01.L": 0.01, "lowerarm01.R": 0.01,
    "upperleg01.L": 0.005, "upperleg01.R": 0.005, "lowerleg01.L": 0.01, "lowerleg01.R": 0.01,
    "foot.L": 0.3, "foot.R": 0.3,
}  # fmt: skip
TOES = [f"toe{i}-1.{side}" for side in "LR" for i in range(1, 6)]

# Pairs of Human3.6M joints whose direction is matched, with weights.
DIRECTIONS = {
    (1, 2): 3.0, (2, 3): 3.0, (4, 5): 3.0, (5, 6): 3.0, (1, 4): 2.0, (0, 8): 2.0,
    (14, 11): 2.0, (8, 11): 0.3, (8, 14): 0.3, (11, 12): 3.0, (12, 13): 3.0, (14, 15): 3.0,
    (15, 16): 3.0, (8, 9): 1.0, (9, 10): 3.0,
}  # fmt: skip


@dataclass(frozen=True)
class Motion:
    """Rows of an archive of `shared/data/motion`, resampled.

    Attributes
    ----------
    joints
        (T, 17, 3) Human3.6M joints, metres, y up.
    face
        (T, 5, 3) nose, eyes, ears.
    fps
        Rows per second; 0 when the rows have nothing to do with each other.
    """

    joints: NDArray[np.float32]
    face: NDArray[np.float32]
    fps: float


def read_motion(archive: str, clip: str, start: float, end: float, fps: float) -> Motion:
    """The seconds from `start` to `end` of a clip, at `fps`."""
    data = np.load(archive, allow_pickle=False)
    index = list(data["clip"]).index(clip)
    rows = slice(data["start"][index], data["start"][index] + data["length"][index])
    root = data["root"][rows][:, None]
    points = np.concatenate([data["h36m_rel"][rows], data["face_rel"][rows]], 1) + root
    source = np.arange(len(points)) / 50
    times = np.arange(round((end - start) * fps)) / fps + start
    flat = points.reshape(len(points), -1)
    smooth = np.stack([np.interp(times, source, column) for column in flat.T], 1)
    smooth = smooth.reshape(len(times), 22, 3).astype(np.float32)
    return Motion(smooth[:, :17], smooth[:, 17:], fps)


def unit(vectors: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1)


def pelvis_frame(joints: NDArray[np.float32]) -> NDArray[np.float64]:
    """Orientation (T, 3, 3) of the hips: columns left, up, forward."""
    left = joints[:, 4] - joints[:, 1]
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    up = joints[:, 8] - joints[:, 0]
    forward = np.cross(left, up)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    return np.stack([left, np.cross(forward, left), forward], -1)


def fit(
    body: Body, motion: Motion, *, steps: int = 400, sole: float | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn the rig's bones until the body does what the motion does.

    Limb directions, not positions, are matched: the body keeps its own proportions. Feet get
    what the archive lacks: heel and toes stay above the floor, and a standing foot does not slide.

    Parameters
    ----------
    sole
        How far the shoes reach below the bare sole, metres; None leaves the floor out.

    Returns
    -------
    rotations, root
        (T, B, 3, 3) and (T, 3), the arguments of `Body.pose`.
    """
    count = len(motion.joints)
    target = torch.from_numpy(motion.joints)
    face = torch.from_numpy(motion.face)
    moving = [body.bones.index(name) for name in STIFFNESS]
    toes = [body.bones.index(name) for name in TOES]
    stiffness = torch.tensor(list(STIFFNESS.values()))[None, :, None]

    start = torch.from_numpy(pelvis_frame(motion.joints)).float()
    scale = leg_length(body.h36m(body._reference_bones[None])) / leg_length(target).mean()
    angles = torch.zeros(count, len(moving), 3, requires_grad=True)
    turn = torch.zeros(count, 3, requires_grad=True)
    bend = torch.zeros(count, 2, requires_grad=True)  # of the toes, left and right
    root = (target[:, 0] * scale).clone().requires_grad_(True)

    pairs = torch.tensor(list(DIRECTIONS))
    weights = torch.tensor(list(DIRECTIONS.values()))
    wanted = unit(target[:, pairs[:, 1]] - target[:, pairs[:, 0]])
    wanted_ears = unit(face[:, 3] - face[:, 4])
    ears = [body.attach("head", body.keypoints[f"{side}_ear"]) for side in ("left", "right")]
    soles = [body.attach(bone, point) for bone, point in sole_points(body)]
    standing = planted(motion) if sole is not None and motion.fps else None

    def pose() -> tuple[torch.Tensor, torch.Tensor]:
        rotations = torch.eye(3).repeat(count, len(body.bones), 1, 1)
        rotations[:, 0] = start @ roma.rotvec_to_rotmat(turn)
        rotations[:, moving] = roma.rotvec_to_rotmat(angles)
        axis = torch.stack([-bend, 0 * bend, 0 * bend], -1)
        rotations[:, toes] = roma.rotvec_to_rotmat(axis).repeat_interleave(5, 1)
        return rotations, root

    optimiser = torch.optim.Adam([angles, turn, bend, root], lr=0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, 5e-4)
    for step in range(steps):
        rotations, place = pose()
        _, poses = body.bone_poses(rotations, place)
        joints = body.h36m(poses)
        got = unit(joints[:, pairs[:, 1]] - joints[:, pairs[:, 0]])
        got_ears = unit(body.place(poses, ears[0]) - body.place(poses, ears[1]))
        loss = 20 * (((got - wanted) ** 2).sum(-1) * weights).mean()
        loss = loss + 4 * ((got_ears - wanted_ears) ** 2).sum(-1).mean()
        loss = loss + 0.1 * (stiffness * angles**2).mean() + 0.01 * (bend**2).mean()
        loss = loss + 5 * (bend.clamp(max=0) ** 2 + (bend - 0.8).clamp(min=0) ** 2).mean()
        loss = loss + 20 * ((joints[:, 0] - target[:, 0] * scale) ** 2).sum(-1).mean()
        if motion.fps:
            for track in (angles, turn, root * 5, bend):
                loss = loss + 4 * ((track[2:] - 2 * track[1:-1] + track[:-2]) ** 2).mean()
        if standing is not None and step > steps // 4:
            points = torch.stack([body.place(poses, point) for point in soles], 1)
            loss = loss + floor_loss(points.view(count, 2, -1, 3), standing, sole)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        rotations, place = pose()
    return rotations.detach(), place.detach()


def leg_length(joints: torch.Tensor) -> torch.Tensor:
    """Mean length (T,) of thigh plus shank."""
    bones = ((1, 2), (2, 3), (4, 5), (5, 6))
    return sum((joints[:, a] - joints[:, b]).norm(dim=-1) for a, b in bones) / 2


def sole_points(body: Body) -> list[tuple[str, NDArray[np.float64]]]:
    """Per foot heel, inner ball, outer ball, big toe and small toe, on the skin of the sole."""
    floor = body.reference[:, 1].min()
    found = []
    for side, name in (("L", "left"), ("R", "right")):
        spots = [
            (f"foot.{side}", body.keypoints[f"{name}_{FEET[0]}"]),
            (f"foot.{side}", body.joints[f"toe1-1.{side}"]),
            (f"foot.{side}", body.joints[f"toe5-1.{side}"]),
            (f"toe1-1.{side}", body.keypoints[f"{name}_{FEET[1]}"]),
            (f"toe5-1.{side}", body.keypoints[f"{name}_{FEET[2]}"]),
        ]
        found += [(bone, np.array([p[0], floor, p[2]])) for bone, p in spots]
    return found


def planted(motion: Motion) -> torch.Tensor:
    """Which foot (T, 2; left, right) bears weight: its ankle is low and slow in the motion."""
    ankles = motion.joints[:, [6, 3]]
    speed = np.linalg.norm(np.gradient(ankles, 1 / motion.fps, axis=0), axis=-1)
    low = ankles[..., 1] < np.quantile(ankles[..., 1], 0.05) + 0.07
    return torch.from_numpy(low & (speed < 0.75))


def floor_loss(points: torch.Tensor, standing: torch.Tensor, sole: float) -> torch.Tensor:
    """Soles (T, 2, S, 3) never below the floor; a standing foot on it, and not sliding."""
    height = points[..., 1] - sole
    below = (height.clamp(max=0) ** 2).sum((1, 2)).mean()
    lowest = height.min(-1).values
    touch = (standing * lowest**2).sum(1).mean()
    flat = (standing[..., None] * height[..., :3] ** 2).sum((1, 2)).mean()
    step = points[1:, ..., :3, :] - points[:-1, ..., :3, :]
    both = (standing[1:] & standing[:-1])[..., None]
    slide = (both * (step[..., [0, 2]] ** 2).sum(-1)).sum((1, 2)).mean()
    return 2000 * below + 2000 * touch + 200 * flat + 3000 * slide
