"""The same network for whole batches on a GPU, in half precision.

What `network` does picture by picture and person by person happens here for all at once, with
fixed shapes: what does not count is masked. The host waits for the device once, to learn how many
people there are. Suppression compares all pairs of a level, norms are folded into the convolutions
before them, and bias, shortcut and ReLU are cuDNN's in the same pass.
"""

import copy
from functools import lru_cache
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pose3d.detect import boxes as geometry
from pose3d.detect.keypoint_rcnn import boxes
from pose3d.detect.keypoint_rcnn.heatmaps import peaks, peaks_nearby
from pose3d.detect.keypoint_rcnn.layers import (
    LEVELS,
    Bottleneck,
    FrozenNorm,
    Heads,
    ResNet,
    RPNHead,
)
from pose3d.detect.keypoint_rcnn.network import (
    BOX_IOU,
    KEYPOINT_REGION,
    MAX_PEOPLE,
    MIN_SCORE,
    PROPOSAL_IOU,
    PROPOSALS,
    STRIDES,
    Detections,
    Frame,
    KeypointRCNN,
)
from pose3d.weights.keypoint_rcnn import STAGES

ROUNDS = 20  # of suppression: longer chains of boxes that drop each other are not seen


class Sizes(NamedTuple):
    """What `network.Frame` says of one picture, of a batch; all (B, 1) or (B, 1, 2)."""

    input_width: Tensor
    input_height: Tensor
    zoom: Tensor
    width: Tensor
    height: Tensor
    back: Tensor


class BatchedRCNN:
    """A Keypoint R-CNN on a GPU.

    Parameters
    ----------
    network
        On a GPU; its weights are copied.
    dtype
        ``torch.float16`` or ``torch.bfloat16``.
    """

    def __init__(self, network: KeypointRCNN, dtype: torch.dtype) -> None:
        self._plan, self._dialect = network.plan, network.dialect
        self._grid = lru_cache(maxsize=40)(self._anchors)
        fast = copy.deepcopy(network).eval().requires_grad_(False)
        fast.backbone.body = _Body(fast.backbone.body)  # type: ignore[assignment]
        self._proposer = cast("RPNHead", fast.rpn.head)
        first = next(m for m in self._proposer.conv.modules() if isinstance(m, nn.Conv2d))
        self._proposer.conv = _Relu(first)  # type: ignore[assignment]
        self._network = fast.to(dtype).to(memory_format=torch.channels_last)
        self._heads: Heads = fast.roi_heads
        self._dtype = dtype
        # Regions come channels-last; so their weights do.
        fc6, side = self._heads.box_head.fc6, self._plan.pooled
        weight = fc6.weight.unflatten(1, (-1, side, side)).permute(0, 2, 3, 1).flatten(1)
        self._first = weight.contiguous(), fc6.bias

    def __call__(
        self, x: Tensor, frames: list[Frame], min_score: float, max_people: int
    ) -> list[Detections]:
        """People of inputs (B, 3, H, W) of one padded size, whose pictures' `frames` are."""
        with torch.autocast(x.device.type, enabled=False):
            maps = self._pyramid(x)
            sizes = _sizes(frames, x.device)
            regions, valid = self._propose(maps, x.shape[2:], sizes)
            found, scores = self._classify(maps, regions, valid, sizes, min_score, max_people)
            return self._locate(maps, found, scores, sizes)

    def _anchors(
        self, level: int, map_size: torch.Size, padded: torch.Size, device: torch.device
    ) -> Tensor:
        return self._network.grid(level, torch.empty(1, 1, *map_size, device=device), padded)

    def _pyramid(self, x: Tensor) -> list[Tensor]:
        """Maps P2 to P6, channels-last."""
        return self._network.backbone(x.to(self._dtype, memory_format=torch.channels_last))

    def _propose(
        self, maps: list[Tensor], padded: torch.Size, sizes: Sizes
    ) -> tuple[Tensor, Tensor]:
        """The best regions (B, R, 4) and whether each is one (B, R)."""
        d = self._dialect
        width, height = sizes.input_width, sizes.input_height
        if d.clipped_to_padding:
            height, width = (torch.full_like(width, side) for side in padded)
        everyone, ranks = [], []
        for n, level in enumerate(maps):
            logits, deltas = self._proposer(level)
            rank, index = logits.topk(min(PROPOSALS, logits.shape[1]), 1)
            chosen = deltas.gather(1, index[..., None].expand(-1, -1, 4))
            box = boxes.decode(
                chosen, self._grid(n, level.shape[2:], padded, level.device)[index], d.extent
            )
            box = boxes.clip(box, width, height, d.extent)
            large = boxes.at_least(box, d.min_side[0])
            rank = torch.where(large, rank, -torch.inf)
            # What is no box must suppress none either.
            order = rank.sort(dim=1, descending=True, stable=True)
            box = box.gather(1, order.indices[..., None].expand(-1, -1, 4))
            kept = _suppress(box, PROPOSAL_IOU, d.extent, d.inclusive)
            everyone.append(box)
            ranks.append(torch.where(kept, order.values, -torch.inf))
        rank, index = torch.cat(ranks, 1).topk(PROPOSALS, 1)
        box = torch.cat(everyone, 1).gather(1, index[..., None].expand(-1, -1, 4))
        return box, rank > -torch.inf

    def _classify(
        self,
        maps: list[Tensor],
        regions: Tensor,
        valid: Tensor,
        sizes: Sizes,
        min_score: float,
        max_people: int,
    ) -> tuple[Tensor, Tensor]:
        """Boxes (B, P, 4) in pixels of the frames and scores (B, P), 0 where there is nobody."""
        d, heads = self._dialect, self._heads
        pooled = self._pool(maps, regions, self._plan.pooled)
        x = F.relu(F.linear(pooled.permute(0, 2, 3, 1).flatten(1), *self._first))
        logits, deltas = heads.box_predictor(F.relu(heads.box_head.fc7(x)))
        deltas = (deltas / deltas.new_tensor(self._plan.box_weights)).view(regions.shape)
        score = logits.softmax(1)[:, 1].view(valid.shape)
        box = boxes.decode(deltas, regions / sizes.zoom[..., None], d.extent)
        box = boxes.clip(box, sizes.width, sizes.height, d.extent)
        good = valid & (score > MIN_SCORE) & boxes.at_least(box, d.min_side[1])
        score, order = torch.where(good, score, 0).sort(dim=1, descending=True, stable=True)
        box = box.gather(1, order[..., None].expand(-1, -1, 4))
        kept = _suppress(box, BOX_IOU, d.extent, d.inclusive) & (score > 0)
        kept &= kept.cumsum(1) <= MAX_PEOPLE
        kept &= boxes.at_least(box, d.min_side[2]) & (score >= min_score)
        score, index = torch.where(kept, score, 0).topk(min(max_people, score.shape[1]), 1)
        return box.gather(1, index[..., None].expand(-1, -1, 4)), score

    def _locate(
        self, maps: list[Tensor], found: Tensor, scores: Tensor, sizes: Sizes
    ) -> list[Detections]:
        """Keypoints of the people found, and everything in pixels of the pictures."""
        picture, rank = (scores > 0).nonzero(as_tuple=True)
        box, zoom = found[picture, rank], sizes.zoom[picture]
        regions = torch.cat([picture[:, None].to(box), box * zoom], 1)
        x = self._regions(maps, regions, KEYPOINT_REGION)
        for layer in self._heads.keypoint_head:
            if isinstance(layer, nn.Conv2d):
                x = _relu_conv(x, layer)
        heatmaps = self._heads.keypoint_predictor(x)
        # Shares of a box's pixels need all of them.
        search = peaks_nearby if self._dialect.cells_of_map else peaks
        points, logits, probabilities = search(heatmaps, box, self._dialect.cells_of_map)
        back = sizes.back[picture, 0]
        parts = (box * back.repeat(1, 2), scores[picture, rank], points * back[:, None], logits,
                 probabilities)  # fmt: skip
        counts = torch.bincount(picture, minlength=len(scores)).tolist()
        return [Detections(*some) for some in zip(*(p.split(counts) for p in parts), strict=True)]

    def _pool(self, maps: list[Tensor], regions: Tensor, side: int) -> Tensor:
        """Regions (B, R, 4) of all pictures: (B * R, C, side, side)."""
        picture = torch.arange(len(regions), device=regions.device)
        picture = picture[:, None, None].expand(-1, regions.shape[1], 1).to(regions)
        return self._regions(maps, torch.cat([picture, regions], 2).flatten(0, 1), side)

    def _regions(self, maps: list[Tensor], rows: Tensor, side: int) -> Tensor:
        """Regions (R, 5), each read from its level of the pyramid."""
        from pose3d.detect.kernels import roi_align

        d = self._dialect
        level = boxes.pyramid_levels(rows[:, 1:], d.extent, *d.level_guard).int()
        return roi_align(
            maps[:4], rows, side, STRIDES[:4], d.sampling, aligned=d.aligned, level=level
        )


class _Body(nn.Module):
    """What :class:`~pose3d.detect.keypoint_rcnn.layers.ResNet` does."""

    def __init__(self, body: ResNet) -> None:
        super().__init__()
        self.stem = _Conv(body.conv1, body.bn1)
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(cast("Bottleneck", block)) for block in stage.children()))
            for stage in (body.get_submodule(f"layer{n + 1}") for n in range(STAGES))
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = F.max_pool2d(self.stem(x), 3, 2, 1)
        maps = {}
        for name, stage in zip(LEVELS, self.stages, strict=False):
            x = maps[name] = stage(x)
        return maps


class _Conv(nn.Module):
    """A convolution with its norm folded in, and a ReLU; `x + shortcut` before that."""

    def __init__(self, conv: nn.Conv2d, norm: FrozenNorm) -> None:
        super().__init__()
        self.conv = copy.deepcopy(conv)
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        self.conv.weight.mul_(scale[:, None, None, None])
        self.conv.bias = nn.Parameter(norm.bias - norm.running_mean * scale, False)

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        return _relu_conv(x, self.conv, shortcut)


class _Relu(nn.Module):
    """A convolution and a ReLU."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        return _relu_conv(x, self.conv)


class _Block(nn.Module):
    """A :class:`~pose3d.detect.keypoint_rcnn.layers.Bottleneck`."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.conv1 = _Conv(block.conv1, block.bn1)
        self.conv2 = _Conv(block.conv2, block.bn2)
        self.conv3 = _Conv(block.conv3, block.bn3)
        self.downsample: nn.Module = nn.Identity()
        if isinstance(block.downsample, nn.Sequential):
            conv, norm = block.downsample
            self.downsample = _Conv(cast("nn.Conv2d", conv), cast("FrozenNorm", norm)).conv

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(self.conv2(self.conv1(x)), self.downsample(x))


def _relu_conv(x: Tensor, conv: nn.Conv2d, shortcut: Tensor | None = None) -> Tensor:
    """ReLU of a convolution, and of what else there is, in one pass where cuDNN runs."""
    where = (conv.stride, conv.padding, conv.dilation, conv.groups)
    if x.device.type == "cuda":
        if shortcut is None:
            return torch.cudnn_convolution_relu(x, conv.weight, conv.bias, *where)  # type: ignore[arg-type]
        return torch.cudnn_convolution_add_relu(
            x, conv.weight, shortcut, 1.0, conv.bias, *where  # type: ignore[arg-type]
        )  # fmt: skip
    y = conv(x)
    return F.relu_(y if shortcut is None else y.add_(shortcut))


def _suppress(box: Tensor, threshold: float, extent: float, inclusive: bool) -> Tensor:
    """Which of boxes (B, K, 4), the best first, suppression leaves."""
    edges = torch.cat([box[..., :2], box[..., 2:] + extent], -1)
    return geometry.suppress(edges, boxes.limit(threshold, inclusive), ROUNDS)


def _sizes(frames: list[Frame], device: torch.device) -> Sizes:
    """A batch's frames on its device, in one transfer."""
    rows = [(f.input[1], f.input[0], f.zoom, f.width, f.height, *f.back) for f in frames]
    table = torch.tensor(rows, dtype=torch.float32).to(device, non_blocking=True)
    width, height, zoom, whole_width, whole_height = table[:, :5, None].unbind(1)
    return Sizes(width, height, zoom, whole_width, whole_height, table[:, None, 5:])
