"""What the compact Keypoint R-CNN is trained for: whole batches, fixed shapes, no loop.

NaN boxes stand for nobody, so that every picture has the same number of rows; comparisons with
NaN are false, which leaves them out of every match.
"""

from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from pose3d.detect import boxes as geometry
from pose3d.detect import heatmaps
from pose3d.detect.compact import KEYPOINT_MARGIN, CompactRCNN, Limits, Maps

RPN_POSITIVE, RPN_NEGATIVE = 0.55, 0.35
BOX_POSITIVE = 0.5
REGIONS = 48  # for the box head, a picture
KEYPOINT_REGIONS = 4  # for the keypoint head, a picture
HIDDEN_WEIGHT = 0.3  # of "nowhere" for a joint that has no label: it may well be somewhere
SHAKES = 320  # random numbers that shake and choose regions
DRAWS = SHAKES + REGIONS


class Losses(NamedTuple):
    """One number each, ready to add up."""

    objectness: Tensor
    proposal: Tensor
    person: Tensor
    box: Tensor
    keypoint: Tensor


class TrainingStep(nn.Module):
    """The network and its losses in one module, so that DDP can wrap it."""

    def __init__(self, network: CompactRCNN) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, pictures: Tensor, boxes: Tensor, keypoints: Tensor, ignore: Tensor, u: Tensor
    ) -> Losses:
        """Losses of a batch (see `train.augment.Batch`); `u` (B, DRAWS) is all the chance."""
        network = self.network
        maps = network.dense(pictures)
        objectness, proposal = proposal_losses(maps, boxes, ignore)
        with torch.no_grad():
            regions, target, state = sample_regions(network, maps, boxes, ignore, u[:, :SHAKES])
        person, box = box_losses(network, maps, regions, target, state, boxes)
        keypoint = keypoint_loss(network, maps, regions, target, state, keypoints, u[:, SHAKES:])
        return Losses(objectness, proposal, person, box, keypoint)


def per_global(total: Tensor, count: Tensor) -> Tensor:
    """A sum over a count of all processes, scaled so that DDP's mean of gradients is right."""
    count = count.detach().float().clone()  # summed in place
    world = 1
    if dist.is_initialized():
        dist.all_reduce(count)
        world = dist.get_world_size()
    return total * world / count.clamp(min=1)


def proposal_losses(maps: Maps, boxes: Tensor, ignore: Tensor) -> tuple[Tensor, Tensor]:
    """Focal loss of objectness (Lin et al., ICCV 2017) and L1 of deltas, over all anchors."""
    with torch.no_grad():
        overlap = geometry.iou(maps.anchors[None], boxes).nan_to_num(0)  # (B, N, G)
        best, match = overlap.max(-1)
        # Every person gets its best anchors, however badly they fit.
        top = overlap.amax(1, keepdim=True).clamp(min=0.2)
        forced = (overlap >= top - 1e-4) & (overlap > 0)
        match = torch.where(forced.any(-1), forced.int().argmax(-1), match)
        positive = (best >= RPN_POSITIVE) | forced.any(-1)
        negative = ~positive & (best < RPN_NEGATIVE) & ~covered(maps.anchors[None], ignore)
        target = boxes.gather(1, match[..., None].expand(-1, -1, 4))
        target = torch.where(positive[..., None], target, maps.anchors)
        wanted = geometry.encode(target, maps.anchors)
    logits = maps.objectness.float()
    focal = F.binary_cross_entropy_with_logits(logits, positive.float(), reduction="none")
    wrong = torch.where(positive, 1 - logits.sigmoid(), logits.sigmoid())
    weight = torch.where(positive, 0.5, 0.5) * wrong**2 * (positive | negative)
    count = positive.sum()
    distance = F.smooth_l1_loss(maps.deltas.float(), wanted, beta=0.1, reduction="none").sum(-1)
    return (
        per_global((focal * weight).sum(), count),
        per_global((distance * positive).sum(), count),
    )


def covered(regions: Tensor, ignore: Tensor) -> Tensor:
    """True where half of a region lies in a box in which nothing is asked for."""
    share = geometry.intersection(regions, ignore) / geometry.area(regions).clamp(min=1)[..., None]
    return (share > 0.5).any(-1)


def sample_regions(
    network: CompactRCNN, maps: Maps, boxes: Tensor, ignore: Tensor, u: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Regions to train the heads on.

    Returns
    -------
    regions (B, REGIONS, 4)
    target (B, REGIONS)
        The person that a region overlaps most.
    state (B, REGIONS)
        Its IoU where it is a person's, 0 where it is nobody's, -1 where it is not to be judged.
    """
    batch, persons = boxes.shape[:2]
    canvas = float(maps.fine.shape[-1] * 4)
    size = torch.full((batch, 2), canvas, device=boxes.device)
    limits = Limits(anchors=256, proposals=96)
    regions, valid = network.propose(maps, size, limits)
    # The persons' own boxes, shaken, three times over: the heads learn before the proposals do.
    jitter = u[:, : persons * 12].view(batch, 3, persons, 4) - 0.5
    side = (boxes[..., 2:] - boxes[..., :2]).repeat(1, 1, 2)
    strength = torch.tensor([0.05, 0.2, 0.35], device=boxes.device)[:, None, None]
    shaken = geometry.clip((boxes[:, None] + jitter * strength * side[:, None]).flatten(1, 2), size)
    present = ~shaken[..., 0].isnan()
    regions = torch.cat([regions, torch.where(present[..., None], shaken, 0.0)], 1)
    valid = torch.cat([valid, present], 1) & (geometry.area(regions) > 16)
    overlap = geometry.iou(regions, boxes).nan_to_num(0)
    best, target = overlap.max(-1)
    positive = valid & (best >= BOX_POSITIVE)
    negative = valid & (best < BOX_POSITIVE) & ~covered(regions, ignore)
    chance = u[:, persons * 12 : persons * 12 + regions.shape[1]]
    priority = torch.where(positive, 2 + chance, torch.where(negative, 1 + chance, chance))
    # At most a third persons, so that there is always something to tell them from.
    rank = priority.argsort(1, descending=True).argsort(1)
    priority = torch.where(positive & (rank >= REGIONS // 3), chance, priority)
    order = priority.topk(REGIONS, 1).indices
    state = torch.where(positive, best, torch.where(negative, 0.0, -1.0))
    return (
        regions.gather(1, order[..., None].expand(-1, -1, 4)),
        target.gather(1, order),
        state.gather(1, order),
    )


def box_losses(
    network: CompactRCNN, maps: Maps, regions: Tensor, target: Tensor, state: Tensor, boxes: Tensor
) -> tuple[Tensor, Tensor]:
    """Person or not (towards the region's IoU after the fact), and where."""
    logits, deltas = network.classify(maps, regions)
    positive = state > 0
    goal = boxes.gather(1, target[..., None].expand(-1, -1, 4))
    goal = torch.where(positive[..., None], goal, regions)
    # Boxes that do not count may be empty; encode them as themselves.
    sane = torch.where(positive[..., None], regions, regions.new_tensor([0.0, 0, 1, 1]))
    goal = torch.where(positive[..., None], goal, sane)
    wanted = geometry.encode(goal, sane) / network.box_step
    with torch.no_grad():
        refined = geometry.decode(deltas * network.box_step, sane)
        fit = geometry.iou(refined.view(-1, 1, 4), goal.view(-1, 1, 4)).view_as(state)
        label = torch.where(positive, fit.clamp(0.3, 1), 0.0)
    person = F.binary_cross_entropy_with_logits(logits, label, reduction="none")
    judged = state >= 0
    distance = F.smooth_l1_loss(deltas, wanted, beta=0.5, reduction="none").sum(-1)
    return (
        per_global((person * judged).sum(), judged.sum()),
        per_global((distance * positive).sum(), positive.sum()),
    )


def keypoint_loss(
    network: CompactRCNN,
    maps: Maps,
    regions: Tensor,
    target: Tensor,
    state: Tensor,
    keypoints: Tensor,
    u: Tensor,
) -> Tensor:
    """Cross-entropy of every keypoint's distribution, over some of the persons' regions."""
    positive = state > 0
    chance = u[:, : state.shape[1]]
    order = torch.where(positive, 1 + chance, chance).topk(KEYPOINT_REGIONS, 1).indices
    used = positive.gather(1, order).flatten()
    person = target.gather(1, order)
    chosen = regions.gather(1, order[..., None].expand(-1, -1, 4)).flatten(0, 1)
    chosen = torch.where(used[:, None], chosen, chosen.new_tensor([0.0, 0, 32, 32]))
    areas = geometry.enlarge(chosen, KEYPOINT_MARGIN)
    picture = torch.arange(len(state), device=state.device).repeat_interleave(KEYPOINT_REGIONS)
    points = keypoints.gather(1, person[..., None, None].expand(-1, -1, 17, 2)).flatten(0, 1)
    logits = network.heatmaps(maps, picture, areas).float()
    size = int((logits.shape[-1] - 1) ** 0.5)
    index, share = heatmaps.targets(points, areas, size)
    picked = logits.gather(-1, index)
    loss = logits.logsumexp(-1) - (picked * share).sum(-1)
    seen = ~points[..., 0].isnan()
    weight = torch.where(seen, 1.0, HIDDEN_WEIGHT) * used[:, None]
    return per_global((loss * weight).sum(), weight.sum())
