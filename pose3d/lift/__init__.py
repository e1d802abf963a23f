"""Stage 2: keypoints over time to joints in space."""

from pose3d.lift.lifter import Lifter, default_intrinsics
from pose3d.lift.load import load_lifter

__all__ = ["Lifter", "default_intrinsics", "load_lifter"]
