"""Keypoint R-CNN with a feature pyramid (He et al., "Mask R-CNN", ICCV 2017), start to end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import roi_align

from pose3d.detect.keypoint_rcnn import anchors, boxes
from pose3d.detect.keypoint_rcnn.dialect import Dialect, dialect_of
from pose3d.detect.keypoint_rcnn.heatmaps import peaks
from pose3d.detect.keypoint_rcnn.layers import Backbone, Heads, RPNHead
from pose3d.errors import PoseError, in_a_line
from pose3d.weights.checkpoint import Checkpoint
from pose3d.weights.keypoint_rcnn import Plan, plan_of

STRIDES = (4, 8, 16, 32, 64)
ANCHOR_SIDES = (32, 64, 128, 256, 512)
PROPOSALS = 1000  # a level, and in all
PROPOSAL_IOU = 0.7
MIN_SCORE = 0.05
BOX_IOU = 0.5
MAX_PEOPLE = 100
KEYPOINT_REGION = 14
SHORT_SIDE = 800
LONG_SIDE = 1333


@dataclass(frozen=True)
class Detections:
    """What the network finds in one picture, as its family gives it, the best first.

    Attributes
    ----------
    boxes
        (N, 4) x0, y0, x1, y1 in pixels of the picture.
    scores
        (N,) probabilities.
    keypoints
        (N, 17, 2) in pixels of the picture.
    keypoint_logits
        (N, 17) maxima of the stretched maps.
    keypoint_probabilities
        (N, 17) their shares of the softmax: in detectron2 and torchvision over the map's 56 x 56
        cells, which stretching can lift above 1, in Detectron over the box's pixels.
    """

    boxes: Tensor
    scores: Tensor
    keypoints: Tensor
    keypoint_logits: Tensor
    keypoint_probabilities: Tensor


class Frame(NamedTuple):
    """The pixels in which one picture's boxes and keypoints are found."""

    input: tuple[int, int]  # height, width within the network's input, without padding
    zoom: float  # from these pixels to the network's input
    width: float
    height: float
    back: tuple[float, float]  # x, y, from these pixels to the picture's


class KeypointRCNN(nn.Module):
    """One network for the weights of detectron2, Detectron and torchvision.

    Parameters
    ----------
    plan
        Its architecture.
    dialect
        How it is run.
    """

    def __init__(self, plan: Plan, dialect: Dialect) -> None:
        super().__init__()
        self.plan = plan
        self.dialect = dialect
        self.backbone = Backbone(plan)
        self.rpn = nn.Module()
        self.rpn.head = RPNHead(plan.pyramid)
        self.roi_heads = Heads(plan)

    def forward(
        self,
        pictures: Sequence[NDArray[np.uint8] | Tensor],
        *,
        short_side: int = SHORT_SIDE,
        min_score: float = MIN_SCORE,
        max_people: int = MAX_PEOPLE,
        at_once: int | None = None,
        run: Callable[..., list[Detections]] | None = None,
    ) -> list[Detections]:
        """Find people.

        Parameters
        ----------
        pictures
            RGB uint8 (H, W, 3), of any sizes; those of equal padded size run as one batch, so that
            no picture's answer depends on another's size. For torchvision's dialect also tensors
            on the network's device.
        short_side
            Of the network's input; the longer side is at most 1333 / 800 times that.
        min_score, max_people
            Detections that suppression leaves and that are kept; the keypoints of others are not
            looked for. No lower than 0.05, no more than 100, as in the original programs.
        at_once
            Pictures in a batch; by default all, but one on a CPU, which many make no faster and
            which each costs 400 MB.
        run
            What finds the people of a batch instead of the network itself, such as a
            :class:`~pose3d.detect.keypoint_rcnn.batched.BatchedRCNN` of it.
        """
        long_side = round(short_side * LONG_SIDE / SHORT_SIDE)
        inputs, frames = [], []
        for picture in pictures:
            values, frame = self._prepare(picture, short_side, long_side)
            inputs.append(values)
            frames.append(frame)
        answers: dict[int, Detections] = {}
        padded = [_padded_size(frame.input) for frame in frames]
        at_once = at_once or (1 if self._device.type == "cpu" else len(pictures))
        for size in dict.fromkeys(padded):
            same = [n for n, other in enumerate(padded) if other == size]
            for start in range(0, len(same), at_once):
                rows = same[start : start + at_once]
                batch = _stack([inputs[n] for n in rows], size).to(self._device)
                found = (run or self._batch)(
                    batch, [frames[n] for n in rows], min_score, max_people
                )
                answers.update(zip(rows, found, strict=True))
        return [answers[n] for n in range(len(pictures))]

    def dense(self, x: Tensor) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
        """Everything before regions, of inputs (B, 3, H, W) with sides of 32.

        Returns
        -------
        maps
            P2 to P6.
        proposals
            Logits (B, N) and deltas (B, N, 4) of every anchor of these levels.
        """
        maps = self.backbone(x)
        return maps, [self.rpn.head(level) for level in maps]  # type: ignore[operator]

    @property
    def _device(self) -> torch.device:
        return self.roi_heads.box_predictor.cls_score.weight.device

    def _prepare(
        self, picture: NDArray[np.uint8] | Tensor, short_side: int, long_side: int
    ) -> tuple[Tensor, Frame]:
        d = self.dialect
        if d.resizes_anywhere:
            picture = torch.as_tensor(picture, device=self._device)
        values, scale = d.resize(picture, d.mean, d.std, short_side, long_side)
        (h, w), (height, width) = values.shape[1:], picture.shape[:2]
        if d.decoded_in_picture:
            return values, Frame((h, w), scale, width, height, (1.0, 1.0))
        return values, Frame((h, w), 1.0, w, h, (width / w, height / h))

    def _batch(
        self, x: Tensor, frames: list[Frame], min_score: float, max_people: int
    ) -> list[Detections]:
        maps, raw = self.dense(x)
        regions = self.propose(maps, raw, x.shape[2:], frames)
        found = self.classify(maps, regions, frames, max(min_score, MIN_SCORE), max_people)
        return self.locate(maps, found, frames)

    def propose(
        self,
        maps: list[Tensor],
        raw: list[tuple[Tensor, Tensor]],
        padded: Sequence[int],
        frames: list[Frame],
    ) -> list[Tensor]:
        """Regions (R, 4) of every picture, in pixels of the input."""
        d = self.dialect
        grids = [self.grid(n, level, padded) for n, level in enumerate(maps)]
        answers = []
        for picture, frame in enumerate(frames):
            candidates, ranks, levels = [], [], []
            for n, (logits, deltas) in enumerate(raw):
                rank = logits[picture]
                rank = rank.sigmoid() if d.ranked_by_probability else rank
                rank, index = rank.topk(min(PROPOSALS, len(rank)))
                candidates.append(boxes.decode(deltas[picture, index], grids[n][index], d.extent))
                ranks.append(rank)
                levels.append(torch.full_like(index, n))
            box, rank, level = torch.cat(candidates), torch.cat(ranks), torch.cat(levels)
            height, width = padded if d.clipped_to_padding else frame.input
            box = boxes.clip(box, width, height, d.extent)
            large = boxes.at_least(box, d.min_side[0])
            box, rank, level = box[large], rank[large], level[large]
            if d.ordered_by_probability and not d.ranked_by_probability:
                rank = rank.sigmoid()
            kept = boxes.suppress(box, rank, level, PROPOSAL_IOU, d.extent, d.inclusive)
            answers.append(box[kept[:PROPOSALS]])
        return answers

    def grid(self, level: int, x: Tensor, padded: Sequence[int]) -> Tensor:
        """Anchors (N, 4) of a level's map."""
        height, width = x.shape[2:]
        stride = STRIDES[level]
        cell = self.dialect.cell_anchors(stride, ANCHOR_SIDES[level]).to(x.device)
        step = (stride, stride)
        if self.dialect.stride_of_input:
            step = (padded[0] // height, padded[1] // width)
        return anchors.on_map(cell, height, width, step)

    def classify(
        self,
        maps: list[Tensor],
        regions: list[Tensor],
        frames: list[Frame],
        min_score: float,
        max_people: int,
    ) -> list[tuple[Tensor, Tensor]]:
        """Boxes (N, 4) and scores (N,) of every picture's people, in pixels of its frame."""
        d = self.dialect
        logits, deltas = self.roi_heads.boxes(self.pool(maps, regions, self.plan.pooled))
        deltas = deltas / deltas.new_tensor(self.plan.box_weights)
        sizes = [len(rows) for rows in regions]
        answers = []
        for frame, region, score, delta in zip(
            frames, regions, logits.softmax(1)[:, 1].split(sizes), deltas.split(sizes), strict=True
        ):
            box = boxes.decode(delta, region / frame.zoom, d.extent)
            box = boxes.clip(box, frame.width, frame.height, d.extent)
            good = (score > MIN_SCORE) & boxes.at_least(box, d.min_side[1])
            box, score = box[good], score[good]
            one_class = torch.zeros_like(score, dtype=torch.int64)
            kept = boxes.suppress(box, score, one_class, BOX_IOU, d.extent, d.inclusive)
            kept = kept[:MAX_PEOPLE]
            kept = kept[boxes.at_least(box[kept], d.min_side[2]) & (score[kept] >= min_score)]
            kept = kept[:max_people]
            answers.append((box[kept], score[kept]))
        return answers

    def locate(
        self, maps: list[Tensor], found: list[tuple[Tensor, Tensor]], frames: list[Frame]
    ) -> list[Detections]:
        """Keypoints of the people found, and everything in pixels of the pictures."""
        d = self.dialect
        regions = [box * frame.zoom for (box, _), frame in zip(found, frames, strict=True)]
        heatmaps = self.roi_heads.keypoints(self.pool(maps, regions, KEYPOINT_REGION))
        answers = []
        for (box, score), frame, rows in zip(
            found, frames, heatmaps.split([len(rows) for rows in regions]), strict=True
        ):
            points, logits, probabilities = peaks(rows, box, d.cells_of_map)
            back = box.new_tensor(frame.back)
            answers.append(
                Detections(box * back.repeat(2), score, points * back, logits, probabilities)
            )
        return answers

    def pool(self, maps: list[Tensor], regions: list[Tensor], side: int) -> Tensor:
        """Regions of all pictures, each read from its level: (R, C, side, side)."""
        d = self.dialect
        rows = torch.cat([F.pad(box, (1, 0), value=n) for n, box in enumerate(regions)])
        level = boxes.pyramid_levels(rows[:, 1:], d.extent, *d.level_guard)
        pooled = maps[0].new_zeros(len(rows), maps[0].shape[1], side, side, dtype=torch.float32)
        for n, stride in enumerate(STRIDES[:4]):
            chosen = (level == n).nonzero()[:, 0]
            pooled[chosen] = roi_align(
                maps[n].float(), rows[chosen], side, 1 / stride, d.sampling, d.aligned
            )
        return pooled


def _padded_size(size: tuple[int, int]) -> tuple[int, int]:
    return -(-size[0] // 32) * 32, -(-size[1] // 32) * 32


def _stack(inputs: list[Tensor], size: tuple[int, int]) -> Tensor:
    """Inputs (3, h, w) with zeros right and below: (B, 3, H, W)."""
    height, width = size
    return torch.stack([F.pad(x, (0, width - x.shape[2], 0, height - x.shape[1])) for x in inputs])


def build(checkpoint: Checkpoint) -> KeypointRCNN:
    """The network of a checkpoint of any family, which takes over its tensors.

    Raises
    ------
    PoseError
        If its groups do not divide its widths.
    """
    plan = plan_of(checkpoint.config)
    try:
        with torch.device("meta"):
            network = KeypointRCNN(plan, dialect_of(checkpoint.dialect, plan))
        tensors = {name: tensor.float() for name, tensor in checkpoint.tensors.items()}
        network.load_state_dict(tensors, assign=True)
    except (ValueError, RuntimeError) as error:
        reason = in_a_line(error)
        raise PoseError(f"the weights fit no Keypoint R-CNN: {reason}") from None
    return network.eval().requires_grad_(False)
