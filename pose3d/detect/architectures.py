"""Networks by name: what Detectron found with ``get_func(model_type_func)``."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pose3d.choices import SHORT_SIDES
from pose3d.detect.base import PeopleFinder
from pose3d.detect.detector import Detector
from pose3d.errors import PoseError, UsageError, in_a_line
from pose3d.weights.checkpoint import Checkpoint

if TYPE_CHECKING:
    from pose3d.detect.compact import CompactRCNN

MAX_WIDTH = 1024  # of any layer of our own networks; a file could ask for all memory


def build(name: str, **config: Any) -> "CompactRCNN":
    """Build a network of our own, with random weights, for training.

    Raises
    ------
    PoseError
        If no architecture has that name.
    """
    if name != "compact":
        raise PoseError(f"no architecture to train is called {name!r}; there is compact")
    from pose3d.detect.compact import CompactRCNN

    return CompactRCNN(**config)


def detector(checkpoint: Checkpoint, short_side: int | None = None, **options: Any) -> PeopleFinder:
    """Make a detector of weights that have been read.

    Parameters
    ----------
    checkpoint
        Of any family; its tensors are taken over.
    short_side
        Of the network's input; None for what the weights were made for, and of our own for a size
        that follows the people.
    options
        ``device``, ``precision``, ``engine``, ``min_score``, ``max_people``.

    Raises
    ------
    PoseError
        If this version knows no such network, or the tensors do not fit it.
    """
    if checkpoint.architecture not in _DETECTORS:
        raise PoseError(
            f"the weights are of the network {checkpoint.architecture[:40]!r}, which this version "
            f"does not know: it knows {', '.join(_DETECTORS)}"
        )
    if short_side is not None:
        low, high = SHORT_SIDES
        if not low <= short_side <= high:
            raise UsageError(f"a short side of {short_side} is not {low} to {high} pixels")
        options["short_side"] = short_side
    return _DETECTORS[checkpoint.architecture](checkpoint, options)


def _compact(checkpoint: Checkpoint, options: dict[str, Any]) -> PeopleFinder:
    """MoveNet's body with Keypoint R-CNN heads, for laptops."""
    config, metadata = checkpoint.config, checkpoint.metadata
    try:
        if not all(type(n) is int and 0 < n <= MAX_WIDTH for n in config.values()):
            raise ValueError("a width is no number of channels")
        network = build("compact", **config)
        tensors = checkpoint.tensors.items()
        network.load_state_dict({k: v.float() for k, v in tensors})
        calibration = np.array(json.loads(metadata["calibration"]), np.float32)
        if calibration.shape != (17, 2) or not np.isfinite(calibration).all():
            raise ValueError("the calibration is not 17 slopes and intercepts")
        side = _side(metadata["short_side"])
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
        reason = in_a_line(error)
        raise PoseError(f"the weights do not fit the compact network: {reason}") from error
    fixed = "short_side" in options
    return Detector(network, calibration, **{"short_side": side, "adapts": not fixed, **options})


def _keypoint_rcnn(checkpoint: Checkpoint, options: dict[str, Any]) -> PeopleFinder:
    """Public weights: detectron2, Caffe2 Detectron, torchvision."""
    from pose3d.detect.keypoint_rcnn import build as build_public
    from pose3d.detect.keypoint_rcnn.detector import KeypointRCNNDetector

    if options.pop("engine", "auto") == "openvino":
        raise UsageError("public weights run with torch alone: leave --engine out")
    if "short_side" in checkpoint.metadata:  # of weights that were fine-tuned at a size
        try:
            options = {"short_side": _side(checkpoint.metadata["short_side"]), **options}
        except ValueError as error:
            raise PoseError(f"the weights are damaged: {error}") from error
    return KeypointRCNNDetector(build_public(checkpoint), **options)


def _side(text: str) -> int:
    """The short side that weights were made for, pixels."""
    side, (low, high) = int(text), SHORT_SIDES
    if not low <= side <= high:
        raise ValueError(f"its short side is {side} pixels")
    return side


_DETECTORS: dict[str, Callable[[Checkpoint, dict[str, Any]], PeopleFinder]] = {
    "compact": _compact,
    "keypoint_rcnn": _keypoint_rcnn,
}
