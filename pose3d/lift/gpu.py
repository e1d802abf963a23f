"""The temporal network on a GPU: matrix products in half precision, norms folded into them.

cuDNN's dilated convolutions over time are far from what the GPU can do. As products of shifted
frames they are what it does best.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pose3d.lift.network import TemporalModel


class Products:
    """What :meth:`TemporalModel.forward` does, in evaluation.

    Parameters
    ----------
    network
        Its weights are copied.
    dtype
        To compute in; answers are single precision.
    """

    def __init__(self, network: TemporalModel, dtype: torch.dtype = torch.float16) -> None:
        self._widths, self._causal = network.filter_widths, network.causal
        self._outputs, self._dtype = network.outputs, dtype
        convolutions = [network.expand_conv, *cast("list[nn.Conv1d]", network.layers_conv)]
        norms = [network.expand_bn, *cast("list[nn.BatchNorm1d]", network.layers_bn)]
        layers = [_folded(c, n) for c, n in zip(convolutions, norms, strict=True)]
        layers.append((network.shrink.weight.squeeze(-1), cast("Tensor", network.shrink.bias)))
        self._layers = [(weight.to(dtype), bias.to(dtype)) for weight, bias in layers]

    def __call__(self, x: Tensor) -> Tensor:
        """(B, T, inputs * features) to (B, T - receptive_field + 1, outputs, 3)."""
        x = x.to(self._dtype)
        first, *layers, last = self._layers
        x = F.relu_(F.linear(_shifted(x, self._widths[0], 1), *first))
        dilation = self._widths[0]
        for n, width in enumerate(self._widths[1:]):
            wide, narrow = layers[2 * n : 2 * n + 2]
            tap = (width - 1 if self._causal else width // 2) * dilation
            frames = x.shape[1] - (width - 1) * dilation
            y = F.relu_(F.linear(_shifted(x, width, dilation), *wide))
            x = F.relu_(F.linear(y, *narrow)).add_(x[:, tap : tap + frames])
            dilation *= width
        return F.linear(x, *last).float().unflatten(-1, (self._outputs, 3))


def _shifted(x: Tensor, width: int, dilation: int) -> Tensor:
    """What each tap of a filter sees, side by side: (B, T', width * C)."""
    frames = x.shape[1] - (width - 1) * dilation
    return torch.cat([x[:, n * dilation : n * dilation + frames] for n in range(width)], -1)


def _folded(convolution: nn.Conv1d, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Weights (out, width * in) and bias (out,) of a convolution (out, in, width) and its norm."""
    mean, variance = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    weight = (convolution.weight * scale[:, None, None]).permute(0, 2, 1).flatten(1)
    return weight.contiguous(), norm.bias - mean * scale
