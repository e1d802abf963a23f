"""Keypoint R-CNN's parameters under one set of names, torchvision's, whatever the file calls them.

Two things are the same for all families here that are not in their files: the box head's classes
are background, person, in this order, and its box deltas (4 rows) are the person's. Caffe2's
second upsampling, ``roi_heads.keypoint_predictor.kps_score``, has no name in torchvision.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from pose3d.limits import LAYERS
from pose3d.weights.arrays import Array, Reader
from pose3d.weights.unpickle import MalformedError

JOINTS = 17
ANCHORS = 3  # a cell: one size, three ratios
STAGES = 4
_NORMS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Plan:
    """What the shapes and the family say about a Keypoint R-CNN with a feature pyramid.

    Attributes
    ----------
    stem
        Width of the first convolution.
    blocks, widths, bottlenecks
        Of the four stages: how many blocks, channels out, channels inside.
    groups
        Of the 3x3 convolutions: 1 is ResNet, more is ResNeXt.
    pyramid
        Channels of every level.
    pooled
        Side of the box head's regions.
    hidden
        Width of the box head.
    keypoint_widths
        Of the keypoint head's convolutions.
    joints
        Number of keypoints.
    upsampling
        Whether the file has its own weights (``kps_score``) for the last upsampling.
    stride_in_1x1
        Whether a stage's first block halves in its first 1x1 convolution, else in the 3x3.
    norm_eps
        What frozen batch norm adds to the variance.
    box_weights
        By which dx, dy, dw, dh of the box head are divided.
    """

    stem: int
    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    bottlenecks: tuple[int, ...]
    groups: int
    pyramid: int
    pooled: int
    hidden: int
    keypoint_widths: tuple[int, ...]
    joints: int = JOINTS
    upsampling: bool = False
    stride_in_1x1: bool = False
    norm_eps: float = 0.0
    box_weights: tuple[float, ...] = (10.0, 10.0, 5.0, 5.0)

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Every parameter's name and shape, in the order of the forward pass."""
        yield "backbone.body.conv1.weight", (self.stem, 3, 7, 7)
        yield from _norm("backbone.body.bn1", self.stem)
        before = self.stem
        for stage in range(STAGES):
            width, inner = self.widths[stage], self.bottlenecks[stage]
            for n in range(self.blocks[stage]):
                block = f"backbone.body.layer{stage + 1}.{n}"
                yield f"{block}.conv1.weight", (inner, before, 1, 1)
                yield from _norm(f"{block}.bn1", inner)
                yield f"{block}.conv2.weight", (inner, inner // self.groups, 3, 3)
                yield from _norm(f"{block}.bn2", inner)
                yield f"{block}.conv3.weight", (width, inner, 1, 1)
                yield from _norm(f"{block}.bn3", width)
                if n == 0:
                    yield f"{block}.downsample.0.weight", (width, before, 1, 1)
                    yield from _norm(f"{block}.downsample.1", width)
                before = width
        c = self.pyramid
        for level, width in enumerate(self.widths):
            yield from _layer(f"backbone.fpn.inner_blocks.{level}.0", (c, width, 1, 1))
            yield from _layer(f"backbone.fpn.layer_blocks.{level}.0", (c, c, 3, 3))
        yield from _layer("rpn.head.conv.0.0", (c, c, 3, 3))
        yield from _layer("rpn.head.cls_logits", (ANCHORS, c, 1, 1))
        yield from _layer("rpn.head.bbox_pred", (4 * ANCHORS, c, 1, 1))
        yield from _layer("roi_heads.box_head.fc6", (self.hidden, c * self.pooled**2))
        yield from _layer("roi_heads.box_head.fc7", (self.hidden, self.hidden))
        yield from _layer("roi_heads.box_predictor.cls_score", (2, self.hidden))
        yield from _layer("roi_heads.box_predictor.bbox_pred", (4, self.hidden))
        before = c
        for n, width in enumerate(self.keypoint_widths):
            yield from _layer(f"roi_heads.keypoint_head.{2 * n}", (width, before, 3, 3))
            before = width
        # Transposed convolutions: (in, out, 4, 4).
        predictor, joints = "roi_heads.keypoint_predictor", self.joints
        yield f"{predictor}.kps_score_lowres.weight", (before, joints, 4, 4)
        yield f"{predictor}.kps_score_lowres.bias", (joints,)
        if self.upsampling:
            yield f"{predictor}.kps_score.weight", (joints, joints, 4, 4)
            yield f"{predictor}.kps_score.bias", (joints,)


def _layer(name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for part in _NORMS:
        yield f"{name}.{part}", (width,)


_SIGNS = {
    "body": re.compile(r"res2_0_branch2a_w|res2\.0\.conv1|layer1\.0\.conv1"),
    "pyramid": re.compile(r"fpn"),
    "rpn": re.compile(r"rpn|proposal_generator"),
    "box": re.compile(r"\bfc6|box_head|box_predictor|\bcls_score|\bbbox_pred"),
    "keypoints": re.compile(r"kps_score|keypoint_head|keypoint_predictor"),
    "mask": re.compile(r"mask"),
    "retina": re.compile(r"retnet|cls_subnet|classification_head|^head\."),
}


def refuse_other_networks(names: Iterable[str]) -> None:
    """Name the files that people take for a Keypoint R-CNN's.

    Raises
    ------
    MalformedError
        If `names` are the parameters of another network.
    """
    has = {what: any(map(sign.search, names)) for what, sign in _SIGNS.items()}
    heads = has["rpn"] or has["box"] or has["keypoints"] or has["mask"] or has["retina"]
    if has["body"] and not heads:
        raise MalformedError(
            "is an ImageNet classifier: a body to train from, without detection heads"
        )
    if has["retina"]:
        raise MalformedError("is a RetinaNet: it finds boxes, no keypoints")
    if has["mask"]:
        raise MalformedError("is a Mask R-CNN: take a keypoint model without masks")
    if has["rpn"] and not has["box"]:
        raise MalformedError("is a region proposal network alone: it finds no keypoints")
    if heads and not has["keypoints"]:
        raise MalformedError("is a box detector (Fast or Faster R-CNN): it finds no keypoints")
    if has["keypoints"] and not has["rpn"]:
        raise MalformedError(
            "is a keypoint model that is not end-to-end (no RPN, it needs proposals from "
            "elsewhere): take the file of e2e_keypoint_rcnn"
        )
    if has["keypoints"] and not has["pyramid"]:
        raise MalformedError(
            "is a Keypoint R-CNN without a feature pyramid, which no public one is"
        )


@dataclass(frozen=True)
class Layout:
    """How a family names and arranges the parameters.

    Attributes
    ----------
    source
        From our name, and the number of blocks of every stage, to the file's name; None for what
        the family does not store (Caffe2 has no running mean and variance: 0 and 1 by definition).
    block
        Matches the names of a block in the file; groups: stage (first is 1, after
        `stage_offset` is taken off) and block.
    stage_offset
        Number of the file's first stage, less one.
    ignored
        Matches names that real files hold and nobody needs.
    person_row, box_rows
        Row of the person in the class scores, and rows of the box deltas.
    """

    source: Callable[[str, tuple[int, ...]], str | None]
    block: re.Pattern[str]
    stage_offset: int
    ignored: re.Pattern[str]
    person_row: int
    box_rows: int


def read(
    arrays: Mapping[str, Array], layout: Layout, reader: Reader
) -> tuple[Plan, dict[str, Tensor]]:
    """Bring a file's arrays under our names.

    Parameters
    ----------
    arrays
        As the file names them.
    layout
        The family's.
    reader
        Of the open file.

    Returns
    -------
    plan
        What the shapes say; the rest has its default.
    tensors
        By our names.

    Raises
    ------
    MalformedError
        If a parameter is missing, unknown or of a shape that fits nothing; it is named.
    """
    blocks = _count_blocks(arrays, layout)

    def shape(name: str, dimensions: int) -> tuple[int, ...]:
        source = layout.source(name, blocks) or name
        if source not in arrays:
            raise MalformedError(f"lacks {source}")
        found = arrays[source].shape
        if len(found) != dimensions or 0 in found:
            raise MalformedError(f"holds {source} of shape {found}: not a Keypoint R-CNN's")
        return found

    def has(layer: str) -> bool:
        names = (layout.source(f"{layer}.{part}", blocks) for part in ("weight", "bias"))
        return any(name in arrays for name in names)

    plan = _plan(shape, blocks, has)
    return plan, _collect(arrays, layout, plan, reader)


def _count_blocks(arrays: Mapping[str, Array], layout: Layout) -> tuple[int, ...]:
    found = [0] * STAGES
    for match in filter(None, map(layout.block.fullmatch, arrays)):
        stage, block = int(match[1]) - layout.stage_offset, int(match[2])
        if not 0 < stage <= STAGES or block >= LAYERS:
            raise MalformedError(f"holds the unknown {match[0]}")
        found[stage - 1] = max(found[stage - 1], block + 1)
    if 0 in found:
        raise MalformedError("has no ResNet of four stages")
    return tuple(found)


def _plan(
    shape: Callable[[str, int], tuple[int, ...]],
    blocks: tuple[int, ...],
    has: Callable[[str], bool],
) -> Plan:
    first = [f"backbone.body.layer{stage + 1}.0" for stage in range(STAGES)]
    middle = shape(f"{first[0]}.conv2.weight", 4)
    pyramid = shape("rpn.head.conv.0.0.weight", 4)[0]
    hidden, flat = shape("roi_heads.box_head.fc6.weight", 2)
    head = [f"roi_heads.keypoint_head.{2 * n}" for n in range(LAYERS)]
    layers = max((n + 1 for n, name in enumerate(head) if has(name)), default=0)
    joints = shape("roi_heads.keypoint_predictor.kps_score_lowres.weight", 4)[1]
    if joints != JOINTS:
        raise MalformedError(f"finds {joints} keypoints, not COCO's {JOINTS}")
    return Plan(
        stem=shape("backbone.body.conv1.weight", 4)[0],
        blocks=blocks,
        widths=tuple(shape(f"{block}.conv3.weight", 4)[0] for block in first),
        bottlenecks=tuple(shape(f"{block}.conv1.weight", 4)[0] for block in first),
        groups=max(middle[0] // middle[1], 1),
        pyramid=pyramid,
        pooled=round((flat / pyramid) ** 0.5),
        hidden=hidden,
        keypoint_widths=tuple(shape(f"{name}.weight", 4)[0] for name in head[:layers]),
        upsampling=has("roi_heads.keypoint_predictor.kps_score"),
    )


def _collect(
    arrays: Mapping[str, Array], layout: Layout, plan: Plan, reader: Reader
) -> dict[str, Tensor]:
    """Every tensor of the plan, checked against it before anything is read."""
    rows = {"cls_score": 2, "bbox_pred": layout.box_rows}
    wanted: dict[str, tuple[str | None, tuple[int, ...]]] = {}
    for name, shape in plan.shapes():
        if name.startswith("roi_heads.box_predictor."):
            shape = (rows[name.split(".")[2]], *shape[1:])
        wanted[name] = layout.source(name, plan.blocks), shape
    sources = {source for source, _ in wanted.values() if source}
    missing = sorted(sources - set(arrays))
    unknown = sorted(name for name in set(arrays) - sources if not layout.ignored.fullmatch(name))
    if missing:
        raise MalformedError(f"lacks {listed(missing)}")
    if unknown:
        raise MalformedError(f"holds {listed(unknown)}, which no Keypoint R-CNN has")
    for source, shape in wanted.values():
        if source and arrays[source].shape != shape:
            raise MalformedError(f"holds {source} of shape {arrays[source].shape}, not {shape}")
        if source and arrays[source].dtype.kind != "f":
            raise MalformedError(f"holds {source} as whole numbers")
    tensors = {}
    for name, (source, shape) in wanted.items():
        if source is None:
            fill = 1.0 if name.endswith("running_var") else 0.0
            tensors[name] = torch.full(shape, fill)
        else:
            tensors[name] = _person(name, reader(arrays[source]), layout)
    return tensors


def _person(name: str, tensor: Tensor, layout: Layout) -> Tensor:
    """The box predictor's rows in our order: background, person; the person's deltas."""
    if name.startswith("roi_heads.box_predictor.cls_score") and layout.person_row == 0:
        return tensor.flip(0)
    if name.startswith("roi_heads.box_predictor.bbox_pred"):
        return tensor[-4:].clone()
    return tensor


def listed(names: list[str]) -> str:
    """A few of many names."""
    shown = ", ".join(name[:80] for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def config(plan: Plan) -> dict[str, Any]:
    """The plan as plain values for a file's metadata."""
    return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(plan).items()}


def plan_of(config: Any) -> Plan:
    """The plan in a file's metadata.

    Raises
    ------
    MalformedError
        If it describes no network.
    """
    try:
        values: Any = {k: tuple(v) if type(v) is list else v for k, v in config.items()}
        plan = Plan(**values)
        tuples = (plan.blocks, plan.widths, plan.bottlenecks)
        numbers = (plan.stem, plan.groups, plan.pyramid, plan.pooled, plan.hidden, plan.joints)
        sane = all(len(row) == STAGES for row in tuples) and len(plan.keypoint_widths) <= LAYERS
        sane = sane and max(plan.blocks) <= LAYERS and len(plan.box_weights) == 4
        sane = sane and all(type(n) is float for n in (plan.norm_eps, *plan.box_weights))
        every = [*sum(tuples, ()), *numbers, *plan.keypoint_widths]
        if not sane or not all(type(n) is int and 0 < n < 1 << 20 for n in every):
            raise ValueError
    except (TypeError, ValueError, AttributeError):
        raise MalformedError("describes no Keypoint R-CNN in its metadata") from None
    return plan


def check(plan: Plan, tensors: Mapping[str, Tensor]) -> None:
    """Compare tensors under our names with the plan.

    Raises
    ------
    MalformedError
        If one is missing, unknown or of another shape; it is named.
    """
    wanted = dict(plan.shapes())
    if missing := sorted(set(wanted) - set(tensors)):
        raise MalformedError(f"lacks {listed(missing)}")
    if unknown := sorted(set(tensors) - set(wanted)):
        raise MalformedError(f"holds {listed(unknown)}, which no Keypoint R-CNN has")
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            raise MalformedError(f"holds {name} of shape {tuple(tensors[name].shape)}, not {shape}")
