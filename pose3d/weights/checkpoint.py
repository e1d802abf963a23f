"""What every reader returns: tensors under common names, and what they are."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pose3d.weights.registry import Kind

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """Weights of one network, whatever file they came from.

    Attributes
    ----------
    kind
        ``detector`` or ``lifter``.
    family
        Who made the file: ``caffe2``, ``detectron2``, ``torchvision``, ``videopose3d``, ``pose3d``.
    dialect
        How the network is to be run where families differ: the family's name, or a variant such as
        ``detectron2-d1``.
    architecture
        ``keypoint_rcnn``, ``temporal``, ``compact`` and so on.
    config
        What the network's builder needs, plain JSON values; for ``keypoint_rcnn`` the fields of
        :class:`~pose3d.weights.keypoint_rcnn.Plan`.
    tensors
        By parameter name, for ``keypoint_rcnn`` torchvision's names.
    metadata
        Anything else that the file says, as text.
    """

    kind: Kind
    family: str
    dialect: str
    architecture: str
    config: dict[str, Any]
    tensors: dict[str, "Tensor"]
    metadata: dict[str, str] = field(default_factory=dict)
