"""What public Keypoint R-CNN weights are fine-tuned for, in their own family's terms.

Mask R-CNN's five losses (He et al., ICCV 2017) on what the family's dialect makes of pictures:
its input, anchors, proposals and pooling. Boxes here are edges; a dialect whose boxes end at the
last pixel inside (`extent` 1) gets them that much shorter, after which both schools encode alike.
Pictures are gone through one by one, as their proposals are of any number. Of all the losses'
normalisations the families agree on these: over what was sampled, or over the keypoints seen.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pose3d.detect import boxes as geometry
from pose3d.detect.keypoint_rcnn.dialect import Dialect
from pose3d.detect.keypoint_rcnn.network import KEYPOINT_REGION, Frame, KeypointRCNN
from pose3d.train.losses import Losses, covered, per_global

RPN_POSITIVE, RPN_NEGATIVE = 0.7, 0.3
ANCHORS, ANCHOR_SHARE = 256, 0.5  # a picture, and how many of them may be persons'
BOX_POSITIVE = 0.5
REGIONS, REGION_SHARE = 256, 0.25
KEYPOINT_REGIONS = 16  # a picture; all the persons' regions would be most of a step's cost
DRAWS = 2  # random numbers a picture; each begins a sequence
NOT_SEEN = -100  # what cross-entropy leaves out


class Picked(NamedTuple):
    """Of some boxes of a picture those to learn from: persons' first, in random order."""

    rows: Tensor  # (K,)
    person: Tensor  # (K,) row of the person it is of, -1 where it is nobody's


class TrainingStep(nn.Module):
    """The network and its losses in one module, so that DDP can wrap it."""

    def __init__(self, network: KeypointRCNN) -> None:
        super().__init__()
        self.network = network
        for name, values in zip(
            ("order", "gain", "offset"), normalisation(network.dialect), strict=True
        ):
            self.register_buffer(name, values, persistent=False)
        self.order: Tensor
        self.gain: Tensor
        self.offset: Tensor

    def forward(
        self, pictures: Tensor, boxes: Tensor, keypoints: Tensor, ignore: Tensor, u: Tensor
    ) -> Losses:
        """Losses of a batch (see `train.augment.Batch`); `u` (B, DRAWS) is all the chance."""
        network, extent = self.network, self.network.dialect.extent
        x = self.prepare(pictures)
        maps, raw = network.dense(x)
        height, width = x.shape[2:]
        grids = [network.grid(n, level, (height, width)) for n, level in enumerate(maps)]
        anchors = _edges(torch.cat(grids), extent)
        objectness, proposal = proposal_losses(raw, anchors, boxes, ignore, u[:, 0])
        with torch.no_grad():
            frames = [Frame((height, width), 1.0, width, height, (1.0, 1.0))] * len(x)
            found = network.propose(maps, raw, (height, width), frames)
            sampled = [
                sample_regions(_edges(region, extent), *rest)
                for region, *rest in zip(found, boxes, ignore, u[:, 1], strict=True)
            ]
        regions, people = [r for r, _ in sampled], [p for _, p in sampled]
        person, box = box_losses(network, maps, regions, people, boxes)
        keypoint = keypoint_loss(network, maps, regions, people, keypoints)
        return Losses(objectness, proposal, person, box, keypoint)

    def prepare(self, pictures: Tensor) -> Tensor:
        """The network's input (B, 3, H, W) of RGB in [0, 255]."""
        return pictures[:, self.order] * self.gain + self.offset


def normalisation(dialect: Dialect) -> tuple[Tensor, Tensor, Tensor]:
    """A dialect's order of channels (3,), and gain and offset (3, 1, 1), for RGB in [0, 255].

    Found from what the dialect itself makes of small pictures of one colour.
    """
    made = []
    for colour in ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)):
        picture = np.full((8, 8, 3), colour, np.uint8)
        values, _ = dialect.resize(picture, dialect.mean, dialect.std, 8, 8)
        made.append(values[:, 4, 4])
    black, pure = made[0], torch.stack(made[1:])
    gain, order = ((pure - black) / 255).max(0)
    return order, gain[:, None, None], black[:, None, None]


def chances(u: Tensor, count: int) -> Tensor:
    """A sequence (count,) of uniform numbers from one (): the same on every device.

    The last steps of MurmurHash3 on the number's bits and each row's.
    """
    mask = 0xFFFFFFFF
    x = torch.arange(count, device=u.device) * 0x9E3779B1 + (u * 2**24).long() * 0x85EBCA77
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = x & mask
        x = (x ^ (x >> shift)) * factor
    x = x & mask
    return (x ^ (x >> 16)).double() / 2**32


def pick(
    overlap: Tensor, negative: Tensor, positive: Tensor, u: Tensor, count: int, share: float
) -> Picked:
    """At most `count` boxes at random, at most `share` of them persons'.

    Parameters
    ----------
    overlap
        (N, G) with every person.
    negative, positive
        (N,) which are nobody's and which are somebody's; others are not asked about.
    u
        () what the choice depends on.
    """
    chance = chances(u, len(overlap))
    best = torch.where(positive, 2 + chance, 0.0).topk(min(int(count * share), len(chance)))
    wanted = torch.where(negative & ~positive, 1 + chance, 0.0)
    wanted[best.indices] = torch.maximum(best.values, wanted[best.indices])
    chosen = wanted.topk(min(count, len(wanted)))
    rows = chosen.indices[chosen.values > 0]
    return Picked(rows, torch.where(positive[rows], overlap[rows].argmax(1), -1))


def proposal_losses(
    raw: list[tuple[Tensor, Tensor]], anchors: Tensor, boxes: Tensor, ignore: Tensor, u: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy and smooth L1 of sampled anchors (Ren et al., NeurIPS 2015)."""
    logits, deltas = (torch.cat(levels, 1) for levels in zip(*raw, strict=True))
    objectness, distance, count = logits.new_zeros(()), logits.new_zeros(()), 0
    for logit, delta, persons, crowd, chance in zip(logits, deltas, boxes, ignore, u, strict=True):
        with torch.no_grad():
            overlap = geometry.iou(anchors, persons).nan_to_num(0)
            best = overlap.amax(1)
            # Every person gets its best anchors, however badly they fit.
            positive = ((overlap == overlap.amax(0)) & (overlap > 0)).any(1)
            positive |= best >= RPN_POSITIVE
            negative = (best < RPN_NEGATIVE) & ~covered(anchors, crowd)
            rows, person = pick(overlap, negative, positive, chance, ANCHORS, ANCHOR_SHARE)
            mine = person >= 0
            goal = geometry.encode(persons[person[mine]], anchors[rows[mine]])
        objectness = objectness + F.binary_cross_entropy_with_logits(
            logit[rows], mine.float(), reduction="sum"
        )
        distance = distance + F.smooth_l1_loss(delta[rows[mine]], goal, beta=1 / 9, reduction="sum")
        count += len(rows)
    total = logits.new_tensor(count)
    return per_global(objectness, total), per_global(distance, total)


def sample_regions(
    proposals: Tensor, persons: Tensor, ignore: Tensor, u: Tensor
) -> tuple[Tensor, Tensor]:
    """Regions (K, 4) of a picture to train the heads on, and whose each is (K,), or -1.

    Among them the persons' own boxes, which teach the heads before proposals are any good.
    """
    places = torch.cat([persons[~persons[:, 0].isnan()], proposals])
    overlap = geometry.iou(places, persons).nan_to_num(0)
    positive = overlap.amax(1) >= BOX_POSITIVE
    negative = ~positive & ~covered(places, ignore)
    rows, person = pick(overlap, negative, positive, u, REGIONS, REGION_SHARE)
    return places[rows], person


def box_losses(
    network: KeypointRCNN,
    maps: list[Tensor],
    regions: list[Tensor],
    people: list[Tensor],
    boxes: Tensor,
) -> tuple[Tensor, Tensor]:
    """Person or background, and where: smooth L1 of deltas in the box head's own units."""
    plan, extent = network.plan, network.dialect.extent
    pooled = network.pool(maps, [_edges(region, -extent) for region in regions], plan.pooled)
    logits, deltas = network.roi_heads.boxes(pooled)
    person = torch.cat(people)
    mine = person >= 0
    goal = torch.cat([persons[who[who >= 0]] for persons, who in zip(boxes, people, strict=True)])
    goal = geometry.encode(goal, torch.cat(regions)[mine]) * goal.new_tensor(plan.box_weights)
    entropy = F.cross_entropy(logits, mine.long(), reduction="sum")
    distance = F.smooth_l1_loss(deltas[mine], goal, reduction="sum")
    total = logits.new_tensor(len(person))
    return per_global(entropy, total), per_global(distance, total)


def keypoint_loss(
    network: KeypointRCNN,
    maps: list[Tensor],
    regions: list[Tensor],
    people: list[Tensor],
    keypoints: Tensor,
) -> Tensor:
    """Cross-entropy of each keypoint's softmax over its map, for some of the persons' regions."""
    extent = network.dialect.extent
    areas, points = [], []
    for region, who, joints in zip(regions, people, keypoints, strict=True):
        rows = (who >= 0).nonzero()[:KEYPOINT_REGIONS, 0]
        areas.append(_edges(region[rows], -extent))
        points.append(joints[who[rows]])
    logits = network.roi_heads.keypoints(network.pool(maps, areas, KEYPOINT_REGION))
    target = cells(torch.cat(points), torch.cat(areas), logits.shape[-1]).flatten()
    entropy = F.cross_entropy(
        logits.flatten(0, 1).flatten(1), target, ignore_index=NOT_SEEN, reduction="sum"
    )
    return per_global(entropy, (target != NOT_SEEN).sum())


def cells(points: Tensor, boxes: Tensor, side: int) -> Tensor:
    """The cell (R, 17) of a map over each box (R, 4) in which points (R, 17, 2) lie.

    Points outside their box, and NaN, are `NOT_SEEN`.
    """
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    seen = ((points >= low) & (points <= high)).all(-1)
    cell = (points - low) * (side / (high - low).clamp(min=1))
    cell = torch.where(seen[..., None], cell, 0).long().clamp(max=side - 1)
    return torch.where(seen, cell[..., 1] * side + cell[..., 0], NOT_SEEN)


def _edges(boxes: Tensor, extent: float) -> Tensor:
    """Boxes (N, 4) whose right and lower ends are moved by `extent`."""
    return boxes + boxes.new_tensor([0, 0, extent, extent])
