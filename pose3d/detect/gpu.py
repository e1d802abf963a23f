"""The compact network on an NVIDIA GPU: half precision, and as few passes over memory as can be.

Its layers are small, so that reading and writing maps takes the time, not arithmetic. Pointwise
convolutions run as matrix products, which add their bias on the way; depthwise filters clamp what
they read and what they write; RoIAlign reads half precision as it lies (`detect.kernels`).

A batch is some 600 short steps, and to start them one by one takes Python longer than the GPU takes
to do them. So for shapes that come again they are recorded as two graphs (CUDA's), before and after
people are counted, each of which is then started as a whole.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pose3d.detect.compact import Candidates, CompactRCNN, Limits, Maps, Regions
from pose3d.detect.mobilenet import InvertedResidual, MobileNetV2

SHAPES = 16  # of batches whose work is kept as graphs; each keeps its maps
FEWEST = 8  # people that a graph is for


class GpuRCNN(Regions):
    """The dense part and the heads of a compact network, for batches of pictures.

    Parameters
    ----------
    network
        On a GPU; its weights are copied.
    dtype
        ``torch.float16`` or ``torch.bfloat16``.
    """

    engine = "triton"
    grid = 96  # few shapes shall occur
    parts = MappingProxyType({"regions": "candidates", "keypoints": "keypoints"})

    def __init__(self, network: CompactRCNN, dtype: torch.dtype) -> None:
        fast = copy.deepcopy(network).eval().requires_grad_(False)
        fast = fast.to(dtype).to(memory_format=torch.channels_last)
        fast.rpn.shapes = network.rpn.shapes  # of anchors; half precision would move them
        fast.body = Body(fast.body)  # type: ignore[assignment]
        _exchange(fast)
        self._network, self.dtype = fast, dtype
        self.box_head = fast.box_head
        self.box_step = network.box_step
        self._shapes: OrderedDict[Any, Shape] = OrderedDict()
        self._now: Shape | None = None
        self._recorder = Recorder(network.box_step.device)

    def candidates(self, pictures: Tensor, sizes: Tensor, limits: Limits) -> Candidates:
        """Who may be there; valid until the next call, which may write to the same memory."""
        key = pictures.shape, limits
        self._now = self._shapes.setdefault(key, Shape(Repeated(self._recorder)))
        self._shapes.move_to_end(key)
        if len(self._shapes) > SHAPES:
            self._shapes.popitem(last=False)
        work = partial(super().candidates, limits=limits)
        return cast("Candidates", self._now.regions(work, pictures, sizes))

    def keypoints(self, maps: Maps, picture: Tensor, areas: Tensor) -> tuple[Tensor, Tensor]:
        """Where they are, of people filled up to one of few numbers.

        Also where nothing is recorded yet, so that what came before changes no answer: libraries
        choose algorithms by the number.
        """
        count = len(picture)
        if not count:
            return super().keypoints(maps, picture, areas)
        size = max(1 << (count - 1).bit_length(), FEWEST)
        filled = F.pad(picture, (0, size - count)), F.pad(areas, (0, 0, 0, size - count))
        work = partial(super().keypoints, maps)
        recorded = self._now.regions.outputs if self._now else None
        if self._now and recorded is not None and maps is recorded.maps:
            work = partial(self._now.keypoints.setdefault(size, Repeated(self._recorder)), work)
        points, mass = work(*filled)
        return points[:count], mass[:count]

    def dense(self, pictures: Tensor) -> Maps:
        """Everything before regions of pictures (B, 3, H, W), RGB in [0, 255], sides of 32."""
        x = pictures.to(self.dtype, memory_format=torch.channels_last)
        with torch.autocast("cuda", enabled=False):
            return self._network.dense(x)

    def pool(self, x: Tensor, rows: Tensor, size: int, stride: int, samples: int) -> Tensor:
        """Regions of a map, as it lies."""
        from pose3d.detect.kernels import roi_align

        return roi_align([x], rows, size, (stride,), samples)

    def keypoint_head(self, x: Tensor, prior: Tensor) -> Tensor:
        """Logits (R, 17, 56 * 56 + 1) of features (R, C, 28, 28) and prior (R, 17, 56, 56)."""
        with torch.autocast("cuda", enabled=False):
            return self._network.keypoint_head(x, prior)


class Recorder:
    """Makes CUDA graphs that share memory, and so must take turns."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    @cached_property
    def _beside(self) -> torch.cuda.Stream:
        return torch.cuda.Stream(self._device)

    @cached_property
    def _pool(self) -> Any:
        return torch.cuda.graph_pool_handle()

    def graph(self, work: Callable[..., Any], inputs: Sequence[Tensor]) -> tuple[Any, Any]:
        """The graph of some work on these very inputs, and what it always writes to."""
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        self._beside.wait_stream(current)
        with torch.cuda.stream(self._beside):
            work(*inputs)  # what libraries prepare for a thread cannot be recorded
            self._beside.synchronize()
            # Other threads may go on meanwhile.
            graph.capture_begin(self._pool, capture_error_mode="thread_local")
            try:
                outputs = work(*inputs)
            finally:
                graph.capture_end()
        current.wait_stream(self._beside)
        return graph, outputs


class Repeated:
    """Work on tensors whose shapes stay: done as it is once, and from then on as a graph."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._begun = False
        self._graph: Any = None
        self.outputs: Any = None  # of the graph, each time in the same memory

    def __call__(self, work: Callable[..., Any], *inputs: Tensor) -> Any:
        """What work, always the same, makes of these; valid until the next call."""
        if not self._begun:
            self._begun = True
            return work(*inputs)
        if self._graph is None:
            self._inputs = [x.clone() for x in inputs]
            self._graph, self.outputs = self._recorder.graph(work, self._inputs)
        for kept, x in zip(self._inputs, inputs, strict=True):
            kept.copy_(x)
        self._graph.replay()
        return self.outputs


@dataclass
class Shape:
    """What is done with batches of one shape: before people are counted, and for so many."""

    regions: Repeated
    keypoints: dict[int, Repeated] = field(default_factory=dict)


class Pointwise(nn.Module):
    """A 1 x 1 convolution as a matrix product over pixels."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.flatten(1).contiguous(), False)
        self.bias = conv.bias
        self.out_channels = conv.out_channels

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return F.linear(x.permute(0, 2, 3, 1), self.weight, self.bias).permute(0, 3, 1, 2)


class Depthwise(nn.Module):
    """A 3 x 3 filter a channel, with the clamps before and after it.

    `before` is added to what it reads: the bias of the convolution before.
    """

    def __init__(
        self, conv: nn.Conv2d, *, clamps: bool = False, before: Tensor | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.flatten(1).T.contiguous(), False)
        self.bias, self.before = conv.bias, before
        self.stride, self.clamps = conv.stride[0], clamps

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        from pose3d.detect.kernels import depthwise

        return depthwise(
            x, self.weight, self.bias, stride=self.stride, before=self.before,
            clamps_before=self.clamps, clamps=self.clamps,
        )  # fmt: skip


class Residual(nn.Module):
    """What :class:`~pose3d.detect.mobilenet.InvertedResidual` does, in three passes."""

    def __init__(self, block: InvertedResidual, before: Tensor | None = None) -> None:
        super().__init__()
        self.expand = Pointwise(block.expand) if block.expand is not None else nn.Identity()
        self.depthwise = Depthwise(block.depthwise, clamps=True, before=before)
        self.project = Pointwise(block.project)
        self.skip = block.skip

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        y = self.project(self.depthwise(self.expand(x)))
        return y.add_(x) if self.skip else y


class Body(nn.Module):
    """What :class:`~pose3d.detect.mobilenet.MobileNetV2` does."""

    def __init__(self, body: MobileNetV2) -> None:
        super().__init__()
        self.taps = body.TAPS
        self.stem = body.stem
        # The first depthwise filter adds the stem's bias and clamps, as it reads anyway.
        before, self.stem.bias = self.stem.bias, None
        first, *others = (cast("InvertedResidual", block) for block in body.blocks)
        self.blocks = nn.ModuleList([Residual(first, before), *map(Residual, others)])
        self.head = Pointwise(body.head)

    def forward(self, x: Tensor) -> list[Tensor]:  # noqa: D102
        x = self.stem(x)
        taps = []
        for n, block in enumerate(self.blocks):
            x = block(x)
            if n in self.taps:
                taps.append(x)
        return [*taps, self.head(x).clamp_(0, 6)]


def _exchange(module: nn.Module) -> None:
    """Put our own layers in the place of convolutions, all through a network."""
    for name, child in module.named_children():
        if not isinstance(child, nn.Conv2d):
            _exchange(child)
        elif child.kernel_size == (1, 1):
            setattr(module, name, Pointwise(child))
        elif child.groups > 1:
            setattr(module, name, Depthwise(child))
