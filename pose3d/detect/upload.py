"""Pictures in a GPU's memory as their decoder left them: it turns them into RGB as it shrinks them.

Half the bytes of RGB travel, and only as many pixels are converted as the network is going to see:
to shrink and to mix colours are both linear, so that their order makes no difference but for
rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pose3d.detect.framing import Framing
from pose3d.frame import OnGpu, Planes


@dataclass(frozen=True)
class Uploaded:
    """Pictures of one size.

    Attributes
    ----------
    y
        (B, H, W) uint8, brightness.
    u, v
        (B, H / 2, W / 2) uint8, colours.
    mix
        (3, 4) float32, what makes RGB of y, u, v and 1: of the first picture, as of all of a video.
    """

    y: Tensor
    u: Tensor
    v: Tensor
    mix: Tensor

    @classmethod
    def of(cls, pictures: Sequence[Planes | OnGpu], device: torch.device) -> "Uploaded":
        """Pictures that lie in main memory, or there already."""

        def all_of(name: str) -> Tensor:
            planes = [torch.as_tensor(_in_one_piece(getattr(p, name))) for p in pictures]
            there = torch.empty(len(planes), *planes[0].shape, dtype=torch.uint8, device=device)
            for row, plane in zip(there, planes, strict=True):
                row.copy_(plane)
            return there

        mix = torch.from_numpy(pictures[0].mix).to(device)
        return cls(all_of("y"), all_of("u"), all_of("v"), mix)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: slice) -> "Uploaded":
        return Uploaded(self.y[rows], self.u[rows], self.v[rows], self.mix)

    def shown(self, framing: Framing) -> Tensor:
        """What a framing shows (B, 3, h, w), RGB of whole numbers, float32."""
        x0, y0, x1, y1 = framing.region
        width, height = framing.size

        def shrunk(plane: Tensor) -> Tensor:
            return F.interpolate(
                plane[:, None].float(), (height, width), mode="bilinear", antialias=True
            )

        # A side of colours that is cut in two keeps the half pixel too many: it is not seen.
        colours = slice(None), slice(y0 // 2, -(-y1 // 2)), slice(x0 // 2, -(-x1 // 2))
        y, u, v = shrunk(self.y[:, y0:y1, x0:x1]), shrunk(self.u[colours]), shrunk(self.v[colours])
        of_y, of_u, of_v, level = self.mix[..., None, None].unbind(1)
        return (of_y * y + of_u * u + of_v * v + level).clamp_(0, 255).round_()


def _in_one_piece(plane: NDArray[np.uint8] | Tensor) -> NDArray[np.uint8] | Tensor:
    """A plane as it can be taken over: torch knows no views that run backwards."""
    return plane if isinstance(plane, Tensor) else np.ascontiguousarray(plane)
