"""Networks by name: what Detectron found with ``get_func(model_type_func)``."""

from collections.abc import Callable
from typing import Any

from torch import nn

from pose3d.errors import PoseError

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}


def register(builder: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Make a builder known under its own name."""
    _BUILDERS[builder.__name__] = builder
    return builder


def build(name: str, **config: Any) -> nn.Module:
    """Build a network, with random weights.

    Raises
    ------
    PoseError
        If no architecture has that name.
    """
    if name not in _BUILDERS:
        raise PoseError(f"no architecture is called {name!r}; there are {', '.join(_BUILDERS)}")
    return _BUILDERS[name](**config)


@register
def compact(**config: Any) -> nn.Module:
    """MoveNet's body with Keypoint R-CNN heads, for laptops."""
    from pose3d.detect.compact import CompactRCNN

    return CompactRCNN(**config)


@register
def keypoint_rcnn_resnet50_fpn(**config: Any) -> nn.Module:
    """torchvision's Keypoint R-CNN, in which public weights come."""
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    return keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, **config)
