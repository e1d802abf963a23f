"""Keypoints as a detector gives them: shaken, hidden, swapped, cut off, with scores that know.

Every sequence has a quality, from perfect to poor. Errors are in units of COCO's tolerance for
the joint (2 sigma times the square root of the person's area), and a score is, as our detectors
are calibrated, the probability of lying within a similarity of 0.5: for an error drawn from a
round normal distribution of `r` tolerances that is 1 - exp(-(1.177 / r)^2 / 2).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pose3d.skeleton import COCO, COCO_SIGMAS

Draw = Callable[..., Tensor]  # shape (...) to random numbers (B, ...)
WITHIN = math.sqrt(2 * math.log(2))  # tolerances at which the similarity is 0.5
LIMBS = ((7, 9), (8, 10), (13, 15), (14, 16))


@dataclass(frozen=True)
class Noise:
    """How bad it gets: by default as bad as our own detector on the pictures that judge it.

    Of its errors there, half are below 0.25 tolerances, three quarters below 0.45, nine in ten
    below 1.0 (`people/val`: 477 people found in every fourth picture); of these 0.14, 0.43 and 1.1,
    as true positions are known of what nobody sees, too.

    Attributes
    ----------
    jitter
        Largest error of a joint in plain sight, in tolerances.
    hidden
        Chance that a joint is out of sight at some time of a sequence.
    swap
        Chance that left and right are exchanged at some time.
    cut
        Chance that the frame cuts the person off.
    flawless
        Share of sequences with no error at all.
    """

    jitter: float = 0.45
    hidden: float = 0.1
    swap: float = 0.06
    cut: float = 0.08
    flawless: float = 0.12


HARD = Noise(jitter=0.6, hidden=0.15, swap=0.1, cut=0.12)  # as of acrobats, in small pictures
CLEAN = Noise(0, 0, 0, 0, 1)
NOISES = {"measured": Noise(), "hard": HARD, "none": CLEAN}


def shake(
    keypoints: Tensor, depth: Tensor, noise: Noise, chance: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Noisy keypoints (B, T, 17, 2) and their scores (B, T, 17).

    Parameters
    ----------
    keypoints
        (B, T, 17, 2) true ones, in any unit.
    depth
        (B, T, 17) along the view: the far limbs are hidden more often.
    noise
        How bad it gets.
    chance
        All randomness.
    """
    count, frames = keypoints.shape[:2]
    device = keypoints.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=chance, device=device)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=chance, device=device)

    flawless = uniform() < noise.flawless
    tolerance = _tolerance(keypoints)
    level = noise.jitter * uniform() ** 1.5
    ratio = (
        level[:, None, None]
        * (0.5 * normal(1, 17)).exp()
        * (0.6 * _slow(normal(frames, 17), 12)).exp()
    )

    far = (depth - depth.mean(-1, keepdim=True)).clamp(-0.2, 0.2) / 0.2
    lost = _spells(uniform, frames, 17, noise.hidden * (1 + 0.8 * far[:, frames // 2]))
    legs = _spells(uniform, frames, 1, torch.full((count, 1), 0.3 * noise.hidden, device=device))
    lost = lost | (legs & _is(LOWER, device))
    ratio = torch.where(lost, ratio + 0.8 + 2.5 * uniform(1, 17), ratio)

    swapped = _spells(uniform, frames, 3, torch.full((count, 3), noise.swap / 2, device=device))
    exchanged = (
        swapped[..., :1]
        | (swapped[..., 1:2] & _is(ARMS, device))
        | (swapped[..., 2:] & _is(LEGS, device))
    )
    mirror = torch.from_numpy(COCO.mirror).to(device)
    found = torch.where(exchanged[..., None], keypoints[:, :, mirror], keypoints)
    ratio = torch.where(exchanged, ratio + 0.5 * uniform(1, 1), ratio)

    # Errors hang together over time: some last a frame, some a second, some the whole sequence.
    parts = uniform(3)
    parts = parts / parts.norm(dim=-1, keepdim=True).clamp(min=1e-3)
    errors = (
        parts[:, 0, None, None, None] * normal(frames, 17, 2)
        + parts[:, 1, None, None, None] * _slow(normal(frames, 17 * 2), 10).unflatten(-1, (17, 2))
        + parts[:, 2, None, None, None] * _slow(normal(frames, 17 * 2), 40).unflatten(-1, (17, 2))
    )
    found = found + errors * (ratio * tolerance)[..., None]

    score = 1 - (-0.5 * (WITHIN / ratio.clamp(min=1e-3)) ** 2).exp()
    score = score * (1 - 0.12 * uniform(1, 17)) ** (0.5 + 1.5 * uniform(1, 1))
    score = (score + 0.05 * _slow(normal(frames, 17), 4) * (level > 0)[:, None, None]).clamp(
        0.02, 1
    )
    score = score ** (0.4 * normal(1, 1)).exp()

    found, score = _cut(found, score, keypoints, noise, uniform)
    missing = (uniform(frames, 17) < 0.25) & lost | (uniform(frames, 1) < 0.04 * uniform(1, 1))
    score = torch.where(missing & ~flawless[:, None, None], 0.0, score)
    plain = flawless[:, None, None]
    return (
        torch.where(plain[..., None], keypoints, found),
        torch.where(plain, 1 - 0.12 * uniform(1, 17) * uniform(1, 1), score),
    )


ARMS, LEGS = (7, 8, 9, 10), (13, 14, 15, 16)
LOWER = (11, 12, *LEGS)


def _is(joints: tuple[int, ...], device: torch.device) -> Tensor:
    mask = torch.zeros(17, dtype=torch.bool, device=device)
    mask[list(joints)] = True
    return mask


def _tolerance(keypoints: Tensor) -> Tensor:
    """COCO's kappa times the square root of the area, (B, T, 17); the area as of a mask."""
    extent = keypoints.amax(2) - keypoints.amin(2)
    # Boxes are wider than the joints' own, and a mask fills about half of a box.
    area = 0.53 * 1.3 * extent.prod(-1).clamp(min=(0.15 * extent.amax(-1)) ** 2)
    sigma = torch.from_numpy(2 * COCO_SIGMAS).to(keypoints)
    return area.sqrt()[..., None] * sigma


def _slow(white: Tensor, half: int) -> Tensor:
    """Noise (B, T, C) that changes within about `half` frames, of unit variance."""
    window = torch.hann_window(2 * half + 1, periodic=False, device=white.device)
    window = window / window.norm()
    x = white.transpose(1, 2).flatten(0, 1)[:, None]
    mode = "reflect" if x.shape[-1] > half else "constant"
    x = F.conv1d(F.pad(x, (half, half), mode=mode), window[None, None])
    return x[:, 0].unflatten(0, (len(white), -1)).transpose(1, 2)


def _spells(uniform: Draw, frames: int, channels: int, chance: Tensor) -> Tensor:
    """True (B, frames, channels) during one spell in those that have one; some last throughout."""
    has = uniform(channels) < chance
    middle = uniform(channels) * frames
    length = (1.0 + 4.0 * uniform(channels)).exp()
    step = torch.arange(frames, device=middle.device)[:, None]
    return has[:, None] & ((step - middle[:, None]).abs() < length[:, None] / 2)


def _cut(
    found: Tensor, score: Tensor, keypoints: Tensor, noise: Noise, uniform: Draw
) -> tuple[Tensor, Tensor]:
    """One edge of the picture goes through the person: what lies beyond is not seen."""
    used = uniform() < noise.cut
    middle = keypoints.mean((1, 2))
    extent = (keypoints.amax(2) - keypoints.amin(2)).amax(-1).mean(1)
    # Mostly the lower edge.
    angle = torch.where(
        uniform() < 0.6,
        math.pi / 2 * torch.ones_like(extent),
        (uniform() * 4).floor() * math.pi / 2,
    )
    normal = torch.stack([angle.cos(), angle.sin()], -1)
    edge = extent * (0.5 * uniform() - 0.05)
    beyond = (
        torch.einsum("btki,bi->btk", found - middle[:, None, None], normal) - edge[:, None, None]
    )
    out = (beyond > 0) & used[:, None, None]
    # A detector leaves them at the edge, or anywhere near, and is not sure.
    found = torch.where(
        out[..., None],
        found - (beyond * (0.7 + 0.3 * uniform(1, 17)))[..., None] * normal[:, None, None],
        found,
    )
    return found, torch.where(out, score * 0.25 * uniform(1, 17), score)
