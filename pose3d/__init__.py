"""Video of people in, their motion in 3D out.

>>> import pose3d
>>> recording = pose3d.infer("walk.mp4")                        # doctest: +SKIP
>>> recording.people[0].pose.joints.shape                       # doctest: +SKIP
(230, 17, 3)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pose3d.batch import infer_many
    from pose3d.detect import Detector, load_detector
    from pose3d.errors import PoseError, UsageError
    from pose3d.lift import Lifter, load_lifter
    from pose3d.pipeline import Options, infer, load
    from pose3d.progress import Progress
    from pose3d.sequence import Keypoints2D, People, Person, Pose3D, Recording
    from pose3d.skeleton import COCO, H36M, Skeleton
    from pose3d.weights import available_weights

__version__ = "0.1.0"

# Modules are imported when one of their names is first asked for: torch takes seconds.
_MODULES = {
    "pose3d.batch": ("infer_many",),
    "pose3d.detect": ("Detector", "load_detector"),
    "pose3d.errors": ("PoseError", "UsageError"),
    "pose3d.lift": ("Lifter", "load_lifter"),
    "pose3d.pipeline": ("Options", "infer", "load"),
    "pose3d.progress": ("Progress",),
    "pose3d.sequence": ("Keypoints2D", "People", "Person", "Pose3D", "Recording"),
    "pose3d.skeleton": ("COCO", "H36M", "Skeleton"),
    "pose3d.weights": ("available_weights",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "COCO",
    "H36M",
    "Detector",
    "Keypoints2D",
    "Lifter",
    "Options",
    "People",
    "Person",
    "Pose3D",
    "PoseError",
    "Progress",
    "Recording",
    "Skeleton",
    "UsageError",
    "__version__",
    "available_weights",
    "infer",
    "infer_many",
    "load",
    "load_detector",
    "load_lifter",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pose3d' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
