"""The three anchors of a cell, and of all cells of a map."""

import torch
from torch import Tensor

RATIOS = (0.5, 1.0, 2.0)  # height over width


def exact(_stride: int, side: int) -> Tensor:
    """detectron2's (3, 4), about 0."""
    ratios = torch.tensor(RATIOS, dtype=torch.float64)
    width = (side**2 / ratios).sqrt()
    half = torch.stack([width, width * ratios], 1) / 2
    return torch.cat([-half, half], 1).float()


def rounded(_stride: int, side: int) -> Tensor:
    """torchvision's (3, 4), about 0 and at whole pixels."""
    root = torch.tensor(RATIOS).sqrt()
    size = torch.stack([side / root, side * root], 1)
    return (torch.cat([-size, size], 1) / 2).round()


def of_pixels(stride: int, side: int) -> Tensor:
    """Detectron's (3, 4): shapes rounded at the stride's size, about the middle of its pixels."""
    ratios = torch.tensor(RATIOS, dtype=torch.float64)
    width = (stride**2 / ratios).sqrt().round()
    height = (width * ratios).round()
    half = (torch.stack([width, height], 1) * (side / stride) - 1) / 2
    middle = (stride - 1) / 2
    return torch.cat([middle - half, middle + half], 1).float()


def on_map(cell: Tensor, height: int, width: int, step: tuple[int, int]) -> Tensor:
    """Anchors (height * width * 3, 4) of a map whose cells are `step` (y, x) pixels apart."""
    y = torch.arange(height, device=cell.device) * step[0]
    x = torch.arange(width, device=cell.device) * step[1]
    corner = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 1, 2)
    return (corner.repeat(1, 1, 2) + cell).reshape(-1, 4)
