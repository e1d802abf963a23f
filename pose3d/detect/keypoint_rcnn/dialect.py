"""What the families of Keypoint R-CNN do differently, found by running the original programs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from pose3d.detect.keypoint_rcnn import anchors
from pose3d.detect.keypoint_rcnn.resize import Resize, Triple, opencv, pillow, torchvision
from pose3d.weights.keypoint_rcnn import Plan

ANY = -float("inf")
NOT_EMPTY = 1e-37  # float32 holds hardly less above zero


@dataclass(frozen=True)
class Dialect:
    """How a family runs the network.

    Attributes
    ----------
    resize
        From a picture to the network's input, see :mod:`~pose3d.detect.keypoint_rcnn.resize`.
    resizes_anywhere
        Whether that takes tensors as well, and works on the device that they are on.
    mean, std
        Of the input's channels.
    cell_anchors
        A cell's anchors from the level's stride and size.
    stride_of_input
        Whether a map's stride is the input's side over the map's, rounded down, which at the
        coarsest level is not always 64.
    extent
        What a box's sides are longer than the difference of its corners.
    clipped_to_padding
        Whether proposals may lie in the input's padding.
    ranked_by_probability
        Whether proposals are chosen by the sigmoid of their logits, which in float32 has ties.
    ordered_by_probability
        The same, for the order in which those that were chosen suppress each other.
    min_side
        How long the sides of boxes must be, `extent` apart: of proposals, of detections before
        suppression, and of detections in the end. Below zero a box may be inside out.
    inclusive
        Whether suppression begins at its threshold.
    aligned, sampling
        Of RoIAlign; 0 samples are as many as there are pixels.
    level_guard
        Added within and after the logarithm of the rule for pyramid levels.
    decoded_in_picture
        Whether final boxes and keypoints are found in the picture's own pixels, else in those of
        the network's input.
    cells_of_map
        Whether a keypoint's probability is its share of the 56 x 56 map's cells, else of the
        pixels of its box.
    scored_by_logit
        Whether the family scores keypoints by the map's maximum itself, else by that probability.
    """

    resize: Resize
    mean: Triple
    std: Triple
    cell_anchors: Callable[[int, int], Tensor]
    resizes_anywhere: bool = False
    stride_of_input: bool = False
    extent: float = 0.0
    clipped_to_padding: bool = False
    ranked_by_probability: bool = False
    ordered_by_probability: bool = False
    min_side: tuple[float, float, float] = (NOT_EMPTY, ANY, NOT_EMPTY)
    inclusive: bool = False
    aligned: bool = False
    sampling: int = 2
    level_guard: tuple[float, float] = (1e-8, 0.0)
    decoded_in_picture: bool = False
    cells_of_map: bool = True
    scored_by_logit: bool = False


DETECTRON2 = Dialect(
    resize=pillow,
    mean=(103.530, 116.280, 123.675),
    std=(1.0, 1.0, 1.0),
    cell_anchors=anchors.exact,
    aligned=True,
    sampling=0,
)

DETECTRON = Dialect(
    resize=opencv,
    mean=(102.9801, 115.9465, 122.7717),
    std=(1.0, 1.0, 1.0),
    cell_anchors=anchors.of_pixels,
    extent=1.0,
    clipped_to_padding=True,
    ranked_by_probability=True,
    ordered_by_probability=True,
    min_side=(0.0, ANY, ANY),
    inclusive=True,
    level_guard=(1e-6, 0.0),
    decoded_in_picture=True,
    cells_of_map=False,
    scored_by_logit=True,
)

TORCHVISION = Dialect(
    resize=torchvision,
    resizes_anywhere=True,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    cell_anchors=anchors.rounded,
    stride_of_input=True,
    ordered_by_probability=True,
    min_side=(1e-3, 1e-2, ANY),
    level_guard=(0.0, 1e-6),
    scored_by_logit=True,
)

DIALECTS = {
    "detectron2": DETECTRON2,
    "detectron2-d1": replace(DETECTRON2, aligned=False, sampling=2),
    "caffe2": DETECTRON,
    "torchvision": TORCHVISION,
}

_RESNEXT_STD = (57.375, 57.120, 58.395)  # of detectron2's configurations of X-101


def dialect_of(name: str, plan: Plan) -> Dialect:
    """The dialect called `name`, for a network of `plan`."""
    dialect = DIALECTS[name]
    if name.startswith("detectron2") and plan.groups > 1:
        return replace(dialect, std=_RESNEXT_STD)
    return dialect
