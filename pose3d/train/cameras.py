"""Cameras all round a person, and what they see."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pose3d.lift.normalise import look_at

DISTANCE = (2.0, 12.0)  # metres


@dataclass(frozen=True)
class Views:
    """Sequences seen by one still camera each.

    Attributes
    ----------
    joints
        (B, T, 17, 3) Human3.6M joints, metres, camera frame (x right, y down, z forward).
    keypoints
        (B, T, 17, 2) COCO keypoints on the plane z = 1.
    depth
        (B, T, 17) distance of the keypoints along the view, metres.
    """

    joints: Tensor
    keypoints: Tensor
    depth: Tensor


def look(points: Tensor, chance: torch.Generator) -> Views:
    """See sequences (B, T, 22, 3) from random sides, heights and distances."""
    count, device = len(points), points.device

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=chance, device=device)

    def normal() -> Tensor:
        return torch.randn(count, generator=chance, device=device)

    steep = uniform(0, 1) < 0.25
    elevation = torch.where(steep, uniform(-0.6, 1.2), 0.12 + 0.2 * normal())
    azimuth, roll = uniform(-math.pi, math.pi), 0.08 * normal()
    distance = uniform(math.log(DISTANCE[0]), math.log(DISTANCE[1])).exp()
    away = torch.stack(
        [elevation.cos() * azimuth.sin(), elevation.sin(), elevation.cos() * azimuth.cos()], -1
    )
    middle = points.shape[1] // 2
    aim = points[:, middle, 0]
    eye = aim + distance[:, None] * away
    rotation = _upright(-away, roll)
    # The person is seldom in the middle of the picture.
    off = torch.stack([0.3 * normal(), 0.15 * normal()], -1).clamp(-0.6, 0.6)
    rotation = look_at(off).transpose(-1, -2) @ rotation
    seen = torch.einsum("bij,btkj->btki", rotation, points - eye[:, None, None])
    # Nobody walks through the camera: such frames are pushed away along the view.
    near = (0.7 - seen[..., 2].amin(-1)).clamp(min=0)
    seen = seen + torch.stack([torch.zeros_like(near)] * 2 + [near], -1)[:, :, None]
    marks = coco_points(seen, chance)
    return Views(seen[:, :, :17], marks[..., :2] / marks[..., 2:].clamp(min=0.2), marks[..., 2])


def _upright(forward: Tensor, roll: Tensor) -> Tensor:
    """World (y up) to camera rotations (B, 3, 3) that look along `forward`."""
    up = torch.tensor([0.0, 1.0, 0.0], device=forward.device).expand_as(forward)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    down = torch.linalg.cross(forward, right)
    cos, sin = roll.cos()[:, None], roll.sin()[:, None]
    return torch.stack([cos * right + sin * down, cos * down - sin * right, forward], -2)


def coco_points(points: Tensor, chance: torch.Generator) -> Tensor:
    """COCO's keypoints (B, T, 17, 3) of joints and face points (B, T, 22, 3), as annotators see.

    They put hips higher and wider than the joints are, and every joint a little elsewhere; by how
    much is drawn once a sequence.
    """
    count, device = len(points), points.device

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=chance, device=device)

    order = [17, 18, 19, 20, 21, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3]
    across = torch.nn.functional.normalize(points[:, :, 4] - points[:, :, 1], dim=-1)
    along = torch.nn.functional.normalize(points[:, :, 8] - points[:, :, 0], dim=-1)
    frame = torch.stack([across, along, torch.linalg.cross(across, along)], -2)  # (B, T, 3, 3)
    shift = 0.012 * normal(17, 3)
    wide, high = 0.02 + 0.02 * normal(), 0.03 + 0.03 * normal()
    zero = torch.zeros_like(wide)
    shift[:, 11] = shift[:, 11] + torch.stack([wide, high, zero], -1)
    shift[:, 12] = shift[:, 12] + torch.stack([-wide, high, zero], -1)
    return points[:, :, order] + torch.einsum("bkj,btji->btki", shift, frame)
