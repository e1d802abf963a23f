"""Recordings and videos that commands take, and what people may give in their place."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pose3d.commands.console import Console
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


def unmade(
    console: Console, inputs: Sequence[str], suffixes: frozenset[str], pattern: str | None
) -> "list[Input]":
    """Videos, and perhaps pictures, that arguments stand for and that were not made here.

    Several are most often what a shell makes of ``*.mp4``: what `pose3d infer` drew of them
    earlier is left out.

    Raises
    ------
    PoseError
        If a folder, pattern or list gives nothing.
    UsageError
        If something is a recording, or the address of a video.
    """
    from pose3d.batch import OURS, expand

    for text in inputs:
        if "://" in text:
            raise UsageError(f"{text} is an address: download the video first")
    sources = expand(inputs, suffixes, pattern=pattern)
    for source in sources:
        if source.path.suffix.lower() == ".npz":
            raise UsageError(
                f"{source.path} is no video: `pose3d lift`, `render`, `view` and `export` take "
                "recordings"
            )
    drawn = [source for source in sources if source.path.stem.endswith(OURS)]
    if len(sources) == 1 or not drawn:
        return sources
    for source in drawn:
        console.warn(f"{source.path} is left out: its name is that of a result")
    return [source for source in sources if source not in drawn]
