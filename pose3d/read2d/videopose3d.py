"""VideoPose3D's ``data_2d_custom_NAME.npz``, whose two arrays are pickled dictionaries.

They are read by a machine that knows plain containers and arrays of numbers only
(:mod:`pose3d.weights.unpickle`), so that a file cannot run anything.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d import limits, npz
from pose3d.errors import PoseError
from pose3d.read2d.found import Found, Seen
from pose3d.read2d.joints import H36M_LAYOUT
from pose3d.skeleton import COCO
from pose3d.weights.arrays import NUMPY_NAMES, Array, DType, Reader
from pose3d.weights.unpickle import MalformedError, Names, StandIn, load

LAYOUTS = {"coco": COCO.names, "h36m": H36M_LAYOUT}


class _Objects(StandIn):
    """The type of an array of objects."""

    def fill(self, state: Any) -> None:
        """Take numpy's state, which says nothing of interest."""


class _Cell(Array):
    """An array of numbers, or one of a single object."""

    content: Any = None

    def fill(self, state: Any) -> None:
        """Take numpy's state."""
        if type(state) is tuple and len(state) == 5 and isinstance(state[2], _Objects):
            if type(state[4]) is not list or len(state[4]) != 1:
                raise MalformedError("holds an array of several objects")
            self.content = state[4][0]
        else:
            super().fill(state)


def _dtype(code: Any, *more: Any) -> StandIn:
    return _Objects() if code in ("O8", "O", b"O8", b"O") else DType(code, *more)


def _cell(_cls: Any, shape: Any, _code: Any) -> _Cell:
    if shape != (0,):
        raise MalformedError("makes an array before it shows its numbers")
    return _Cell()


NAMES: Names = {
    **NUMPY_NAMES,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": _cell,
    "numpy._core.multiarray._reconstruct": _cell,
}


def read(archive: npz.Archive, path: Path) -> Found:
    """The one video of a file; its actions are people.

    Raises
    ------
    PoseError
        If the file is damaged, holds what no such file needs, or several videos.
    """
    try:
        metadata, _ = _object(archive, "metadata")
        positions, reader = _object(archive, "positions_2d")
        return _found(metadata, positions, reader)
    except MalformedError as error:
        raise PoseError(f"{path} {error}") from None
    except ValueError as error:
        raise PoseError(f"{path} is no file of VideoPose3D ({error})") from None


def _object(archive: npz.Archive, name: str) -> tuple[Any, Reader]:
    """The dictionary in an archive's array, and what reads the arrays of numbers in it."""
    with archive.opened(name) as (member, _):
        data = member.read()
    file = io.BytesIO(data)
    if npz.read_header(file).dtype is not None:
        raise MalformedError(f"holds {name} that is no dictionary")
    cell = load(file, NAMES, end=len(data))
    return cell.content if isinstance(cell, _Cell) else cell, Reader(file, len(data))


def _found(metadata: Any, positions: Any, reader: Reader) -> Found:
    metadata, positions = _mapping(metadata), _mapping(positions)
    layout = metadata.get("layout_name")
    if layout not in LAYOUTS:
        raise MalformedError(f"is of a layout that is none of {', '.join(LAYOUTS)}")
    if len(positions) != 1:
        some = ", ".join(str(name)[:40] for name in list(positions)[:5])
        raise MalformedError(f"holds {len(positions)} videos ({some}): one to a file can be read")
    ((name, actions),) = positions.items()
    video = _mapping(_mapping(metadata.get("video_metadata", {})).get(name, {}))
    first = _mapping(video.get("first_frame", {}))
    seen: list[Seen] = []
    for number, (action, cameras) in enumerate(_mapping(actions).items(), 1):
        if not isinstance(cameras, list) or len(cameras) != 1:
            raise MalformedError("holds views of several cameras: one can be read")
        points = _points(cameras[0], reader, len(LAYOUTS[layout]))
        start = first.get(action, 0)
        if type(start) is not int or not 0 <= start < limits.FRAMES:
            raise MalformedError("holds a first frame that is none")
        scores = np.ones(points.shape[1])
        known = np.flatnonzero(np.isfinite(points).all((1, 2)))
        seen += [Seen(start + int(n), points[n], scores, number) for n in known]
    size, fps = (video.get("w"), video.get("h")), video.get("fps")
    return Found(
        "videopose3d",
        LAYOUTS[layout],
        seen,
        size=size if all(type(n) is int and 0 < n < limits.SIDE for n in size) else None,  # type: ignore[arg-type]
        fps=fps if type(fps) is float and 0 < fps < limits.RATE else None,
    )


def _points(array: Any, reader: Reader, joints: int) -> NDArray[np.float64]:
    if not isinstance(array, Array) or len(array.shape) != 3 or array.dtype.kind != "f":
        raise MalformedError("holds keypoints that are no array of numbers")
    if array.shape[1] != joints or array.shape[2] not in (2, 3):
        raise MalformedError(f"holds keypoints of shape {array.shape}, not (frames, {joints}, 2)")
    numbers: NDArray[Any] = reader(array).numpy()
    return numbers[..., :2].astype(float)


def _mapping(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise MalformedError("holds something else where a dictionary is needed")
    return value
