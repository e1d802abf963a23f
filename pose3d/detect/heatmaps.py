"""Keypoints as distributions over the cells of a box, and nowhere.

For every keypoint the head gives one logit a cell of an S x S grid laid over the box and one for
"nowhere": not to be seen, or outside the box. A softmax over all of them (Mask R-CNN's spatial
softmax, He et al., ICCV 2017, with one bin more) is trained by cross-entropy against a target
whose mass is shared by the four nearest cells, so that the mean of the peak's neighbourhood is the
position to a fraction of a cell, and its mass says how sure the network is.
"""

import torch
from torch import Tensor

from pose3d.skeleton import COCO

WINDOW = 2  # cells on every side of the peak that the mean is taken over


def targets(points: Tensor, boxes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The four cells that share a keypoint, and their shares.

    Parameters
    ----------
    points
        (R, K, 2) in the boxes' coordinates; NaN for "nowhere".
    boxes
        (R, 4).
    size
        Cells a side.

    Returns
    -------
    index (R, K, 4) int64
        Into the flattened grid; ``size * size`` is "nowhere".
    weight (R, K, 4)
        Shares that add up to 1.
    """
    scale = size / (boxes[:, None, 2:] - boxes[:, None, :2]).clamp(min=1e-3)
    cell = (points - boxes[:, None, :2]) * scale
    inside = ((cell >= 0) & (cell < size)).all(-1)
    cell = torch.where(inside[..., None], cell, 0).sub(0.5).clamp(0, size - 1)
    low = cell.floor().clamp(max=size - 2)
    x, y = (cell - low).unbind(-1)
    corner = (low[..., 1] * size + low[..., 0]).long()
    index = corner[..., None] + torch.tensor([0, 1, size, size + 1], device=points.device)
    weight = torch.stack([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x], -1)
    nowhere = torch.tensor([1.0, 0, 0, 0], device=points.device)
    return (
        torch.where(inside[..., None], index, size * size),
        torch.where(inside[..., None], weight, nowhere),
    )


def mirrored(logits: Tensor) -> Tensor:
    """Logits (R, 17, S * S + 1) of the mirror image's, left for right."""
    size = int((logits.shape[-1] - 1) ** 0.5)
    grid = logits[..., :-1].unflatten(-1, (size, size)).flip(-1).flatten(-2)
    return torch.cat([grid, logits[..., -1:]], -1)[:, COCO.mirror.tolist()]


def decode(logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Positions and peak masses.

    Parameters
    ----------
    logits
        (R, K, S * S + 1), the last being "nowhere".
    boxes
        (R, 4).

    Returns
    -------
    points (R, K, 2)
        In the boxes' coordinates.
    mass (R, K)
        Probability within two cells of the peak, in [0, 1]; not yet calibrated.
    """
    size = int((logits.shape[-1] - 1) ** 0.5)
    mass = logits.float().softmax(-1)[..., :-1]
    peak = mass.argmax(-1)
    y, x = peak // size, peak % size
    steps = torch.arange(-WINDOW, WINDOW + 1, device=logits.device)
    ys = (y[..., None] + steps)[..., :, None]
    xs = (x[..., None] + steps)[..., None, :]
    valid = (ys >= 0) & (ys < size) & (xs >= 0) & (xs < size)
    index = (ys.clamp(0, size - 1) * size + xs.clamp(0, size - 1)).flatten(-2)
    window = mass.gather(-1, index).unflatten(-1, valid.shape[-2:]) * valid
    total = window.sum((-1, -2))
    cell = torch.stack([(window * xs).sum((-1, -2)), (window * ys).sum((-1, -2))], -1)
    cell = cell / total.clamp(min=1e-9)[..., None] + 0.5
    return boxes[:, None, :2] + cell * ((boxes[:, 2:] - boxes[:, :2]) / size)[:, None], total
