"""From a picture to the network's input: when and with what each family scales and normalises.

Every function takes a picture, RGB uint8 (H, W, 3), the mean and deviation of its channels in the
order of the network's, what that order is, and how long the shorter and the longer side may be;
it returns float32 (3, h, w) and the scale.
"""

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Triple = tuple[float, float, float]
Resize = Callable[[Any, Triple, Triple, int, int], tuple[Tensor, float]]


def pillow(
    picture: NDArray[np.uint8], mean: Triple, std: Triple, short: int, long: int
) -> tuple[Tensor, float]:
    """detectron2: Pillow's smoothing filter on whole numbers, then normalise; BGR."""
    from PIL import Image

    height, width = picture.shape[:2]
    scale = short / min(height, width)
    # In the order of detectron2's own roundings.
    size = (short, scale * width) if height < width else (scale * height, short)
    if max(size) > long:
        shrink = long / max(size)
        size = size[0] * shrink, size[1] * shrink
    h, w = (max(int(side + 0.5), 1) for side in size)
    small = np.asarray(Image.fromarray(picture).resize((w, h), Image.Resampling.BILINEAR))
    values = _channels_first(small[..., ::-1])
    return (values - _column(mean)) / _column(std), h / height


def opencv(
    picture: NDArray[np.uint8], mean: Triple, std: Triple, short: int, long: int
) -> tuple[Tensor, float]:
    """Detectron: normalise, then OpenCV's interpolation between four pixels; BGR."""
    sides = picture.shape[:2]
    scale = short / min(sides)
    if np.round(scale * max(sides)) > long:
        scale = long / max(sides)
    values = ((picture[..., ::-1] - np.array(mean)) / np.array(std)).astype(np.float32)
    # Given the scale instead of a size, OpenCV samples at exactly that scale.
    thin = min(sides) * scale < 1
    size = (max(round(sides[1] * scale), 1), max(round(sides[0] * scale), 1)) if thin else None
    small: Any = cv2.resize(values, size, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    return _channels_first(small), scale


def torchvision(
    picture: NDArray[np.uint8] | Tensor, mean: Triple, std: Triple, short: int, long: int
) -> tuple[Tensor, float]:
    """torchvision: values from 0 to 1, normalise, then interpolate between four pixels; RGB."""
    values = torch.as_tensor(picture).permute(2, 0, 1).float().contiguous() / 255
    values = (values - _column(mean).to(values.device)) / _column(std).to(values.device)
    sides = picture.shape[:2]
    scale = min(short / min(sides), long / max(sides))
    size = [max(math.floor(side * scale), 1) for side in sides]
    small = F.interpolate(values[None], size=size, mode="bilinear", align_corners=False)[0]
    return small, scale


def _channels_first(picture: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))


def _column(values: Triple) -> Tensor:
    return torch.tensor(values)[:, None, None]
