"""What a lifter sees: keypoints brought to a form that does not depend on the picture.

``person``: the camera is turned towards the person, frame by frame, and the keypoints are divided
by the person's size; the answer is turned back by the same viewing ray. The network then never
sees where in the picture somebody is, nor how large.

``image``: VideoPose3D's own, x from -1 to 1 over the picture's width (its ``camera.py``).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CENTRE_FRAMES = 10  # half width of the windows that steady centre and size
SIZE_FRAMES = 25
TORSO = (5, 6, 11, 12)  # shoulders and hips decide where a person is
ELSEWHERE = 0.1  # what any other keypoint counts for
NOTHING = 1e-6


def image(keypoints: Tensor, width: float, height: float) -> Tensor:
    """VideoPose3D's coordinates (..., 17, 2) of pixels."""
    return keypoints / width * 2 - torch.tensor([1.0, height / width], device=keypoints.device)


def rays(keypoints: Tensor, intrinsics: Tensor) -> Tensor:
    """Pixels (..., 2) to the plane z = 1 before a camera of `intrinsics` (3, 3)."""
    focal = torch.stack([intrinsics[0, 0], intrinsics[1, 1]])
    return (keypoints - intrinsics[:2, 2]) / focal


def person(points: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Turn the camera towards the person and divide by their size.

    Parameters
    ----------
    points
        (B, T, 17, 2) on the plane z = 1; anything where the score is 0.
    scores
        (B, T, 17) in [0, 1].

    Returns
    -------
    inputs (B, T, 51)
        x, y and score of every keypoint; x and y are 0 where the score is.
    rotation (B, T, 3, 3)
        From the camera frame to the turned one; its transpose turns an answer back.
    """
    known = scores > 0
    points = torch.where(known[..., None], points, 0.0)
    share = torch.full((17,), ELSEWHERE, device=points.device)
    share[list(TORSO)] = 1.0
    weight = scores * share + NOTHING * known
    centre = _steady((points * weight[..., None]).sum(-2), CENTRE_FRAMES)
    centre = centre / _steady(weight.sum(-1, keepdim=True), CENTRE_FRAMES).clamp(min=1e-9)

    rotation = look_at(centre)
    turned = torch.einsum("btij,btkj->btki", rotation, F.pad(points, (0, 1), value=1.0))
    flat = turned[..., :2] / turned[..., 2:].clamp(min=0.05)
    spread = ((flat**2).sum(-1) * scores).sum(-1, keepdim=True)
    size = _steady(spread, SIZE_FRAMES) / _steady(scores.sum(-1, keepdim=True), SIZE_FRAMES).clamp(
        min=1e-9
    )
    flat = flat / size.clamp(min=1e-8).sqrt()[..., None]
    flat = torch.where(known[..., None], flat, 0.0).clamp(-6, 6)
    return torch.cat([flat, scores[..., None]], -1).flatten(-2), rotation


def look_at(centre: Tensor) -> Tensor:
    """Rotations (..., 3, 3) that bring the rays (..., 2) to the optical axis, kept upright."""
    z = F.normalize(F.pad(centre, (0, 1), value=1.0), dim=-1)
    down = torch.tensor([0.0, 1.0, 0.0], device=z.device).expand_as(z)
    x = F.normalize(torch.linalg.cross(down, z), dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], -2)


def _steady(values: Tensor, half: int) -> Tensor:
    """Sums of (B, T, C) under a Hann window of 2 * half + 1 frames, cut off at the ends."""
    window = torch.hann_window(2 * half + 3, periodic=False, device=values.device)[1:-1]
    x = values.transpose(1, 2).flatten(0, 1)[:, None]
    x = F.conv1d(x, window[None, None], padding=half)
    return x[:, 0].unflatten(0, (len(values), -1)).transpose(1, 2)
