"""The compact Keypoint R-CNN: MoveNet's body, a light pyramid, three small heads.

Body, decoder and MoveNet's heatmap head know people already: a region's keypoints start from what
that head says within it, and learn whose they are. The pyramid adds what an R-CNN needs. Regions
for the box head are read from stride 8 and those for the keypoint head from stride 4, whatever
their size, so that nothing depends on how many regions fall on which level, and whole batches run
as one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pose3d.detect import boxes as geometry
from pose3d.detect import heatmaps
from pose3d.detect.mobilenet import KeypointPrior, MobileNetV2, MoveNetDecoder, merge
from pose3d.detect.roi_align import roi_align

RPN_STRIDES = (8, 16, 32, 64)
ANCHOR_SIDES = (4.0, 6.0)  # in strides
ANCHOR_RATIOS = (0.5, 1.0, 2.2)  # height over width
BOX_STEP = (0.1, 0.1, 0.2, 0.2)  # standard deviations of the box head's deltas, as in Fast R-CNN
FLOOR = -8.0  # of the prior's logits: surely nothing there, and no surer than that
REGION = 28  # side of a keypoint region; its heatmaps have twice as many cells
KEYPOINT_MARGIN = 1.2  # keypoints are sought a little outside the box
JOINTS = 17


class Maps(NamedTuple):
    """What the dense part makes of a batch of pictures."""

    fine: Tensor  # (B, C, H/4, W/4), for keypoints
    prior: Tensor  # (B, 17, H/4, W/4), logits of keypoints, no matter whose
    middle: Tensor  # (B, C, H/8, W/8), for boxes
    objectness: Tensor  # (B, N) logits of all anchors
    deltas: Tensor  # (B, N, 4)
    anchors: Tensor  # (N, 4)


class Candidates(NamedTuple):
    """Regions of a batch of pictures that may be people, the best of each picture first."""

    maps: Maps
    boxes: Tensor  # (B, R, 4), pixels of the network's input
    scores: Tensor  # (B, R)
    keep: Tensor  # (B, R) whether it is to count


class Found(NamedTuple):
    """People of a batch, flattened over its pictures, in pixels of the network's input."""

    picture: Tensor  # (P,) int64
    boxes: Tensor  # (P, 4)
    scores: Tensor  # (P,) of the box
    keypoints: Tensor  # (P, 17, 2)
    mass: Tensor  # (P, 17) of the keypoints' peaks


class Pyramid(nn.Module):
    """Maps of `channels` at strides 4 to 64, and the logits of the keypoint prior."""

    def __init__(self, body: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.decoder = MoveNetDecoder(body)
        self.prior = KeypointPrior()
        self.lateral5 = nn.Conv2d(body[4], channels, 1)
        self.lateral4 = nn.Conv2d(body[3], channels, 1)
        self.lateral3 = nn.Conv2d(body[1] + 24 + JOINTS, channels, 1)
        self.lateral2 = nn.Conv2d(body[0] + 24 + JOINTS, channels, 1)
        self.smooth5 = nn.Conv2d(channels, channels, 3, padding=1)
        self.smooth4 = nn.Conv2d(channels, channels, 3, padding=1)
        self.smooth3 = nn.Conv2d(channels, channels, 3, padding=1)
        # Dense 3x3 filters at stride 4 would cost more than all other levels together.
        self.smooth2 = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], Tensor]:  # noqa: D102
        c2, c3, _, c4, c5 = maps
        decoded = self.decoder(maps)
        prior = self.prior(decoded)
        known = torch.cat([decoded, prior.sigmoid()], 1)
        p5 = self.lateral5(c5)
        p4 = merge(p5, self.lateral4(c4))
        p3 = merge(p4, self.lateral3(torch.cat([F.max_pool2d(known, 2), c3], 1)))
        p2 = merge(p3, self.lateral2(torch.cat([known, c2], 1)))
        p2, p3 = self.smooth2(p2), self.smooth3(p3)
        p4, p5 = self.smooth4(p4), self.smooth5(p5)
        return [p2, p3, p4, p5, F.max_pool2d(p5, 1, 2)], prior


class RegionProposer(nn.Module):
    """The RPN (Ren et al., NeurIPS 2015): a score and a box for every anchor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        shapes = [
            [side / ratio**0.5, side * ratio**0.5]
            for side in ANCHOR_SIDES
            for ratio in ANCHOR_RATIOS
        ]
        self.register_buffer("shapes", torch.tensor(shapes), persistent=False)
        self.shapes: Tensor
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, len(shapes), 1)
        self.deltas = nn.Conv2d(channels, len(shapes) * 4, 1)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, N), deltas (B, N, 4) and anchors (N, 4) over all levels."""
        logits, deltas, anchors = [], [], []
        for x, stride in zip(maps, RPN_STRIDES, strict=True):
            y = F.relu(self.conv(x))
            logits.append(self.objectness(y).permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.deltas(y).permute(0, 2, 3, 1).reshape(len(x), -1, 4))
            height, width = x.shape[-2:]
            anchors.append(geometry.grid_anchors(height, width, stride, self.shapes * stride))
        return torch.cat(logits, 1), torch.cat(deltas, 1), torch.cat(anchors)


class BoxHead(nn.Module):
    """Is the region a person (one logit), and where exactly (four deltas)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels * 49, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, 1)
        self.deltas = nn.Linear(hidden, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = F.relu(self.fc2(F.relu(self.fc1(x.flatten(1)))))
        return self.score(x)[:, 0], self.deltas(x)


class KeypointHead(nn.Module):
    """28 x 28 regions to 56 x 56 heatmaps and a "nowhere" logit for each keypoint.

    A small hourglass on top of the prior: which knee is the left one, and whose, is decided by the
    whole body, so the middle of the head sees all of the region.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.fine1 = nn.Conv2d(channels + JOINTS, width, 3, padding=1)
        self.fine2 = nn.Conv2d(width, width, 3, padding=1)
        self.down1 = nn.Conv2d(width, width, 4, stride=2, padding=1)
        self.middle1 = nn.Conv2d(width, width, 3, padding=1)
        self.down2 = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)
        self.coarse1 = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.coarse2 = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.up1 = nn.Conv2d(2 * width, width, 1)
        self.middle2 = nn.Conv2d(width, width, 3, padding=1)
        self.fine3 = nn.Conv2d(width, width, 3, padding=1)
        self.fine4 = nn.Conv2d(width, width, 3, padding=1)
        self.up2 = nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1)
        self.heatmap = nn.Conv2d(width // 2, JOINTS, 1)
        self.nowhere = nn.Linear(2 * width, JOINTS)
        self.trust = nn.Parameter(torch.full((JOINTS, 1, 1), 1.5))  # in the prior

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        """Logits (R, 17, 56 * 56 + 1) of features (R, C, 28, 28) and prior (R, 17, 56, 56)."""
        x = torch.cat([x, F.avg_pool2d(prior, 2).sigmoid()], 1)
        fine = F.relu(self.fine2(F.relu(self.fine1(x))))
        middle = F.relu(self.middle1(F.relu(self.down1(fine))))
        coarse = F.relu(self.down2(middle))
        coarse = coarse + F.relu(self.coarse2(F.relu(self.coarse1(coarse))))
        middle = F.relu(self.middle2(merge(self.up1(coarse), middle)))
        fine = F.relu(self.fine4(F.relu(self.fine3(merge(middle, fine)))))
        heatmap = self.heatmap(F.relu(self.up2(fine))) + self.trust * prior
        nowhere = self.nowhere(coarse.mean((-1, -2)))
        return torch.cat([heatmap.flatten(2), nowhere[..., None]], -1)


@dataclass(frozen=True)
class Limits:
    """How much of each stage reaches the next, for one picture."""

    anchors: int = 200
    proposals: int = 60
    people: int = 20
    min_box_score: float = 0.05
    proposal_iou: float = 0.7
    box_iou: float = 0.6


class Regions:
    """What follows the dense part: proposals, and two heads that look at regions of its maps.

    Whatever runs the dense part and the heads, torch or another engine, they are asked here.

    Attributes
    ----------
    engine
        What that is.
    streams
        How many threads may work at once, each with pictures of its own.
    grid
        What sides of the network's input are multiples of, pixels.
    parts
        Methods that share the work, by what each is called in a report of where time goes.
    """

    engine = "torch"
    streams = 1
    grid = 32
    parts = MappingProxyType(
        {"dense": "dense", "proposals": "propose", "boxes": "classify", "keypoints": "heatmaps"}
    )
    dense: Callable[[Tensor], Maps]
    box_head: Callable[[Tensor], tuple[Tensor, Tensor]]
    keypoint_head: Callable[[Tensor, Tensor], Tensor]
    box_step: Tensor

    def pool(self, x: Tensor, rows: Tensor, size: int, stride: int, samples: int) -> Tensor:
        """Regions of a map, see :func:`~pose3d.detect.roi_align.roi_align`."""
        return roi_align(x.float(), rows, size, stride, samples)

    def propose(self, maps: Maps, sizes: Tensor, limits: Limits) -> tuple[Tensor, Tensor]:
        """The best regions (B, R, 4) of every picture and whether each is one (B, R)."""
        count = min(limits.anchors, maps.objectness.shape[1])
        logits, index = maps.objectness.float().topk(count, dim=1)
        deltas = maps.deltas.gather(1, index[..., None].expand(-1, -1, 4)).float()
        regions = geometry.clip(geometry.decode(deltas, maps.anchors[index]), sizes)
        keep = geometry.suppress(regions, limits.proposal_iou)
        order = torch.where(keep, logits, -torch.inf).topk(min(limits.proposals, count), 1)
        chosen = regions.gather(1, order.indices[..., None].expand(-1, -1, 4))
        return chosen, order.values > -torch.inf

    def classify(self, maps: Maps, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Person logits (B, R) and deltas (B, R, 4) of regions (B, R, 4)."""
        picture = torch.arange(len(regions), device=regions.device)
        rows = _rows(picture.repeat_interleave(regions.shape[1]), regions.flatten(0, 1))
        pooled = self.pool(maps.middle, rows, 7, 8, 2)
        logits, deltas = self.box_head(pooled)
        return logits.float().view(regions.shape[:2]), deltas.float().view(regions.shape)

    def heatmaps(self, maps: Maps, picture: Tensor, regions: Tensor) -> Tensor:
        """Keypoint logits (R, 17, 56 * 56 + 1) of regions (R, 4) of pictures `picture` (R,)."""
        rows = _rows(picture, regions)
        pooled = self.pool(maps.fine, rows, REGION, 4, 2)
        prior = self.pool(maps.prior.clamp(min=FLOOR), rows, 2 * REGION, 4, 1)
        return self.keypoint_head(pooled, prior)

    def candidates(self, pictures: Tensor, sizes: Tensor, limits: Limits) -> Candidates:
        """Who may be in pictures (B, 3, H, W), padded, of `sizes` (B, 2): no one is waited for."""
        maps = self.dense(pictures)
        regions, valid = self.propose(maps, sizes, limits)
        logits, deltas = self.classify(maps, regions)
        boxes = geometry.clip(geometry.decode(deltas * self.box_step, regions), sizes)
        scores = torch.where(valid, logits.sigmoid(), 0)
        scores, order = scores.sort(dim=1, descending=True)
        boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
        keep = geometry.suppress(boxes, limits.box_iou) & (scores > limits.min_box_score)
        keep &= keep.cumsum(1) <= limits.people
        return Candidates(maps, boxes, scores, keep)

    def people(
        self,
        pictures: Tensor,
        sizes: Tensor,
        limits: Limits,
        mirrored: Callable[[], Maps] | None = None,
    ) -> Found:
        """People of pictures (B, 3, H, W), padded; `sizes` (B, 2) are width and height within.

        Where it is given, `mirrored` makes maps of the pictures' mirror images, once the pictures'
        own are no longer needed: keypoints are then where both find them.
        """
        maps, boxes, scores, keep = self.candidates(pictures, sizes, limits)
        picture, rank = keep.nonzero(as_tuple=True)
        boxes, scores = boxes[picture, rank], scores[picture, rank]
        areas = geometry.enlarge(boxes, KEYPOINT_MARGIN)
        if mirrored is None:
            return Found(picture, boxes, scores, *self.keypoints(maps, picture, areas))
        found = self.heatmaps(maps, picture, areas)
        across = geometry.mirrored(areas, sizes[picture, 0])
        found = (found + heatmaps.mirrored(self.heatmaps(mirrored(), picture, across))) / 2
        return Found(picture, boxes, scores, *heatmaps.decode(found, areas))

    def keypoints(self, maps: Maps, picture: Tensor, areas: Tensor) -> tuple[Tensor, Tensor]:
        """Keypoints (R, 17, 2) and peak masses (R, 17) of areas (R, 4) of pictures (R,)."""
        return heatmaps.decode(self.heatmaps(maps, picture, areas), areas)


class CompactRCNN(Regions, nn.Module):
    """Keypoint R-CNN (He et al., ICCV 2017) for laptops.

    Parameters
    ----------
    channels
        Of every level of the pyramid.
    hidden
        Of the box head.
    width
        Of the keypoint head.
    """

    def __init__(self, channels: int = 96, hidden: int = 384, width: int = 96) -> None:
        super().__init__()
        self.body = MobileNetV2()
        self.pyramid = Pyramid(self.body.channels, channels)
        self.rpn = RegionProposer(channels)
        self.box_head = BoxHead(channels, hidden)
        self.keypoint_head = KeypointHead(channels, width)
        self.register_buffer("box_step", torch.tensor(BOX_STEP), persistent=False)

    def dense(self, pictures: Tensor) -> Maps:
        """Everything before regions: pictures (B, 3, H, W), RGB in [0, 255], sides of 32.

        Any type of numbers will do.
        """
        (fine, middle, *coarser), prior = self.pyramid(self.body(pictures / 127.5 - 1))
        return Maps(fine, prior, middle, *self.rpn([middle, *coarser]))

    def forward(self, pictures: Tensor, sizes: Tensor, limits: Limits) -> Found:
        """As :meth:`Regions.people`."""
        return self.people(pictures, sizes, limits)


def _rows(picture: Tensor, regions: Tensor) -> Tensor:
    """Regions (R, 4) with their pictures' numbers in front (R, 5)."""
    return torch.cat([picture[:, None].to(regions), regions], 1)
