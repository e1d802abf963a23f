"""Stage 1: people and their keypoints in pictures."""

from pose3d.detect.base import PeopleFinder
from pose3d.detect.detector import Detector
from pose3d.detect.load import load_detector

__all__ = ["Detector", "PeopleFinder", "load_detector"]
