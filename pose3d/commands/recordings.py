"""Recordings that commands take, and what people may give in their place."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pose3d.errors import UsageError

if TYPE_CHECKING:  # numpy takes longer than all of `pose3d --help`
    from pose3d.batch import Input


def recordings(inputs: Sequence[str]) -> "list[Input]":
    """Recordings, and keypoints of other tools, that arguments stand for.

    Raises
    ------
    PoseError
        If a folder, pattern or list gives nothing.
    UsageError
        If something is a video or a picture.
    """
    from pose3d.batch import RECORDINGS, expand

    sources = expand(inputs, RECORDINGS, ours=True)
    for source in sources:
        check_recording(source.path)
    return sources


def check_recording(path: Path) -> None:
    """Send videos and pictures to the commands that take them."""
    from pose3d.batch import PICTURES, VIDEOS

    suffix = path.suffix.lower()
    if suffix in VIDEOS:
        raise UsageError(f"{path} is a video: `pose3d infer {path}` makes a recording of it")
    if suffix in PICTURES:
        raise UsageError(f"{path} is a picture: `pose3d detect {path}` finds the people in it")


def check_no_recording(paths: Sequence[Path]) -> None:
    """Send recordings from the commands that make them to those that take them."""
    for path in paths:
        if path.suffix.lower() == ".npz":
            raise UsageError(
                f"{path} is no video: `pose3d lift`, `render`, `view` and `export` take recordings"
            )
