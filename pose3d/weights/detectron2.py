"""detectron2: ``{'model': {name: array}}`` as ``.pkl``, or of tensors as ``.pth``."""

import re
from typing import Any

from pose3d.weights.keypoint_rcnn import Layout

_LAYERS = {
    "backbone.body.conv1": "backbone.bottom_up.stem.conv1",
    "backbone.body.bn1": "backbone.bottom_up.stem.conv1.norm",
    "rpn.head.conv.0.0": "proposal_generator.rpn_head.conv",
    "rpn.head.cls_logits": "proposal_generator.rpn_head.objectness_logits",
    "rpn.head.bbox_pred": "proposal_generator.rpn_head.anchor_deltas",
    "roi_heads.box_head.fc6": "roi_heads.box_head.fc1",
    "roi_heads.box_head.fc7": "roi_heads.box_head.fc2",
    "roi_heads.keypoint_predictor.kps_score_lowres": "roi_heads.keypoint_head.score_lowres",
}
_PARTS = {"downsample.0": "shortcut", "downsample.1": "shortcut.norm"}


def parameter(name: str, _blocks: tuple[int, ...]) -> str | None:
    """detectron2's name of our parameter `name`."""
    layer, part = name.rsplit(".", 1)
    if layer == "roi_heads.keypoint_predictor.kps_score":
        return None
    return f"{_layer(layer)}.{part}"


def _layer(layer: str) -> str:
    if match := re.fullmatch(r"backbone\.body\.layer(\d)\.(\d+)\.(.+)", layer):
        part = _PARTS.get(match[3]) or re.sub(r"bn(\d)", r"conv\1.norm", match[3])
        return f"backbone.bottom_up.res{int(match[1]) + 1}.{match[2]}.{part}"
    if match := re.fullmatch(r"backbone\.fpn\.(inner|layer)_blocks\.(\d)\.0", layer):
        role = "lateral" if match[1] == "inner" else "output"
        return f"backbone.fpn_{role}{int(match[2]) + 2}"
    if match := re.fullmatch(r"roi_heads\.keypoint_head\.(\d+)", layer):
        return f"roi_heads.keypoint_head.conv_fcn{int(match[1]) // 2 + 1}"
    return _LAYERS.get(layer, layer)


LAYOUT = Layout(
    source=parameter,
    block=re.compile(r"backbone\.bottom_up\.res(\d)\.(\d+)\..*"),
    stage_offset=1,
    ignored=re.compile(r"(.*\.)?(cell_anchors\.\d+|pixel_(mean|std)|num_batches_tracked)"),
    person_row=0,
    box_rows=4,
)


def facts(groups: int) -> dict[str, Any]:
    """What the zoo's configurations say: ResNets halve in the 1x1, ResNeXts in the 3x3."""
    return {"norm_eps": 1e-5, "stride_in_1x1": groups == 1}
