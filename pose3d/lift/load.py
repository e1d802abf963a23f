"""Lifters from any weights: our own, and VideoPose3D's."""

from math import prod
from typing import Any

import torch

from pose3d.errors import PoseError, UsageError, in_a_line
from pose3d.lift.lifter import Lifter
from pose3d.lift.network import TemporalModel
from pose3d.skeleton import COCO, H36M, Skeleton
from pose3d.weights import load
from pose3d.weights.checkpoint import Checkpoint

MAX_FIELD = 1 << 14  # frames
MAX_RATE = 1000.0  # frames a second

# VideoPose3D's 15 of HumanEva's 20 joints, in its order.
HUMANEVA_PARENTS = (-1, 0, 1, 2, 3, 1, 5, 6, 0, 8, 9, 0, 11, 12, 1)
HUMANEVA = Skeleton(
    names=(
        "Pelvis", "Thorax", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist",
        "LHip", "LKnee", "LAnkle", "RHip", "RKnee", "RAnkle", "Head",
    ),
    bones=tuple((joint, parent) for joint, parent in enumerate(HUMANEVA_PARENTS) if parent >= 0),
    left=(2, 3, 4, 8, 9, 10),
    right=(5, 6, 7, 11, 12, 13),
)  # fmt: skip

SKELETONS = {"coco": COCO, "h36m": H36M, "humaneva": HUMANEVA}
_TITLES = {
    "coco": "COCO's 17 keypoints",
    "h36m": "Human3.6M's 17",
    "humaneva": "HumanEva's 15",
}
_RATES = {"h36m": 50.0, "humaneva": 60.0}  # of the cameras that VideoPose3D was trained on


def load_lifter(
    name: str = "temporal",
    device: str = "auto",
    *,
    dialect: str | None = None,
    keypoints: str = "coco",
    joints: str = "h36m",
) -> Lifter:
    """Make a lifter from weights by name, URL or path.

    Parameters
    ----------
    name
        A name of ``pose3d weights list``, an ``https`` URL, or a file: our own safetensors, or
        VideoPose3D's ``.bin``.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
    dialect
        What a VideoPose3D file's content does not show: ``videopose3d-h36m`` takes Human3.6M's
        keypoints, ``videopose3d-causal`` looks only back, ``videopose3d-h36m-causal`` does both.
    keypoints, joints
        What the lifter will be given and what is wanted: ``coco``, ``h36m`` or ``humaneva``.
        Weights for others are refused; detectors here find COCO's keypoints, and a recording
        holds Human3.6M's joints.

    Raises
    ------
    PoseError
        If the weights cannot be had, are none of a lifter, or do not go with `keypoints` and
        `joints`.

    Examples
    --------
    >>> import pose3d, numpy as np
    >>> lifter = pose3d.load_lifter()                                       # doctest: +SKIP
    >>> t = np.arange(50) / 25                                              # doctest: +SKIP
    >>> out = lifter(keypoints, scores, t, size=(1280, 720))                # doctest: +SKIP
    >>> out.shape                                                           # doctest: +SKIP
    (50, 17, 3)
    """
    for wanted in (keypoints, joints):
        if wanted not in SKELETONS:
            raise UsageError(f"no skeleton is called {wanted!r}: there are {', '.join(SKELETONS)}")
    checkpoint = load(name, kind="lifter", dialect=dialect)
    try:
        declared = _declared(checkpoint)
        takes, gives = declared.pop("keypoints"), declared.pop("joints")
        normalisation, rate = declared.pop("normalisation"), float(declared.pop("rate"))
        if normalisation not in ("person", "image") or not 0 < rate <= MAX_RATE:
            raise ValueError(f"its normalisation is {normalisation!r} at {rate} Hz")
        network = _network(declared, checkpoint)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
        reason = in_a_line(error)
        raise PoseError(f"{name} does not fit its architecture: {reason}") from error
    if takes != keypoints:
        raise UsageError(
            f"{name} lifts {_TITLES[takes]} and would be given {_TITLES[keypoints]}: "
            "take --lifter videopose3d or temporal"
        )
    if gives != joints:
        raise UsageError(
            f"{name} gives {_TITLES[gives]} joints, where {_TITLES[joints]} are wanted: "
            "take --lifter videopose3d or temporal"
        )
    return Lifter(
        network,
        normalisation,
        rate,
        device,
        keypoints=SKELETONS[takes],
        joints=SKELETONS[gives],
    )


def _declared(checkpoint: Checkpoint) -> dict[str, Any]:
    """Arguments of the network, and what it takes, gives, and expects of its input."""
    config = dict(checkpoint.config)
    if checkpoint.family != "videopose3d":
        return {"keypoints": "coco", "joints": "h36m", **config}
    gives = "humaneva" if config["joints_out"] == len(HUMANEVA) else "h36m"
    takes = "humaneva" if config["joints_in"] == len(HUMANEVA) else "coco"
    if "h36m" in checkpoint.dialect:
        takes = "h36m"
    return {
        "inputs": config["joints_in"],
        "features": config["inputs"],
        "outputs": config["joints_out"],
        "filter_widths": config["filter_widths"],
        "channels": config["channels"],
        "causal": checkpoint.dialect.endswith("-causal"),
        "keypoints": takes,
        "joints": gives,
        "normalisation": "image",
        "rate": _RATES[gives],
    }


def _network(config: dict[str, Any], checkpoint: Checkpoint) -> TemporalModel:
    """The network with its tensors; what a file asks for takes no memory before it is checked."""
    widths = config.get("filter_widths", (1,))
    if not all(type(n) is int and n % 2 for n in widths) or not 0 < prod(widths) <= MAX_FIELD:
        raise ValueError("its filters are no lifter's")
    with torch.device("meta"):
        network = TemporalModel(**config)
    # Batch norm counts its batches, which only training needs and not every file has.
    counts = {k: torch.zeros((), dtype=torch.int64) for k in network.state_dict() if "num_" in k}
    tensors = {k: v.float() for k, v in checkpoint.tensors.items() if k not in counts}
    network.load_state_dict({**counts, **tensors}, assign=True)
    return network.requires_grad_(False)
