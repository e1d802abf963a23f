"""Public Keypoint R-CNN weights: one network, and as data what their families do differently."""

from pose3d.detect.keypoint_rcnn.dialect import Dialect, dialect_of
from pose3d.detect.keypoint_rcnn.network import Detections, KeypointRCNN, build

__all__ = ["Detections", "Dialect", "KeypointRCNN", "build", "dialect_of"]
