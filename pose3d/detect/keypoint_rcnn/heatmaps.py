"""From 56 x 56 maps to keypoints: the maximum of the map stretched over the box."""

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


def _peak(maps: Tensor, height: int, width: int, cells_of_map: bool) -> tuple[Tensor, ...]:
    """Index and value (J,) of the maximum of each of maps (J, 56, 56), and the softmax's sum."""
    stretched = F.interpolate(
        maps[None], size=(height, width), mode="bicubic", align_corners=False
    )[0].flatten(1)
    best, index = stretched.max(1)
    shared = maps.flatten(1) if cells_of_map else stretched
    return index, best, (shared - best[:, None]).exp().sum(1)
