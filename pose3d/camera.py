"""The camera: where a pixel looks, from a file, an option, the video's own words or a guess."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.camera_file import Calibration, calibration, fingerprint
from pose3d.decode import opened
from pose3d.errors import PoseError, UsageError

__all__ = ["Camera", "choose_camera", "fingerprint", "lens_metadata", "read_camera"]

FIELDS_OF_VIEW = (5.0, 160.0)  # degrees over the longer side that --fov may be
FOCAL_LENGTHS = (0.08, 12.0)  # of the longer side, the same angles
FILM_WIDTH = 36.0  # millimetres: what a focal length "as on 35 mm film" refers to
COEFFICIENTS = (0, 4, 5, 8, 12, 14)  # how many distortion may have, as OpenCV has it

FILM_KEYS = re.compile(r"focal.?length.*35.?mm|35.?mm.*focal.?length", re.IGNORECASE)


@dataclass(frozen=True)
class Camera:
    """A lens before a sensor.

    Attributes
    ----------
    matrix
        (3, 3) float64, pixels of the displayed picture.
    distortion
        (N,) float64 in OpenCV's order (k1, k2, p1, p2, k3, ...); empty without any.
    size
        Width and height of the picture.
    source
        ``assumed``, ``metadata``, ``option`` or ``file``.

    Notes
    -----
    The model is OpenCV's: https://docs.opencv.org/4.x/d9/d0c/group__calib3d.html. Its pixels have
    their origin in the middle of the first pixel, ours in its outer corner; half a pixel is less
    than a calibration knows.
    """

    matrix: NDArray[np.float64]
    distortion: NDArray[np.float64]
    size: tuple[int, int]
    source: str

    def rays(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pixels (..., 2) to the plane z = 1, distortion removed; NaN stays NaN."""
        points = np.asarray(points, float)
        if not self.distortion.any():
            focal = self.matrix[[0, 1], [0, 1]]
            rays = (points - self.matrix[:2, 2]) / focal
            rays[..., 0] -= self.matrix[0, 1] / focal[0] * rays[..., 1]
            return rays
        import cv2

        flat = points.reshape(-1, 1, 2)
        known = ~np.isnan(flat[:, 0, 0])
        rays = np.full((len(flat), 2), np.nan)
        if known.any():
            enough = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 40, 1e-8)
            found = cv2.undistortPoints(flat[known], self.matrix, self.distortion, criteria=enough)
            rays[known] = found[:, 0]
        return rays.reshape(points.shape)

    def straight(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pixels (..., 2) where a lens without distortion would have put them."""
        if not self.distortion.any():
            return np.asarray(points, float)
        rays = self.rays(points)
        return rays @ self.matrix[:2, :2].T + self.matrix[:2, 2]

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pixels (..., 2) at which points (..., 3) of the camera frame are seen."""
        import cv2

        flat = np.asarray(points, float).reshape(-1, 3)
        known = ~np.isnan(flat[:, 0])
        pixels = np.full((len(flat), 2), np.nan)
        if known.any():
            found, _ = cv2.projectPoints(
                flat[known], np.zeros(3), np.zeros(3), self.matrix, self.distortion
            )
            pixels[known] = found[:, 0]
        return pixels.reshape(*np.shape(points)[:-1], 2)

    def facts(self) -> dict[str, Any]:
        """The camera as the file of a recording holds it."""
        return {
            "K": self.matrix.tolist(),
            "distortion": self.distortion.tolist() or None,
            "size": list(self.size),
            "assumed": self.source == "assumed",
            "source": self.source,
        }


def check_camera(
    fov: float | None, focal_length: float | None, file: str | PathLike[str] | None
) -> None:
    """Refuse what can be no camera whatever the picture's size; as for :func:`choose_camera`.

    Raises
    ------
    UsageError
        If more than one is given, or an angle or length that no camera has.
    """
    given = {"--fov": fov, "--focal-length": focal_length, "--camera": file}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} say the same: give one")
    low, high = FIELDS_OF_VIEW
    if fov is not None and not low <= fov <= high:
        raise UsageError(f"no camera sees {fov:g} degrees: give a --fov from {low:g} to {high:g}")
    if focal_length is not None and not focal_length > 0:
        raise UsageError(
            f"no camera has a focal length of {focal_length:g} pixels: give more than 0, or the "
            "angle with --fov"
        )


def choose_camera(
    size: tuple[int, int],
    *,
    fov: float | None = None,
    focal_length: float | None = None,
    file: str | PathLike[str] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Camera:
    """The camera that is given, else what the video says, else a common one.

    Parameters
    ----------
    size
        Width and height of the picture.
    fov
        Field of view over the longer side, degrees.
    focal_length
        In pixels.
    file
        As for :func:`read_camera`.
    metadata
        Of the video's container; a focal length as on 35 mm film is used.

    Raises
    ------
    UsageError
        If more than one is given, or an angle or length that no camera has.
    PoseError
        If the file cannot be read.
    """
    check_camera(fov, focal_length, file)
    if file is not None:
        return read_camera(file, size)
    if fov is not None:
        return _simple(max(size) / 2 / np.tan(np.radians(fov) / 2), size, "option")
    if focal_length is not None:
        low, high = (share * max(size) for share in FOCAL_LENGTHS)
        if not low <= focal_length <= high:
            raise UsageError(
                f"a focal length of {focal_length:g} pixels fits no picture of"
                f" {size[0]} x {size[1]}: give {low:.0f} to {high:.0f}, or the angle with --fov"
            )
        return _simple(focal_length, size, "option")
    film = film_focal_length(metadata or {})
    if film is not None:
        return _simple(film / FILM_WIDTH * max(size), size, "metadata")
    from pose3d.lift import default_intrinsics

    return Camera(default_intrinsics(size), np.zeros(0), size, "assumed")


def _simple(focal: float, size: tuple[int, int], source: str) -> Camera:
    """A camera without distortion that looks at the middle of the picture."""
    width, height = size
    matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(matrix, np.zeros(0), size, source)


def film_focal_length(metadata: Mapping[str, str]) -> float | None:
    """Focal length as on 35 mm film, millimetres, where a container or EXIF says it.

    Phones write it as ``com.apple.quicktime.camera.focal_length.35mm_equivalent``, cameras as
    EXIF's ``FocalLengthIn35mmFilm``.
    """
    for key, value in metadata.items():
        if FILM_KEYS.search(key):
            try:
                length = float(value)
            except ValueError:
                continue
            if FOCAL_LENGTHS[0] * FILM_WIDTH <= length <= FOCAL_LENGTHS[1] * FILM_WIDTH:
                return length
    return None


def lens_metadata(path: str | PathLike[str]) -> dict[str, str]:
    """What a video's container says about its focal length as on 35 mm film; {} for nothing."""
    import av

    try:
        with opened(Path(path)) as (container, _):
            said = dict(container.metadata)
            for stream in container.streams.video:
                said |= stream.metadata
    except (PoseError, OSError, ValueError, av.FFmpegError):
        return {}
    return {key: value for key, value in said.items() if FILM_KEYS.search(key)}


def read_camera(path: str | PathLike[str], size: tuple[int, int]) -> Camera:
    """A calibrated camera from a file.

    Parameters
    ----------
    path
        TOML or JSON with ``K`` (also ``matrix`` or ``camera_matrix``), ``distortion`` (also
        ``distortions`` or ``dist``) and ``size``; a ``Calib.toml`` of Pose2Sim and Sports2D; or
        Qualisys' ``.qca.txt``. Of several cameras in one file, ``FILE:NAME`` chooses.
    size
        Width and height of the picture. A calibration of the same shape but another size is
        scaled.

    Raises
    ------
    PoseError
        If the file cannot be read, holds no camera or several, or one of another shape.
    """
    return _fitted(calibration(path), size, str(path))


def _fitted(found: Calibration, size: tuple[int, int], path: str) -> Camera:
    """A camera of a file for pictures of `size`."""
    matrix, distortion = found.matrix, found.distortion
    if len(distortion) not in COEFFICIENTS or not np.isfinite(distortion).all():
        raise PoseError(
            f"{path}: {len(distortion)} distortion coefficients: OpenCV has 4, 5, 8, 12 or 14"
        )
    focal = matrix[[0, 1], [0, 1]]
    below = np.abs(matrix[2] - [0, 0, 1]).max()
    if not np.isfinite(matrix).all() or (focal <= 0).any() or below > 1e-6:
        raise PoseError(f"{path}: the matrix is none of a camera (fx, 0, cx; 0, fy, cy; 0, 0, 1)")
    if found.size is not None:
        try:
            width, height = (float(side) for side in found.size)
        except (TypeError, ValueError):
            raise PoseError(f"{path}: a size is two numbers, width and height") from None
        scale = np.array([size[0] / max(width, 1), size[1] / max(height, 1)])
        if abs(scale[0] / scale[1] - 1) > 0.02:
            raise PoseError(
                f"{path} is of pictures of {width:g} x {height:g}, the video has"
                f" {size[0]} x {size[1]}: calibrate at the video's shape, or give --fov"
            )
        matrix = np.diag([*scale, 1]) @ matrix
    low, high = (share * max(size) for share in FOCAL_LENGTHS)
    if not low <= matrix[0, 0] <= high:
        raise PoseError(
            f"{path}: a focal length of {matrix[0, 0]:g} pixels fits no picture of"
            f" {size[0]} x {size[1]}"
        )
    return Camera(matrix, distortion, size, "file")
