"""MobileNetV2 as MoveNet Thunder has it, norms folded, with MoveNet's decoder to stride 4.

Sandler et al., "MobileNetV2", CVPR 2018; layer plan, names and padding of the published MoveNet
(Google, Apache-2.0), so that its weights load unchanged.
"""

import torch.nn.functional as F
from torch import Tensor, nn

STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)
# Output channels of the 17 blocks at width 1.75.
THUNDER = (32, 40, 40, *[56] * 3, *[112] * 4, *[168] * 3, *[280] * 3, 560)


class SameConv3x3(nn.Conv2d):
    """A 3x3 convolution with TensorFlow's "SAME" padding, for maps of even sides.

    At stride 2 these are padded at their end only; our sides are multiples of 32, so that all maps
    that a stride divides are even.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> None:
        # Symmetric padding is the same at stride 1, and faster inside the convolution.
        super().__init__(inputs, outputs, 3, stride, padding=int(stride == 1), groups=groups)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.stride[0] == 2 else x)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; a skip where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, ratio: int) -> None:
        super().__init__()
        hidden = inputs * ratio
        self.expand = nn.Conv2d(inputs, hidden, 1) if ratio > 1 else None
        self.depthwise = SameConv3x3(hidden, hidden, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        y = F.relu6(self.expand(x)) if self.expand is not None else x
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.skip else y


class MobileNetV2(nn.Module):
    """The body: RGB in [-1, 1] to maps at strides 4, 8, 16 (two) and 32.

    Parameters
    ----------
    widths
        Output channels of the 17 blocks.
    stem
        Channels of the first convolution.
    head
        Channels of the last one.
    """

    TAPS = (2, 5, 9, 12)

    def __init__(self, widths: tuple[int, ...] = THUNDER, stem: int = 56, head: int = 1280) -> None:
        super().__init__()
        self.stem = SameConv3x3(3, stem, 2)
        inputs = (stem, *widths[:-1])
        self.blocks = nn.ModuleList(
            InvertedResidual(i, o, stride, 6 if n else 1)
            for n, (i, o, stride) in enumerate(zip(inputs, widths, STRIDES, strict=True))
        )
        self.head = nn.Conv2d(widths[-1], head, 1)
        self.channels = (*(widths[t] for t in self.TAPS), head)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps of blocks 2, 5, 9, 12 and the head: strides 4, 8, 16, 16, 32."""
        x = F.relu6(self.stem(x))
        taps = []
        for n, block in enumerate(self.blocks):
            x = block(x)
            if n in self.TAPS:
                taps.append(x)
        return [*taps, F.relu6(self.head(x))]


class Smooth(nn.Module):
    """A depthwise 3x3 and a pointwise convolution with ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return F.relu(self.pointwise(self.depthwise(x)))


class KeypointPrior(nn.Module):
    """MoveNet's own heatmap head: 17 logits for every cell at stride 4, whoever the person is."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False)
        self.pointwise = nn.Conv2d(24, 96, 1)
        self.out = nn.Conv2d(96, 17, 1)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.out(F.relu(self.pointwise(self.depthwise(x))))


class MoveNetDecoder(nn.Module):
    """MoveNet's own pyramid: the body's maps to 24 channels at stride 4."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.lateral5 = nn.Conv2d(channels[4], 64, 1)
        self.lateral4 = nn.Conv2d(channels[2], 64, 1)
        self.lateral3 = nn.Conv2d(channels[1], 32, 1)
        self.lateral2 = nn.Conv2d(channels[0], 24, 1)
        self.smooth4, self.smooth3, self.smooth2 = Smooth(64, 32), Smooth(32, 24), Smooth(24, 24)

    def forward(self, maps: list[Tensor]) -> Tensor:  # noqa: D102
        c2, c3, c4, _, c5 = maps
        x = self.smooth4(merge(self.lateral5(c5), self.lateral4(c4)))
        x = self.smooth3(merge(x, self.lateral3(c3)))
        return self.smooth2(merge(x, self.lateral2(c2)))


def merge(coarse: Tensor, fine: Tensor) -> Tensor:
    """A coarse map brought to a finer one's size and added to it."""
    size = fine.shape[-2:]
    return fine + F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
