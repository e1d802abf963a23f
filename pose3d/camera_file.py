"""Files of calibrated cameras: our own, OpenCV's, Pose2Sim's, Qualisys'."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from pose3d import limits
from pose3d.errors import PoseError, in_a_line
from pose3d.parse import from_json, from_toml, read_bytes
from pose3d.weights import sha256

SUBPIXELS = 64  # Qualisys counts in these
QUALISYS_DISTORTION = (  # in OpenCV's order
    "radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2",
    "radialDistortion3",
)  # fmt: skip
UNREADABLE = (
    ValueError, KeyError, TypeError, AttributeError, OverflowError, ElementTree.ParseError,
)  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """A camera as a file has it, unchecked: `matrix` (3, 3), `distortion` (N,) and `size`."""

    matrix: NDArray[np.float64]
    distortion: NDArray[np.float64]
    size: Any


def calibration(path: str | PathLike[str]) -> Calibration:
    """The camera of a file; ``FILE:NAME`` chooses one of several.

    Raises
    ------
    PoseError
        If the file cannot be read, or holds no camera or several.
    """
    file, name = _split(path)
    cameras = _cameras(file)
    if name is None and len(cameras) == 1:
        name = next(iter(cameras))
    if name is None or name not in cameras:
        names = ", ".join(name[:40] for name in sorted(cameras)[:10]) or "none"
        raise PoseError(f"{file} holds the cameras {names}: choose one with {file}:NAME")
    return cameras[name]


def fingerprint(path: str | PathLike[str]) -> str:
    """What tells one camera file from another: its name, and the beginning of its SHA-256.

    Raises
    ------
    PoseError
        If it cannot be read.
    """
    file, name = _split(path)
    try:
        digest = sha256(file)[:12]
    except OSError as error:
        raise PoseError(f"{file} cannot be read: {error.strerror or error}") from error
    return f"{file.name}{f':{name}' if name else ''} {digest}"


def _split(path: str | PathLike[str]) -> tuple[Path, str | None]:
    """File and name of ``FILE:NAME``."""
    whole = Path(path)
    if whole.exists() or ":" not in whole.name:
        return whole, None
    file, _, name = str(path).rpartition(":")
    return Path(file), name


def _cameras(path: Path) -> dict[str, Calibration]:
    """Every camera of a file by name."""
    try:
        text = read_bytes(path, limits.CAMERA_BYTES).decode("utf-8-sig")
        if path.name.lower().endswith(".qca.txt") or text.lstrip().startswith("<"):
            return _qualisys(text)
        values = from_toml(text) if path.suffix.lower() == ".toml" else from_json(text)
        return _tables(values)
    except OSError as error:
        raise PoseError(f"{path} cannot be read: {error.strerror or error}") from error
    except UNREADABLE as error:
        reason = in_a_line(error, 100)
        raise PoseError(f"{path} is no camera file that can be read ({reason})") from error


def _tables(values: dict[str, Any]) -> dict[str, Calibration]:
    """Cameras of a TOML or JSON: one on its own, or one a table."""
    alone = _table(values)
    if alone is not None:
        return {"camera": alone}
    inner = [(name, _table(part)) for name, part in values.items() if isinstance(part, dict)]
    found = {}
    for name, table in inner:
        if table is not None:
            label = values[name].get("name")
            found[label if isinstance(label, str) else name] = table
    return found


def _table(values: dict[str, Any]) -> Calibration | None:
    matrix = _first(values, "K", "matrix", "camera_matrix", "intrinsics")
    if matrix is None:
        return None
    if values.get("fisheye"):
        raise ValueError("a fisheye lens, which is not supported")
    size = _first(values, "size", "image_size")
    if isinstance(size, list):  # whole numbers beyond all floats are refused here
        size = [float(side) if type(side) is int else side for side in size]
    distortion = _first(values, "distortion", "distortions", "dist", "distortion_coefficients")
    return Calibration(
        np.array(_data(matrix), float).reshape(3, 3),
        np.array(_data(distortion) if distortion is not None else [], float).ravel(),
        size,
    )


def _data(value: Any) -> Any:
    """OpenCV's own files put the numbers of a matrix under ``data``."""
    return value["data"] if isinstance(value, dict) else value


def _first(values: dict[str, Any], *names: str) -> Any:
    return next((values[name] for name in names if name in values), None)


def _qualisys(text: str) -> dict[str, Calibration]:
    """Cameras of a Qualisys calibration, by serial number; lengths are 64ths of a pixel."""
    if "<!" in text.replace("<!--", ""):
        raise ValueError("document types are not read")
    found: dict[str, Calibration] = {}
    for camera in ElementTree.fromstring(text).iter("camera"):
        inner, view = camera.find("intrinsic"), camera.find("fov_video")
        if inner is None:
            continue

        def number(name: str, inner: ElementTree.Element = inner) -> float:
            return float(inner.attrib[name])

        left = top = 0.0
        size = [round((number(f"sensorMax{axis}") + 1) / SUBPIXELS) for axis in "UV"]
        if view is not None:
            left, top, right, bottom = (
                float(view.attrib[side]) for side in ("left", "top", "right", "bottom")
            )
            size = [round(right - left + 1), round(bottom - top + 1)]
        matrix = np.array(
            [
                [number("focalLengthU"), 0, number("centerPointU") - SUBPIXELS * left],
                [0, number("focalLengthV"), number("centerPointV") - SUBPIXELS * top],
                [0, 0, SUBPIXELS],
            ]
        )
        name = camera.get("serial", str(len(found)))
        distortion = np.array([number(coefficient) for coefficient in QUALISYS_DISTORTION])
        found[name] = Calibration(matrix / SUBPIXELS, distortion, size)
    return found
