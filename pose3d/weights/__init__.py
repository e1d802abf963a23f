"""Weights: which there are, where they lie, and how they are read."""

from typing import TYPE_CHECKING, Any

from pose3d.weights.cache import cache_folder
from pose3d.weights.checkpoint import Checkpoint
from pose3d.weights.checksum import sha256
from pose3d.weights.convert import convert
from pose3d.weights.defaults import default, set_default
from pose3d.weights.locate import find, load, obtain, place, resolve
from pose3d.weights.native import load_safetensors
from pose3d.weights.registry import Weights, available_weights
from pose3d.weights.verify import verify

if TYPE_CHECKING:
    from pose3d.weights.formats import read

__all__ = [
    "Checkpoint",
    "Weights",
    "available_weights",
    "cache_folder",
    "convert",
    "default",
    "find",
    "load",
    "load_safetensors",
    "obtain",
    "place",
    "read",
    "resolve",
    "set_default",
    "sha256",
    "verify",
]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is asked for."""
    if name == "read":
        from pose3d.weights.formats import read

        return read
    raise AttributeError(name)
