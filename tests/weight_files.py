"""Small files of weights in every family's own format."""

import json
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from pose3d.weights import caffe2, detectron2, keypoint_rcnn, torchvision_pth

LAYOUTS = {
    "caffe2": caffe2.LAYOUT,
    "detectron2": detectron2.LAYOUT,
    "torchvision": torchvision_pth.LAYOUT,
}

SMALL = keypoint_rcnn.Plan(
    stem=4,
    blocks=(1, 2, 1, 1),
    widths=(8, 8, 16, 16),
    bottlenecks=(4, 4, 8, 8),
    groups=2,
    pyramid=8,
    pooled=3,
    hidden=6,
    keypoint_widths=(5, 7),
)


def arrays_of(family: str, plan: keypoint_rcnn.Plan = SMALL) -> dict[str, np.ndarray]:
    """A file's arrays, every one of its own numbers, under the family's names."""
    layout, rng, result = LAYOUTS[family], np.random.default_rng(0), {}
    for name, shape in plan.shapes():
        if "bbox_pred" in name and "predictor" in name:
            shape = (layout.box_rows, *shape[1:])
        if source := layout.source(name, plan.blocks):
            numbers = rng.standard_normal(shape, np.float32)
            result[source] = np.abs(numbers) if name.endswith("running_var") else numbers
    return result


def save(path: Path, family: str, arrays: dict[str, np.ndarray]) -> Path:
    """Write arrays as the family's programs do."""
    if family == "caffe2":
        cfg = "MODEL: {BBOX_REG_WEIGHTS: [10., 10., 5., 5.]}\nRESNETS: {STRIDE_1X1: false}"
        path.write_bytes(pickle.dumps({"blobs": arrays, "cfg": cfg}, protocol=2))
    elif family == "detectron2":
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "somebody"}, protocol=4))
    else:
        torch.save(OrderedDict((k, torch.from_numpy(v)) for k, v in arrays.items()), path)
    return path


def lifter_state(widths: tuple, keypoints: int, inputs: int, joints: int, width: int = 16) -> dict:
    """VideoPose3D's state dict with random weights, with norms that matter."""
    chance = torch.Generator().manual_seed(len(widths) * 100 + inputs * 10 + joints)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=chance)

    layers = {"expand_conv": normal(width, keypoints * inputs, widths[0]) / 4}
    norms = ["expand_bn"]
    for n, taps in enumerate(widths[1:]):
        layers[f"layers_conv.{2 * n}"] = normal(width, width, taps) / 6
        layers[f"layers_conv.{2 * n + 1}"] = normal(width, width, 1) / 4
        norms += [f"layers_bn.{2 * n}", f"layers_bn.{2 * n + 1}"]
    layers["shrink"] = normal(3 * joints, width, 1) / 4
    state = {f"{name}.weight": weight for name, weight in layers.items()}
    state["shrink.bias"] = normal(3 * joints)
    for name in norms:
        state[f"{name}.weight"] = 1 + normal(width) / 5
        state[f"{name}.bias"] = normal(width) / 5
        state[f"{name}.running_mean"] = normal(width) / 5
        state[f"{name}.running_var"] = normal(width).abs() + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(1000)
    return state


def compact_file(path: Path, **changes: str) -> Path:
    """A small compact network of our own, its metadata changed."""
    from safetensors.torch import save_file

    from pose3d.detect.architectures import build

    torch.manual_seed(0)
    network = build("compact", channels=16, hidden=32, width=16)
    # Random logits are all near zero, where nothing would be told from anything.
    network.box_head.score.weight.data *= 40
    metadata = {
        "architecture": "compact",
        "config": '{"channels": 16, "hidden": 32, "width": 16}',
        "calibration": json.dumps([[1.5, 0.5]] * 17),
        "short_side": "64",
    }
    save_file(network.state_dict(), path, metadata | changes)
    return path
