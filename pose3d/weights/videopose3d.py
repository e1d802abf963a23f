"""VideoPose3D's ``.bin``: a training checkpoint whose ``model_pos`` is the lifter."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pose3d.weights.arrays import Array, Reader
from pose3d.weights.keypoint_rcnn import listed
from pose3d.weights.unpickle import MalformedError

JOINTS = (17, 15)  # Human3.6M's and HumanEva's
_NORM = ("weight", "bias", "running_mean", "running_var")
_IGNORED = re.compile(r".*\.num_batches_tracked")


def read(arrays: Mapping[str, Array], reader: Reader) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Tensors under the official names, and what their shapes say.

    Returns
    -------
    config
        ``filter_widths``, ``channels``, ``joints_in``, ``inputs`` (numbers a joint), ``joints_out``
        and ``receptive_field``, the product of the widths, in frames.
    tensors
        ``expand_conv.weight`` and so on.

    Raises
    ------
    MalformedError
        If a parameter is missing, unknown, or of a shape that fits nothing; it is named.
    """
    config = _config(arrays)
    wanted = dict(_shapes(config))
    missing = sorted(set(wanted) - set(arrays))
    unknown = sorted(name for name in set(arrays) - set(wanted) if not _IGNORED.fullmatch(name))
    if missing:
        raise MalformedError(f"lacks {listed(missing)}")
    if unknown:
        raise MalformedError(f"holds {listed(unknown)}, which VideoPose3D's model does not have")
    for name, shape in wanted.items():
        if arrays[name].shape != shape or arrays[name].dtype.kind != "f":
            raise MalformedError(f"holds {name} of shape {arrays[name].shape}, not {shape}")
    return config, {name: reader(arrays[name]) for name in wanted}


def _config(arrays: Mapping[str, Array]) -> dict[str, Any]:
    def shape(name: str) -> tuple[int, ...]:
        if name not in arrays:
            raise MalformedError(f"lacks {name}")
        if len(arrays[name].shape) != 3 or 0 in arrays[name].shape:
            raise MalformedError(f"holds {name} of shape {arrays[name].shape}")
        return arrays[name].shape

    channels, features, width = shape("expand_conv.weight")
    widths, n = [width], 0
    while f"layers_conv.{n}.weight" in arrays:
        widths.append(shape(f"layers_conv.{n}.weight")[2])
        n += 2
    joints, rest = divmod(shape("shrink.weight")[0], 3)
    # HumanEva's 15 joints are found from COCO's 17 keypoints as well as from 15.
    keypoints = next((n for n in (17, joints) if features in (2 * n, 3 * n)), 0)
    if rest or joints not in JOINTS or not keypoints:
        outputs = 3 * joints + rest
        raise MalformedError(f"maps {features} numbers to {outputs}, which are no joints")
    receptive_field = 1
    for width in widths:
        receptive_field *= width
    return {
        "filter_widths": widths,
        "channels": channels,
        "joints_in": keypoints,
        "inputs": features // keypoints,
        "joints_out": joints,
        "receptive_field": receptive_field,
    }


def _shapes(config: dict[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    widths, c = config["filter_widths"], config["channels"]
    shapes = [("expand_conv.weight", (c, config["joints_in"] * config["inputs"], widths[0]))]
    norms = ["expand_bn"]
    for n, width in enumerate(widths[1:]):
        shapes.append((f"layers_conv.{2 * n}.weight", (c, c, width)))
        shapes.append((f"layers_conv.{2 * n + 1}.weight", (c, c, 1)))
        norms += [f"layers_bn.{2 * n}", f"layers_bn.{2 * n + 1}"]
    outputs = 3 * config["joints_out"]
    shapes.append(("shrink.weight", (outputs, c, 1)))
    vectors = [(f"{norm}.{part}", (c,)) for norm in norms for part in _NORM]
    return [*shapes, *vectors, ("shrink.bias", (outputs,))]
