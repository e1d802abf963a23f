"""What people look at: a video, an animated picture, a sheet of pictures, a page."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pose3d.errors import UsageError

if TYPE_CHECKING:  # the command line lists these before it needs numpy
    from pose3d.progress import Progress
    from pose3d.sequence import Recording

SUFFIXES = {name: f".pose3d.{name}" for name in ("mp4", "gif", "png", "html")}
VIEWS = ("side-by-side", "overlay", "3d")


@dataclass(frozen=True)
class Look:
    """How a recording is shown.

    Attributes
    ----------
    view
        One of :data:`VIEWS`: keypoints on the frames at the left and skeletons in space at the
        right, or one of them alone.
    orbit
        Seconds in which the camera of the 3D view goes once around; None: it stands still.
    trail
        Whether the way of everyone's hips is drawn on the floor.
    audio
        Whether videos keep the sound of theirs.
    link
        Whether a page names the video beside it instead of holding a small copy.

    Raises
    ------
    UsageError
        If there is no such view, or nothing for it to do.
    """

    view: str = "side-by-side"
    orbit: float | None = None
    trail: bool = True
    audio: bool = False
    link: bool = False

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise UsageError(f"no view is called {self.view!r}: there are {', '.join(VIEWS)}")
        if self.orbit is not None and (self.view == "overlay" or self.orbit <= 0):
            raise UsageError("only a 3D view can orbit, in more than 0 s: see --view and --orbit")


def needs_video(form: str, look: Look) -> bool:
    """Whether something of :data:`SUFFIXES` cannot be made from the recording alone."""
    return form != "html" and look.view != "3d"


def show(
    form: str,
    recording: "Recording",
    video: Path | None,
    path: Path,
    look: Look,
    progress: "Progress | None" = None,
    final: Path | None = None,
) -> None:
    """Write what one of :data:`SUFFIXES` names.

    Parameters
    ----------
    form
        ``mp4``, ``gif``, ``png`` or ``html``.
    recording, video
        The video may be None where :func:`needs_video` says so.
    path
        To write. Half-written after an error: give a temporary name.
    look
        How it shall look; a page always has both views.
    progress
        Hears how many frames are drawn.
    final
        What `path` will be called, from which a page finds a video beside it.

    Raises
    ------
    PoseError
        If the video cannot be read, or has other frames than the recording.
    """
    if form == "html":
        from pose3d.viewer import write_viewer

        write_viewer(recording, video, path, look, progress, final)
        return
    from pose3d import render

    writers = {"mp4": render.render_video, "gif": render.render_gif, "png": render.render_sheet}
    writers[form](recording, video, path, progress=progress, look=look)
