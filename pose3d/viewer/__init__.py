"""The viewer: a page that shows a recording in space, in step with its video."""

from pathlib import Path
from tempfile import TemporaryDirectory

from pose3d.look import Look
from pose3d.progress import Progress
from pose3d.sequence import Recording
from pose3d.viewer.clip import has_sound, lag, small_video
from pose3d.viewer.page import Footage, beside, write_page

__all__ = ["Footage", "beside", "write_page", "write_viewer"]


def write_viewer(
    recording: Recording,
    video: Path | None,
    path: Path,
    look: Look | None = None,
    progress: Progress | None = None,
    final: Path | None = None,
) -> None:
    """Write the viewer of a recording and, if wanted, a small copy of its video, as one file.

    Parameters
    ----------
    recording
        Lifted or not.
    video
        Its video; None shows the scene alone.
    path
        HTML to write. Half-written after an error: give a temporary name.
    look
        Its `link` names the video beside the page instead of copying it, its `audio` keeps the
        sound in the copy.
    progress
        Hears how many frames are copied.
    final
        What `path` will be called; `path` itself by default.

    Raises
    ------
    PoseError
        If the video cannot be read.
    """
    look = look or Look()
    if video is None:
        write_page(recording, path)
    elif look.link:
        address = beside(video, final or path)
        write_page(recording, path, Footage(video, -lag(video), address, has_sound(video)))
    else:
        with TemporaryDirectory(prefix="pose3d-") as scratch:
            clip = Path(scratch) / "clip.mp4"
            begin = small_video(recording, video, clip, progress, look.audio)
            write_page(recording, path, Footage(clip, begin, sound=has_sound(clip)))
