"""Stage 1: people and their keypoints in pictures."""

from pose3d.detect.base import PeopleFinder
from pose3d.detect.detector import Detector, load_detector

__all__ = ["Detector", "PeopleFinder", "load_detector"]
