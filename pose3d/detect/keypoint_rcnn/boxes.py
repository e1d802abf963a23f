"""Boxes x0, y0, x1, y1 of two schools.

To Detectron x1 and y1 are the last pixels inside, so a box is ``x1 - x0 + 1`` wide; to everybody
since they are edges. `extent` is that 1, or 0.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms

MAX_LOG_SCALE = math.log(1000 / 16)


def sides(boxes: Tensor, extent: float) -> Tensor:
    """Width and height (..., 2) of boxes (..., 4)."""
    return boxes[..., 2:] - boxes[..., :2] + extent


def decode(deltas: Tensor, boxes: Tensor, extent: float) -> Tensor:
    """Boxes (..., 4) moved and scaled by dx, dy, dw, dh (..., 4), as R-CNN has it."""
    size = sides(boxes, extent)
    centre = boxes[..., :2] + size / 2 + deltas[..., :2] * size
    half = deltas[..., 2:].clamp(max=MAX_LOG_SCALE).exp() * size / 2
    return torch.cat([centre - half, centre + half - extent], -1)


def clip(boxes: Tensor, width: float | Tensor, height: float | Tensor, extent: float) -> Tensor:
    """Boxes (..., 4) cut to a picture; of several pictures its sides are (..., 1)."""
    if isinstance(width, Tensor) and isinstance(height, Tensor):
        limit = torch.stack([width, height, width, height], -1) - extent
    else:
        limit = boxes.new_tensor([width, height, width, height]) - extent
    return torch.minimum(boxes.clamp(min=0), limit)


def at_least(boxes: Tensor, side: float) -> Tensor:
    """Whether both sides of boxes (..., 4), without `extent`, are `side` or longer."""
    return (sides(boxes, 0) >= side).all(-1)


def suppress(
    boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, extent: float, inclusive: bool
) -> Tensor:
    """Indices that non-maximum suppression within groups leaves, the best first.

    Parameters
    ----------
    boxes, scores, groups
        (N, 4), (N,) and (N,) int64: boxes of different groups do not meet.
    threshold
        Of the intersection over union.
    inclusive
        Whether a box goes at the threshold itself, else only above it.
    """
    edges = torch.cat([boxes[:, :2], boxes[:, 2:] + extent], 1)
    return batched_nms(edges, scores, groups, limit(threshold, inclusive))


def limit(threshold: float, inclusive: bool) -> float:
    """The overlap above which a box goes, if it goes above a threshold or already at it."""
    single = np.float32(threshold)
    return float(np.nextafter(single, np.float32(0)) if inclusive else single)


def pyramid_levels(boxes: Tensor, extent: float, inside: float, outside: float) -> Tensor:
    """The pyramid level, 0 to 3, that each of boxes (N, 4) is read from.

    Lin et al., "Feature Pyramid Networks", CVPR 2017, equation 1; what families add against
    rounding errors goes `inside` or `outside` of the logarithm.
    """
    size = sides(boxes, extent)
    ratio = (size[:, 0] * size[:, 1]).sqrt() / 224
    level = torch.floor(4 + torch.log2(ratio + inside) + outside)
    return level.clamp(2, 5).long() - 2
