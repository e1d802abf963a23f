"""The video to look at."""

from os import PathLike
from pathlib import Path

from pose3d.encode import VideoWriter
from pose3d.look import Look
from pose3d.progress import Progress
from pose3d.render.audio import add_audio
from pose3d.render.painter import Limits, Reel
from pose3d.sequence import Recording

LIMITS = Limits(lowest=480, highest=720, widest=1920)


def render_video(
    recording: Recording,
    video_path: str | PathLike[str] | None,
    out_path: str | PathLike[str],
    progress: Progress | None = None,
    look: Look | None = None,
) -> None:
    """Write a video of a recording: the frames with keypoints, beside them the skeletons in 3D.

    The person's own left is orange, the right blue, in both panels; trunk and number have the
    person's colour. Frames keep their times; of a part of a video, the first one's becomes 0.
    A recording that is not lifted gives the frames alone. Frames are read, drawn and written one
    by one.

    Parameters
    ----------
    recording
        Of that video.
    video_path
        The video; None will do for the 3D view alone.
    out_path
        MP4 to write, 480 to 720 pixels high. Half-written after an error: give a temporary name.
    progress
        Hears how many frames are drawn.
    look
        What is drawn; both panels by default.

    Raises
    ------
    PoseError
        If the video cannot be read, or has other frames than the recording.
    """
    look = look or Look()
    reel = Reel(recording, video_path, look, LIMITS)
    begin = end = None
    with VideoWriter(out_path, reel.fps) as sink:
        for picture in reel.pictures(progress or Progress()):
            sink.write(picture.image, picture.time)
            begin, end = picture.time if begin is None else begin, picture.time
    if look.audio and video_path is not None and begin is not None and end is not None:
        add_audio(Path(out_path), Path(video_path), begin, end + 1 / reel.fps)
