"""Picture files, read as they are displayed."""

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose3d import limits
from pose3d.errors import PoseError
from pose3d.parse import read_bytes


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture as RGB uint8 (H, W, 3), turned as its EXIF data say.

    Raises
    ------
    PoseError
        If there is no such file, or it is no picture, or too large a one.
    """
    import cv2

    try:
        # imread would not open every name on every system
        content = read_bytes(path, limits.PICTURE_BYTES)
    except OSError as error:
        raise PoseError(f"{path}: {(error.strerror or 'not readable').lower()}") from None
    try:
        _check_size(path, content)
        numbers = np.frombuffer(content, np.uint8)
        picture = cv2.imdecode(numbers, cv2.IMREAD_COLOR_RGB) if content else None
    except cv2.error:
        picture = None
    if picture is None:
        raise PoseError(f"{path}: not a picture that can be read")
    return picture  # type: ignore[return-value]


def _check_size(path: Path, content: bytes) -> None:
    """Refuse pictures that would fill the memory; OpenCV opens some of three gigabytes.

    What Pillow cannot tell the size of is left to OpenCV, which reads fewer formats.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as picture:
            warnings.simplefilter("ignore")
            size = picture.size
    except Image.DecompressionBombError:
        size = limits.PICTURE_PIXELS, 2
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, RuntimeError, EOFError):
        return
    if size[0] * size[1] > limits.PICTURE_PIXELS:
        raise PoseError(
            f"{path}: pictures of over {limits.PICTURE_PIXELS >> 20} million pixels "
            "are too large: make it smaller"
        )


def write_picture(picture: NDArray[np.uint8], path: Path) -> None:
    """Write RGB uint8 (H, W, 3) in the format of the suffix."""
    import cv2

    done, content = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise PoseError(f"{path} cannot be written")
    path.write_bytes(content.tobytes())
