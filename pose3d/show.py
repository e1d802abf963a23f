"""What people look at: a video, an animated picture, a sheet of pictures, a page."""

from pathlib import Path

from pose3d.look import Look
from pose3d.progress import Progress
from pose3d.sequence import Recording


def show(
    form: str,
    recording: Recording,
    video: Path | None,
    path: Path,
    look: Look,
    progress: Progress | None = None,
    final: Path | None = None,
) -> None:
    """Write what one of :data:`pose3d.look.SUFFIXES` names.

    Parameters
    ----------
    form
        ``mp4``, ``gif``, ``png`` or ``html``.
    recording, video
        The video may be None where :func:`~pose3d.look.needs_video` says so.
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
