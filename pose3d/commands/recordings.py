"""Recordings and videos that commands take, and what people may give in their place."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pose3d.commands.console import Console
from pose3d.errors import UsageError

if TYPE_CHECKING:  # numpy takes longer than all of `pose3d --help`
    from pose3d.batch import Input


def recordings(inputs: Sequence[str], keypoints: bool = False) -> "list[Input]":
    """Recordings that arguments stand for, and perhaps keypoints of other tools.

    Raises
    ------
    PoseError
        If a folder, pattern or list gives nothing.
    UsageError
        If something is neither.
    """
    from pose3d.batch import RECORDINGS, expand

    sources = expand(inputs, RECORDINGS, ours=True)
    for source in sources:
        check_recording(source.path, keypoints)
    return sources


def check_recording(path: Path, keypoints: bool = False) -> None:
    """Say of what is no recording what it is, and what to do with it.

    Parameters
    ----------
    path
        What was given.
    keypoints
        Whether keypoints of other tools are taken, too.

    Raises
    ------
    UsageError
        If it is known to be something else.
    """
    from pose3d.batch import OURS, PICTURES, VIDEOS
    from pose3d.read2d.mistaken import mistaken

    suffix = path.suffix.lower()
    if suffix in VIDEOS | PICTURES and path.stem.endswith(OURS):
        recording = path.with_suffix(".npz")
        if recording.exists():
            raise UsageError(f"{path} was drawn of {recording}: give that")
    if suffix in VIDEOS:
        raise UsageError(f"{path} is a video: `pose3d infer {path}` makes a recording of it")
    if suffix in PICTURES:
        raise UsageError(f"{path} is a picture: `pose3d detect {path}` finds the people in it")
    if not (keypoints and path.is_dir()) and (what := mistaken(path, keypoints)):
        raise UsageError(what)


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
