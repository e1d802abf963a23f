"""The temporal dilated-convolution network of VideoPose3D.

Pavllo, Feichtenhofer, Grangier and Auli, "3D human pose estimation in video with temporal
convolutions and semi-supervised training", CVPR 2019, section 3. Parameter names are those of its
published checkpoints, which load unchanged.
"""

from math import prod

import torch.nn.functional as F
from torch import Tensor, nn


class TemporalModel(nn.Module):
    """Keypoints over time in, joints of the middle frame (or of the last, if causal) out.

    One set of weights in two forms: :meth:`forward` is dilated and gives every frame that has a
    whole receptive field; :meth:`strided` gives few of them, far apart, at a fraction of the cost,
    for training.

    Parameters
    ----------
    inputs, features
        Keypoints and numbers for each of them.
    outputs
        Joints.
    filter_widths
        Odd widths of the convolutions; the receptive field is their product.
    channels
        Of every layer.
    causal
        Look at the past only.
    dropout
        While training.
    """

    def __init__(
        self,
        inputs: int = 17,
        features: int = 2,
        outputs: int = 17,
        filter_widths: tuple[int, ...] = (3, 3, 3, 3, 3),
        channels: int = 1024,
        causal: bool = False,
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        self.outputs = outputs
        self.filter_widths = tuple(filter_widths)
        self.causal = causal
        self.dropout = dropout
        self.expand_conv = nn.Conv1d(inputs * features, channels, filter_widths[0], bias=False)
        self.expand_bn = nn.BatchNorm1d(channels)
        self.layers_conv = nn.ModuleList()
        self.layers_bn = nn.ModuleList()
        for width in filter_widths[1:]:
            self.layers_conv.append(nn.Conv1d(channels, channels, width, bias=False))
            self.layers_conv.append(nn.Conv1d(channels, channels, 1, bias=False))
            self.layers_bn.extend([nn.BatchNorm1d(channels), nn.BatchNorm1d(channels)])
        self.shrink = nn.Conv1d(channels, outputs * 3, 1)

    @property
    def receptive_field(self) -> int:
        """Frames that one output looks at."""
        return prod(self.filter_widths)

    @property
    def padding(self) -> tuple[int, int]:
        """Frames to add before and after a sequence to get an output for each of its frames."""
        around = self.receptive_field - 1
        return (around, 0) if self.causal else (around // 2, around // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, inputs * features) to (B, T - receptive_field + 1, outputs, 3)."""
        return self._layers(x, strided=False)

    @property
    def spacing(self) -> int:
        """Frames between two outputs of :meth:`strided`."""
        return prod(self.filter_widths[:-1])

    def strided(self, x: Tensor) -> Tensor:
        """(B, receptive_field + (N - 1) * spacing, inputs * features) to (B, N, outputs, 3).

        All layers but the last jump by their own width, so outputs share what they look at.
        """
        return self._layers(x, strided=True)

    def _layers(self, x: Tensor, strided: bool) -> Tensor:
        x = x.transpose(1, 2)
        stride = self.filter_widths[0] if strided else 1
        x = self._active(F.conv1d(x, self.expand_conv.weight, stride=stride), self.expand_bn)
        dilation = self.filter_widths[0]
        for n, width in enumerate(self.filter_widths[1:]):
            wide, narrow = self.layers_conv[2 * n], self.layers_conv[2 * n + 1]
            # What a tap of the wide convolution looks at, the residual skips to.
            tap = width - 1 if self.causal else width // 2
            if strided and n < len(self.filter_widths) - 2:
                residual = x[:, :, tap::width]
                y = F.conv1d(x, wide.weight, stride=width)  # type: ignore[arg-type]
            else:
                step = 1 if strided else dilation
                last = x.shape[2] - (width - 1 - tap) * step
                residual = x[:, :, tap * step : last]
                y = F.conv1d(x, wide.weight, dilation=step)  # type: ignore[arg-type]
            y = self._active(y, self.layers_bn[2 * n])
            x = residual + self._active(narrow(y), self.layers_bn[2 * n + 1])
            dilation *= width
        return self.shrink(x).transpose(1, 2).unflatten(-1, (self.outputs, 3))

    def _active(self, x: Tensor, norm: nn.Module) -> Tensor:
        return F.dropout(F.relu(norm(x)), self.dropout, self.training)
