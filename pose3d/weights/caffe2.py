"""The original Detectron's pickles, of Python 2: ``{'blobs': {name: array}, 'cfg': YAML}``."""

import re
from itertools import accumulate
from typing import Any, BinaryIO

from pose3d import limits
from pose3d.weights.keypoint_rcnn import Layout
from pose3d.weights.unpickle import MalformedError, Span

_FIXED = {
    "backbone.body.conv1": "conv1",
    "backbone.body.bn1": "res_conv1_bn",
    "rpn.head.conv.0.0": "conv_rpn_fpn2",
    "rpn.head.cls_logits": "rpn_cls_logits_fpn2",
    "rpn.head.bbox_pred": "rpn_bbox_pred_fpn2",
    "roi_heads.box_head.fc6": "fc6",
    "roi_heads.box_head.fc7": "fc7",
    "roi_heads.box_predictor.cls_score": "cls_score",
    "roi_heads.box_predictor.bbox_pred": "bbox_pred",
    "roi_heads.keypoint_predictor.kps_score_lowres": "kps_score_lowres",
    "roi_heads.keypoint_predictor.kps_score": "kps_score",
}
_BRANCHES = {
    "conv1": "branch2a",
    "bn1": "branch2a_bn",
    "conv2": "branch2b",
    "bn2": "branch2b_bn",
    "conv3": "branch2c",
    "bn3": "branch2c_bn",
    "downsample.0": "branch1",
    "downsample.1": "branch1_bn",
}


def blob(name: str, blocks: tuple[int, ...]) -> str | None:
    """Caffe2's name of our parameter `name`; frozen batch norm is a scale and an offset alone."""
    layer, part = name.rsplit(".", 1)
    if part.startswith("running_"):
        return None
    stem = _stem(layer, blocks)
    suffix = "s" if part == "weight" and stem.endswith("_bn") else part[0]
    return f"{stem}_{suffix}"


def _stem(layer: str, blocks: tuple[int, ...]) -> str:
    if layer in _FIXED:
        return _FIXED[layer]
    if match := re.fullmatch(r"backbone\.body\.layer(\d)\.(\d+)\.(.+)", layer):
        return f"res{int(match[1]) + 1}_{match[2]}_{_BRANCHES[match[3]]}"
    if match := re.fullmatch(r"backbone\.fpn\.(inner|layer)_blocks\.(\d)\.0", layer):
        level = int(match[2])
        total = f"res{level + 2}_{blocks[level] - 1}_sum"
        if match[1] == "layer":
            return f"fpn_{total}"
        return f"fpn_inner_{total}" + ("" if level == 3 else "_lateral")
    match = re.fullmatch(r"roi_heads\.keypoint_head\.(\d+)", layer)
    assert match, layer
    return f"conv_fcn{int(match[1]) // 2 + 1}"


LAYOUT = Layout(
    source=blob,
    block=re.compile(r"res(\d)_(\d+)_branch.*"),
    stage_offset=1,
    ignored=re.compile(r".*_momentum|conv1_b|res\d_\d+_branch\d[abc]?_b|fc1000_[wb]|pred_[wb]"),
    person_row=1,
    box_rows=8,
)


def facts(cfg: Any, file: BinaryIO) -> dict[str, Any]:
    """What the configuration that was saved with the blobs says about the network.

    Only the tree of the YAML text is looked at; no object is made of it. A configuration without
    ``MODEL.BBOX_REG_WEIGHTS`` is older than that option, whose value then was 1; Detectron's own
    default of ``RESNETS.STRIDE_1X1`` is true.

    Raises
    ------
    MalformedError
        If it is no configuration.
    """
    import yaml

    if isinstance(cfg, Span) and cfg.length <= limits.YAML_BYTES:
        cfg = cfg.read(file).decode("latin-1")
    if type(cfg) is not str or _nesting(cfg) > limits.YAML_NESTING:
        raise MalformedError("has no configuration that Detectron wrote")
    try:
        tree = yaml.compose(cfg, yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        raise MalformedError("has a configuration that is no YAML") from None
    stride = _lookup(tree, "RESNETS", "STRIDE_1X1")
    weights = _lookup(tree, "MODEL", "BBOX_REG_WEIGHTS")
    try:
        return {
            "norm_eps": 0.0,
            "stride_in_1x1": stride is None or stride.value.lower() == "true",
            "box_weights": tuple(float(node.value) for node in weights.value)
            if weights
            else (1.0,) * 4,
        }
    except (AttributeError, TypeError, ValueError):
        raise MalformedError("has a configuration that Detectron did not write") from None


def _nesting(text: str) -> int:
    return max(accumulate((c in "[{") - (c in "]}") for c in text), default=0)


def _lookup(node: Any, *path: str) -> Any:
    """The node at `path`, through the wrappers that Python's own classes leave in YAML."""
    for key in path:
        node = _items(node).get(key)
    return node


def _items(node: Any) -> dict[str, Any]:
    if getattr(node, "id", None) != "mapping":
        return {}
    items = {key.value: value for key, value in node.value if key.id == "scalar"}
    return _items(items["dictitems"]) if "dictitems" in items else items
