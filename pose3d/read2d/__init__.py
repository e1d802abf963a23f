"""Keypoints that other tools found: their files become recordings that can be lifted.

The format is recognised by what a file holds. Joints become COCO's 17, by name. People are who
the file says they are, or are followed from frame to frame where it does not say.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose3d import limits, npz
from pose3d.errors import PoseError, UsageError
from pose3d.sequence import SCHEMA, Recording

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pose3d.read2d.found import Found

FORMATS = ("alphapose", "coco", "mediapipe", "mmpose", "openpose", "videopose3d")


def read(
    path: Path | str,
    *,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    form: str | None = None,
) -> Recording:
    """A recording of another tool's 2D keypoints.

    Parameters
    ----------
    path
        A file, or OpenPose's folder.
    fps
        Frames a second, where the file does not say.
    size
        Width and height of the picture, where the file does not say.
    form
        One of :data:`FORMATS`; by what the file holds if it is not given.

    Raises
    ------
    PoseError
        If the file is missing, damaged, unknown, or does not say what is needed; the message
        names it.
    UsageError
        If there is no such format, or `fps` or `size` mean nothing.

    Examples
    --------
    >>> read("alphapose-results.json", fps=25, size=(1920, 1080))      # doctest: +SKIP
    """
    from pose3d import __version__
    from pose3d.read2d.found import people_of

    path = Path(path)
    if form is not None and form not in FORMATS:
        raise UsageError(f"there is no format {form!r}: there are {', '.join(FORMATS)}")
    if fps is not None and not 0 < fps < limits.RATE:
        raise UsageError(f"{fps} frames a second are none")
    try:
        found = _found(path, size, form)
        digest = _digest(path)
    except FileNotFoundError:
        raise PoseError(f"{path}: no such file") from None
    except OSError as error:
        raise PoseError(f"{path} cannot be read: {error.strerror or error}") from error
    rate = fps or found.fps or _rate(found.times)
    picture = size or found.size
    missing = [] if rate else ["how many frames there are in a second (--fps 30)"]
    missing += [] if picture else ["how large the picture is (--size 1920x1080)"]
    if missing or rate is None or picture is None:
        raise PoseError(f"{path} does not say {' nor '.join(missing)}")
    people, frames = people_of(found, path, rate)
    source = {
        "name": path.name,
        "sha256": digest,
        "format": found.form,
        "size": list(picture),
        "fps": rate,
        "frames": frames,
    }
    meta: dict[str, Any] = {
        "schema": SCHEMA,
        "tool": {"name": "pose3d", "version": __version__},
        "source": source,
        "options": {"fps": rate, "size": list(picture), "format": found.form},
        "steps": ["detect", "track"],
    }
    return Recording(meta, people)


def is_openpose(folder: Path) -> bool:
    """Whether a folder holds OpenPose's files, and so is one input."""
    from pose3d.read2d.json_files import openpose_files

    return folder.is_dir() and bool(openpose_files(folder))


def is_recording(path: Path) -> bool:
    """Whether a file is a recording of pose3d's own, as far as can be told without reading it."""
    try:
        with npz.opened(path) as archive:
            return "meta" in archive
    except (OSError, npz.DamagedError):
        return path.name.endswith(".pose3d.npz")


def _found(path: Path, size: tuple[int, int] | None, form: str | None) -> "Found":
    from pose3d.read2d import json_files, mediapipe
    from pose3d.read2d.mistaken import own_json

    if path.is_dir():
        if not is_openpose(path) or form not in (None, "openpose"):
            raise PoseError(f"{path} holds no files like walk_000000000000_keypoints.json")
        return json_files.read_openpose(path)
    if path.exists() and not path.is_file():
        raise PoseError(f"{path} is neither a file nor a folder")
    with open(path, "rb") as file:
        begin = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    if begin.startswith(b"PK"):
        try:
            with npz.opened(path) as archive:
                if form == "videopose3d" or (form is None and "positions_2d" in archive):
                    from pose3d.read2d import videopose3d  # and torch

                    return videopose3d.read(archive, path)
                if form not in (None, "mediapipe"):
                    raise PoseError(f"{path} is no file of {form}")
                return mediapipe.read_array(_landmarks(archive, path), path, size)
        except npz.DamagedError as error:
            raise PoseError(f"{path} {error}") from None
    if begin.startswith((b"[", b"{")):
        content = json_files.load(path)
        chosen = form or json_files.form_of(content)
        if chosen == "mmpose":
            return json_files.read_mmpose(content, path)
        if chosen == "alphapose" and isinstance(content, list):
            return json_files.read_alphapose(content, path)
        if chosen == "coco":
            return json_files.read_coco(content, path)
        if own := own_json(content, path):
            raise PoseError(own)
        if isinstance(content, dict) and "people" in content:
            hint = ": give OpenPose's folder, not one file" if "version" in content else ""
            raise PoseError(f"{path} holds people of one picture{hint}")
        known = ", ".join(FORMATS)
        raise PoseError(f"{path} holds no keypoints in a known way: there are {known} (--format)")
    if path.suffix.lower() in (".json", ".npz"):
        raise PoseError(f"{path} is empty, damaged, or not what its suffix says")
    if form not in (None, "mediapipe"):
        raise PoseError(f"{path} is no file of {form}")
    return mediapipe.read_csv(path, size)


def _landmarks(archive: npz.Archive, path: Path) -> "NDArray[Any]":
    """The array of 33 landmarks in an archive."""
    arrays = {name: archive[name] for name in archive.names}
    fitting = {
        name: array
        for name, array in arrays.items()
        if array.dtype.kind in "fiu"
        and array.ndim == 3
        and array.shape[1] == 33
        and 2 <= array.shape[2] <= 5
    }
    if len(fitting) != 1:
        which = f"several arrays ({', '.join(fitting)})" if fitting else "no array"
        raise PoseError(f"{path} holds {which} of MediaPipe's landmarks, (frames, 33, 2 to 5)")
    return next(iter(fitting.values()))


def _rate(times: dict[int, float]) -> float | None:
    """Frames a second of the times that a file has."""
    if len(times) < 2:
        return None
    first, last = min(times), max(times)
    seconds = times[last] - times[first]
    return (last - first) / seconds if seconds > 0 else None


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files."""
    from pose3d.weights import sha256

    if not path.is_dir():
        return str(sha256(path))
    whole = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.is_file():
            whole.update(file.name.encode() + b"\0")
            with open(file, "rb") as content:
                while piece := content.read(1 << 20):
                    whole.update(piece)
    return whole.hexdigest()
