"""Picture files, read as they are displayed."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose3d.errors import PoseError


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture as RGB uint8 (H, W, 3), turned as its EXIF data say.

    Raises
    ------
    PoseError
        If there is no such file, or it is no picture.
    """
    import cv2

    try:
        content = np.fromfile(path, np.uint8)  # imread would not open every name on every system
    except OSError as error:
        raise PoseError(f"{path}: {(error.strerror or 'not readable').lower()}") from None
    try:
        picture = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB) if len(content) else None
    except cv2.error:  # larger than OpenCV is willing to open
        picture = None
    if picture is None:
        raise PoseError(f"{path}: not a picture that can be read")
    return picture  # type: ignore[return-value]


def write_picture(picture: NDArray[np.uint8], path: Path) -> None:
    """Write RGB uint8 (H, W, 3) in the format of the suffix."""
    import cv2

    done, content = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise PoseError(f"{path} cannot be written")
    path.write_bytes(content.tobytes())
