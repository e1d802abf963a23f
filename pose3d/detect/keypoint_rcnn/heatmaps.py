"""From 56 x 56 maps to keypoints: the maximum of the map stretched over the box."""

from math import ceil
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_PIXELS = 1 << 24  # stretched at once


class Peaks(NamedTuple):
    """Of R boxes with 17 maps each."""

    points: Tensor  # (R, 17, 2), in the boxes' coordinates
    logits: Tensor  # (R, 17), the maxima
    probabilities: Tensor  # (R, 17), their share of the softmax over a whole map


def peaks(maps: Tensor, boxes: Tensor, cells_of_map: bool) -> Peaks:
    """Maxima of maps (R, 17, 56, 56) stretched bicubically over boxes (R, 4).

    Probabilities are shares of the 56 x 56 cells, or of the pixels of the stretched map. A share
    of the cells can be a little above 1, where the stretched map rises above all of them.
    """
    sizes = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    pixels = sizes.ceil()
    points, logits, sums = [], [], []
    for row, (width, height) in zip(maps, pixels.int().tolist(), strict=True):
        # All joints at once would be gigabytes for somebody who fills an 8K picture.
        found = [
            _peak(some, height, width, cells_of_map)
            for some in row.split(max(MAX_PIXELS // (height * width), 1))
        ]
        index, best, total = (torch.cat(parts) for parts in zip(*found, strict=True))
        points.append(torch.stack([index % width, index // width], 1))
        logits.append(best)
        sums.append(total)
    if not points:
        empty = maps.new_zeros(0, maps.shape[1])
        return Peaks(maps.new_zeros(0, maps.shape[1], 2), empty, empty)
    step = (sizes / pixels)[:, None]
    where = (torch.stack(points) + 0.5) * step + boxes[:, None, :2]
    return Peaks(where, torch.stack(logits), torch.stack(sums).reciprocal())


def peaks_nearby(maps: Tensor, boxes: Tensor, cells_of_map: bool = True) -> Peaks:
    """As :func:`peaks`, for all boxes at once, near the maxima of the maps themselves.

    Stretching moves a maximum by less than a cell or pixel, unless two cells are as good as equal.
    Shares are of the map's cells.
    """
    if not len(maps):
        return peaks(maps, boxes, cells_of_map)
    side = maps.shape[-1]
    sizes = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    pixels = sizes.ceil()
    least, most = torch.stack([pixels.min(), pixels.max()]).tolist()
    # Of somebody smaller than the map, the next pixel is farther than the next cell.
    around = max(1.0, side / least)
    count = int(2 * around * most / side) + 2
    best = maps.flatten(2).argmax(-1)
    cell = torch.stack([best % side, best // side], -1)  # (R, 17, 2)
    # What is interpolated there depends on two cells more.
    reach = torch.arange(-ceil(around) - 2, ceil(around) + 3, device=maps.device)
    near = (cell[..., None] + reach).clamp(0, side - 1)  # (R, 17, 2, cells)
    index = near[:, :, 1, :, None] * side + near[:, :, 0, None]
    patch = maps.flatten(2).gather(2, index.flatten(2)).unflatten(2, index.shape[2:])

    scale = (side / pixels)[:, None]  # cells a pixel, (R, 1, 2)
    first = ((cell - around + 0.5) / scale - 0.5).ceil().clamp(min=0)
    pixel = first[..., None] + torch.arange(count, device=maps.device)  # (R, 17, 2, count)
    at = (pixel + 0.5) * scale[..., None] - 0.5
    there = (pixel < pixels[:, None, :, None]) & (at <= cell[..., None] + around)
    weights = _cubic((at[..., None] - (cell[..., None] + reach)[..., None, :]).abs())
    stretched = weights[:, :, 1] @ patch @ weights[:, :, 0].transpose(-1, -2)
    known = there[:, :, 1, :, None] & there[:, :, 0, None]
    top, where = torch.where(known, stretched, -torch.inf).flatten(2).max(-1)
    chosen = torch.stack([first[..., 0] + where % count, first[..., 1] + where // count], -1)
    points = (chosen + 0.5) * (sizes / pixels)[:, None] + boxes[:, None, :2]
    shares = (maps.flatten(2) - top[..., None]).exp().sum(-1).reciprocal()
    return Peaks(points, top, shares)


def _cubic(distance: Tensor) -> Tensor:
    """Weights of cells at distances in cells: Keys (1981), with the -0.75 that PyTorch has."""
    a = -0.75
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))


def _peak(maps: Tensor, height: int, width: int, cells_of_map: bool) -> tuple[Tensor, ...]:
    """Index and value (J,) of the maximum of each of maps (J, 56, 56), and the softmax's sum."""
    stretched = F.interpolate(
        maps[None], size=(height, width), mode="bicubic", align_corners=False
    )[0].flatten(1)
    best, index = stretched.max(1)
    shared = maps.flatten(1) if cells_of_map else stretched
    return index, best, (shared - best[:, None]).exp().sum(1)
