"""Geometry of boxes, batched: every function takes any leading dimensions and no loop.

Boxes are x0, y0, x1, y1 in pixels.
"""

import math

import torch
from torch import Tensor

MAX_LOG_SCALE = math.log(1000 / 16)  # the clamp of dw and dh, as Detectron has it


def area(boxes: Tensor) -> Tensor:
    """Area (...,) of boxes (..., 4); 0 where a side is negative."""
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(
        min=0
    )


def intersection(a: Tensor, b: Tensor) -> Tensor:
    """Shared area (..., N, M) of boxes a (..., N, 4) and b (..., M, 4)."""
    a, b = a[..., :, None, :], b[..., None, :, :]
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    return area(torch.cat([low, high], -1))


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union (..., N, M) of boxes a (..., N, 4) and b (..., M, 4)."""
    shared = intersection(a, b)
    return shared / (area(a)[..., :, None] + area(b)[..., None, :] - shared).clamp(min=1e-6)


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Boxes as offsets from anchors: dx, dy in anchor sizes, log of the size's ratio (R-CNN)."""
    size, anchor = boxes[..., 2:] - boxes[..., :2], anchors[..., 2:] - anchors[..., :2]
    shift = (boxes[..., :2] + size / 2 - anchors[..., :2] - anchor / 2) / anchor
    return torch.cat([shift, (size.clamp(min=1e-3) / anchor).log()], -1)


def decode(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Inverse of :func:`encode`."""
    anchor = anchors[..., 2:] - anchors[..., :2]
    centre = anchors[..., :2] + anchor / 2 + deltas[..., :2] * anchor
    half = deltas[..., 2:].clamp(max=MAX_LOG_SCALE).exp() * anchor / 2
    return torch.cat([centre - half, centre + half], -1)


def clip(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Boxes (B, N, 4) cut to pictures of `sizes` (B, 2), width and height."""
    limit = sizes.repeat(1, 2)[:, None].to(boxes)
    return torch.minimum(boxes.clamp(min=0), limit)


def enlarge(boxes: Tensor, factor: float) -> Tensor:
    """Boxes grown about their centres."""
    centre, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    return torch.cat([centre - half * factor, centre + half * factor], -1)


def mirrored(boxes: Tensor, widths: Tensor) -> Tensor:
    """Boxes (N, 4) in the mirror images of pictures of `widths` (N,)."""
    x0, y0, x1, y1 = boxes.unbind(-1)
    return torch.stack([widths - x1, y0, widths - x0, y1], -1)


def grid_anchors(height: int, width: int, stride: int, shapes: Tensor) -> Tensor:
    """Anchors (height * width * A, 4) of `shapes` (A, 2), width and height, at cell centres."""
    device = shapes.device
    y = (torch.arange(height, device=device) + 0.5) * stride
    x = (torch.arange(width, device=device) + 0.5) * stride
    centre = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 1, 2)
    return torch.cat([centre - shapes / 2, centre + shapes / 2], -1).reshape(-1, 4)


def suppress(boxes: Tensor, threshold: float, rounds: int = 12) -> Tensor:
    """Non-maximum suppression of boxes (B, K, 4) sorted best first; True (B, K) where kept.

    A box goes if a kept, better one overlaps it by more than `threshold`. Repeating that rule for
    all boxes at once reaches the greedy answer after as many rounds as the longest chain of boxes
    that drop each other, seldom over five, so no picture waits for another.
    """
    overlap = (iou(boxes, boxes) > threshold).tril(-1)
    keep = torch.ones(boxes.shape[:-1], dtype=torch.bool, device=boxes.device)
    for _ in range(rounds):
        keep = ~(overlap & keep[..., None, :]).any(-1)
    return keep
