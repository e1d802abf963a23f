"""Motion capture on the device, and endless variety made of it.

Archives hold people of few builds doing few things. Every sequence drawn is a new one: another
build, another speed, the legs of one clip under the upper body of another, arms and legs of
others, limbs turned and bent, mirrored, tilted.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pose3d.errors import PoseError
from pose3d.skeleton import H36M, H36M_PARENTS

FRAMES_PER_SECOND = 50
STATURE = 1.6  # metres from ankle to head along the bones: the body that a lifter assumes
FACE_MIRROR = (0, 2, 1, 4, 3)
UPPER = tuple(range(7, 17))
# Where limbs hang, and what turns with them: trunk, legs, arms.
LIMBS = ((0, range(7, 22)), (1, range(2, 4)), (4, range(5, 7)), (11, range(12, 14)),
         (14, range(15, 17)))  # fmt: skip
# Limbs that may be another's: where such limbs hang at both sides, and their joints.
OTHERS = (((11, 14), range(11, 14)), ((11, 14), range(14, 17)), ((4, 1), range(1, 4)),
          ((4, 1), range(4, 7)))  # fmt: skip
HINGES = ((1, 2, 3), (4, 5, 6), (11, 12, 13), (14, 15, 16))
STIFFEST = 2.7  # radians that a knee or elbow bends at most
# Bones that grow together: thighs, shins, hips, trunk, neck and head, shoulders, arms, forearms.
BONE_GROUPS = (0, 1, 2, 3, 1, 2, 3, 4, 4, 5, 5, 6, 7, 8, 6, 7, 8)


@dataclass(frozen=True)
class MotionBank:
    """Motion archives in device memory.

    Attributes
    ----------
    points
        (N, 22, 3) absolute Human3.6M joints and five face points, metres, y up.
    start, length
        (C,) rows of each clip.
    clip
        (N,) which clip a row is of.
    chance
        (N,) how often a row is drawn: equal by subject, then by clip, then by how far the pose is
        from the mean one, so that standing about does not fill the batch.
    names
        (C,) of the clips' actions.
    """

    points: Tensor
    start: Tensor
    length: Tensor
    clip: Tensor
    chance: Tensor
    names: tuple[str, ...]


def load_motion(paths: list[Path], device: torch.device) -> MotionBank:
    """Read archives of `root`, `h36m_rel`, `face_rel`, `start`, `length`, `subject`, `action`."""
    points, start, length, subject, action = [], [], [], [], []
    rows = 0
    for path in paths:
        try:
            with np.load(path, allow_pickle=False) as file:
                relative = np.concatenate([file["h36m_rel"], file["face_rel"]], 1)
                points.append(file["root"][:, None] + relative.astype(np.float32))
                start.append(file["start"] + rows)
                length.append(file["length"])
                subject += [f"{path.stem}/{s}" for s in file["subject"]]
                action += [str(a) for a in file["action"]]
                rows += len(file["root"])
        except (OSError, KeyError, ValueError) as error:
            raise PoseError(f"{path} is no motion archive ({error})") from error
    names, index = np.unique(subject, return_inverse=True)
    frames = np.concatenate(length)
    clip = torch.from_numpy(np.repeat(np.arange(len(frames)), frames))
    share = torch.from_numpy(1 / np.bincount(index)[index] / len(names))
    everything = torch.from_numpy(np.concatenate(points))
    return MotionBank(
        everything.to(device),
        torch.from_numpy(np.concatenate(start)).long().to(device),
        torch.from_numpy(frames).long().to(device),
        clip.to(device),
        (share[clip] * _rarity(everything, clip, share)).float().to(device),
        tuple(action),
    )


def _rarity(points: Tensor, clip: Tensor, share: Tensor) -> Tensor:
    """(N,) distance of every row's pose from the mean one, with a mean of 1 / length per clip."""
    rotation = _about_up(-_heading(points[None])[0])
    pose = torch.einsum("nij,nkj->nki", rotation, points[:, :17] - points[:, :1])
    length = torch.bincount(clip)
    mean = (pose * (share / length)[clip, None, None]).sum(0)
    distance = (pose - mean).norm(dim=-1).mean(-1).double()
    total = torch.zeros(len(length), dtype=torch.double).index_add_(0, clip, distance)
    return distance / total[clip]


def draw(bank: MotionBank, count: int, frames: int, chance: torch.Generator) -> Tensor:
    """Varied sequences (count, frames, 22, 3), metres, y up."""
    device = bank.points.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=chance, device=device)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=chance, device=device)

    points = mixed(_clips(bank, frames, uniform, chance), uniform)
    points = flexed(bent(points, uniform, normal), uniform, normal)
    points = resize(points, _proportions(uniform, normal))
    points = torch.where((uniform(0, 1) < 0.5)[:, None, None, None], mirrored(points), points)
    return tilted(points, uniform, normal)


def _clips(bank: MotionBank, frames: int, uniform, chance: torch.Generator) -> Tensor:  # type: ignore[no-untyped-def]
    """Stretches of clips at other speeds, some backwards; (B, frames, 22, 3)."""
    count = len(uniform(0, 1))
    middle = torch.multinomial(bank.chance, count, replacement=True, generator=chance)
    clip = bank.clip[middle]
    speed = uniform(-0.7, 0.45).exp() * torch.where(uniform(0, 1) < 0.1, -1.0, 1.0)
    # A speed that changes on the way.
    phase, depth = uniform(0, math.tau), uniform(0, 0.35)
    step = torch.arange(frames, device=speed.device) - frames // 2
    sway = depth[:, None] * torch.sin(step * (math.tau / 90) + phase[:, None]) * (90 / math.tau)
    length = bank.length[clip]
    row = (middle - bank.start[clip])[:, None] + speed[:, None] * (step + sway)
    row = torch.minimum(row.clamp(min=0), (length - 1)[:, None])
    low = row.long()
    high = torch.minimum(low + 1, (length - 1)[:, None])
    start = bank.start[clip, None]
    share = (row - low)[..., None, None]
    return torch.lerp(bank.points[start + low], bank.points[start + high], share)


def mixed(points: Tensor, uniform) -> Tensor:  # type: ignore[no-untyped-def]
    """Some with the trunk, arms or legs of others of the batch (B, T, 22, 3)."""
    swap = uniform(0, 1) < 0.35
    upper = with_upper_body_of(points, points.roll(1, 0))
    points = torch.where(swap[:, None, None, None], upper, points)
    for far, (sides, limb) in enumerate(OTHERS, 2):
        swap = uniform(0, 1) < 0.2
        placed = with_limb_of(points, points.roll(far, 0), sides, limb)
        points = torch.where(swap[:, None, None, None], placed, points)
    return points


def with_limb_of(points: Tensor, other: Tensor, sides: tuple[int, int], limb: range) -> Tensor:
    """One with an arm or a leg of another, held to the trunk as the other holds it.

    `sides` are the left and right joint where such limbs hang, `limb` the joints of this one, the
    first of them where it hangs.
    """
    own, others = _trunk(points, sides), _trunk(other, sides)
    hanging = other[:, :, limb[1:]] - other[:, :, limb[:1]]
    # Rows of the frames are their axes: into the other's trunk, and out of one's own.
    local = (hanging[..., None, :] * others[:, :, None]).sum(-1)
    placed = (local[..., None] * own[:, :, None]).sum(-2)
    points = points.clone()
    points[:, :, limb[1:]] = points[:, :, limb[:1]] + placed
    return points


def _trunk(points: Tensor, sides: tuple[int, int]) -> Tensor:
    """Axes (B, T, 3, 3) across hips or shoulders, along the trunk, and forwards."""
    left, right = sides
    across = F.normalize(points[:, :, left] - points[:, :, right], dim=-1)
    ahead = F.normalize(torch.linalg.cross(across, points[:, :, 8] - points[:, :, 0]), dim=-1)
    return torch.stack([across, torch.linalg.cross(ahead, across), ahead], -2)


def with_upper_body_of(legs: Tensor, other: Tensor) -> Tensor:
    """The hips and legs of one with the trunk, arms and head of another, facing the same way."""
    rotation = _about_up(_heading(legs) - _heading(other))
    turned = torch.einsum("btij,btkj->btki", rotation, other - other[:, :, :1])
    upper = turned + legs[:, :, :1]
    rows = [*UPPER, *range(17, 22)]
    return torch.cat([legs[:, :, :7], upper[:, :, rows]], 2)


def bent(points: Tensor, uniform, normal) -> Tensor:  # type: ignore[no-untyped-def]
    """Every limb of most sequences turned by an angle of its own, about where it hangs.

    Archives hold few poses; this makes those between and beside them (after Gong et al., PoseAug,
    CVPR 2021, which learns how to).
    """
    some = uniform(0, 1) < 0.6
    much = 0.25 * (0.5 * normal()).exp()
    points = points.clone()
    for pivot, limb in LIMBS:
        axis = normal(3)
        axis = axis / axis.norm(dim=-1, keepdim=True).clamp(min=1e-3)
        rotation = rotation_about(axis, torch.where(some, much * normal(), 0.0))
        at, rows = points[:, :, pivot, None], list(limb)
        turned = torch.einsum("bij,btkj->btki", rotation, points[:, :, rows] - at)
        points[:, :, rows] = turned + at
    return points


def flexed(points: Tensor, uniform, normal) -> Tensor:  # type: ignore[no-untyped-def]
    """Knees and elbows of half the sequences bent more or less than they were, all the way."""
    some = uniform(0, 1) < 0.5
    points = points.clone()
    for above, hinge, below in HINGES:
        factor = torch.where(some, (0.35 * normal()).exp(), 1.0)[:, None]
        points[:, :, below] = _bend(points[:, :, [above, hinge, below]], factor)
    return points


def _bend(chain: Tensor, factor: Tensor) -> Tensor:
    """Where the end of a chain (B, T, 3, 3) of three joints is with `factor` times the flexion."""
    above, hinge, below = chain.unbind(2)
    straight = F.normalize(hinge - above, dim=-1)
    bone = below - hinge
    length = bone.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    along = (bone * straight).sum(-1, keepdim=True)
    aside = F.normalize(bone - along * straight, dim=-1)
    flexion = torch.acos((along / length).clamp(-1, 1)) * factor[..., None]
    flexion = flexion.clamp(max=STIFFEST)
    return hinge + length * (flexion.cos() * straight + flexion.sin() * aside)


def _heading(points: Tensor) -> Tensor:
    """Angle about the vertical of the line from right to left hip, (B, T)."""
    across = points[:, :, 4] - points[:, :, 1]
    return torch.atan2(-across[..., 2], across[..., 0])


def _about_up(angle: Tensor) -> Tensor:
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], -1).unflatten(-1, (3, 3))


def _proportions(uniform, normal) -> Tensor:  # type: ignore[no-untyped-def]
    """Factors (B, 17) of the bones to each joint."""
    groups = (0.09 * normal(9)).exp()
    wild = uniform(0, 1) < 0.2
    groups = torch.where(wild[:, None], (0.2 * normal(9)).exp(), groups)
    return groups[:, list(BONE_GROUPS)] * (0.03 * normal(17)).exp()


def resize(points: Tensor, factors: Tensor) -> Tensor:
    """Scale every bone, then the whole person to :data:`STATURE`; the path scales along."""
    joints = points[:, :, :17]
    parents = list(H36M_PARENTS)
    bones = [(joints[:, :, j] - joints[:, :, parents[j]]) * factors[:, None, j, None]
             for j in range(1, 17)]  # fmt: skip
    placed = [torch.zeros_like(joints[:, :, 0])]
    for joint in range(1, 17):
        placed.append(placed[parents[joint]] + bones[joint - 1])
    new = torch.stack(placed, 2)
    face = (points[:, :, 17:] - joints[:, :, 9:10]) * factors[:, None, None, 10:11]
    whole = torch.cat([new, new[:, :, 9:10] + face], 2)
    scale = STATURE / stature(new)
    return (whole + joints[:, :, :1]) * scale[:, None, None, None]


def stature(joints: Tensor) -> Tensor:
    """Ankle to head along the bones (B,), metres; the mean of both legs and all frames."""
    parents = torch.tensor(H36M_PARENTS, device=joints.device)
    bones = (joints - joints[:, :, parents.clamp(min=0)]).norm(dim=-1).mean(1)
    return bones[:, [2, 3, 5, 6]].sum(-1) / 2 + bones[:, [7, 8, 9, 10]].sum(-1)


def mirrored(points: Tensor) -> Tensor:
    """Left for right."""
    order = [*H36M.mirror.tolist(), *(17 + f for f in FACE_MIRROR)]
    return points[:, :, order] * torch.tensor([-1.0, 1, 1], device=points.device)


def tilted(points: Tensor, uniform, normal) -> Tensor:  # type: ignore[no-untyped-def]
    """The whole sequence turned about a horizontal axis through the person, mostly a little."""
    angle = torch.where(uniform(0, 1) < 0.08, uniform(-math.pi, math.pi), 0.1 * normal())
    about = uniform(0, math.tau)
    axis = torch.stack([about.cos(), torch.zeros_like(about), about.sin()], -1)
    pivot = points[:, :, :1].mean(1, keepdim=True)
    rotation = rotation_about(axis, angle)
    return torch.einsum("bij,btkj->btki", rotation, points - pivot) + pivot


def rotation_about(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) about unit axes (B, 3): Rodrigues' formula."""
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    sin, cos = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return torch.eye(3, device=axis.device) + sin * cross + (1 - cos) * (cross @ cross)
