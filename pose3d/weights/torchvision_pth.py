"""torchvision's ``keypointrcnn_resnet50_fpn``: a state dict, whose names are ours but for two."""

import re
from collections.abc import Mapping
from typing import Any

from pose3d.weights.arrays import Array
from pose3d.weights.keypoint_rcnn import Layout

# COCO_V1 was trained with an eps of 0; every other file has batch norm's usual one.
SHA256_OF_ZERO_EPS = "fc266e95"

_OLD_NAMES = (
    (re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)"), r"\1.0.\2"),
    (re.compile(r"(rpn\.head\.conv)\.(weight|bias)"), r"\1.0.0.\2"),
)


def renamed(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays with the names of torchvision before 0.13 brought up to date."""
    result = {}
    for name, array in arrays.items():
        for pattern, replacement in _OLD_NAMES:
            name = re.sub(rf"\A{pattern.pattern}\Z", replacement, name)
        result[name] = array
    return result


def parameter(name: str, _blocks: tuple[int, ...]) -> str | None:
    """The same name, if torchvision has such a parameter."""
    return None if name.startswith("roi_heads.keypoint_predictor.kps_score.") else name


LAYOUT = Layout(
    source=parameter,
    block=re.compile(r"backbone\.body\.layer(\d)\.(\d+)\..*"),
    stage_offset=0,
    ignored=re.compile(r".*\.num_batches_tracked"),
    person_row=1,
    box_rows=8,
)


def facts(sha256: str) -> dict[str, Any]:
    """What torchvision's constructor does and no array says."""
    eps = 0.0 if sha256.startswith(SHA256_OF_ZERO_EPS) else 1e-5
    return {"norm_eps": eps, "stride_in_1x1": False}
