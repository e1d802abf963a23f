"""VideoPose3D's custom data set: ``NAME.videopose3d.npz``, keypoints for its ``run.py``.

Put it into VideoPose3D's ``data`` as ``data_2d_custom_NAME.npz`` and name the video with
``--viz-subject``. Every person is an action: "custom" is the first, "custom 2" the person of
number 2. VideoPose3D knows neither missing keypoints nor times: gaps are bridged in a straight
line, as its own preparation does, and rows are the frames from the person's first to their last.
Both facts that it does not know lie in ``video_metadata``, which it passes over: ``fps``, and
``first_frame`` for every action.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.errors import PoseError
from pose3d.export.settings import Settings
from pose3d.files import replacing
from pose3d.sequence import Keypoints2D, Recording
from pose3d.skeleton import COCO


def write(recording: Recording, path: Path, _settings: Settings) -> tuple[Path, ...]:
    """Write everyone of whom every keypoint was seen at least once."""
    source = recording.meta.get("source", {})
    if not source.get("size"):
        raise PoseError(f"{path}: the recording does not say how large its video is")
    name = source.get("name") or path.stem
    actions: dict[str, list[NDArray[np.float32]]] = {}
    first: dict[str, int] = {}
    for n, person in enumerate(recording.people):
        points = _bridged(person.keypoints)
        if points is not None:
            action = f"custom {person.id}" if n else "custom"
            actions[action], first[action] = [points], int(person.keypoints.frame[0])
    width, height = source["size"]
    video = {"w": width, "h": height, "fps": source.get("fps"), "first_frame": first}
    metadata: dict[str, Any] = {
        "layout_name": "coco",
        "num_joints": len(COCO),
        "keypoints_symmetry": [list(COCO.left), list(COCO.right)],
        "video_metadata": {name: video},
    }
    with replacing(path) as part, open(part, "wb") as file:
        # VideoPose3D reads these two as pickled dictionaries.
        contents = {"positions_2d": {name: actions}, "metadata": metadata}
        np.savez_compressed(file, **{k: np.array(v, object) for k, v in contents.items()})  # type: ignore[arg-type]
    return (path,)


def _bridged(keypoints: Keypoints2D) -> NDArray[np.float32] | None:
    """(T, 17, 2) without gaps; None if there is a keypoint that is never seen."""
    points = keypoints.keypoints.reshape(len(keypoints), -1).copy()
    for column in points.T:
        known = np.isfinite(column)
        if not known.any():
            return None
        column[~known] = np.interp(keypoints.time[~known], keypoints.time[known], column[known])
    return points.reshape(-1, len(COCO), 2)
