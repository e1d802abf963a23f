"""Weights: which there are, where they lie, and how they are read."""

from pose3d.weights.checksum import sha256
from pose3d.weights.locate import find
from pose3d.weights.native import load_safetensors
from pose3d.weights.registry import Weights, available_weights

__all__ = ["Weights", "available_weights", "find", "load_safetensors", "sha256"]
