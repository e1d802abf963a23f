"""The video of a page: small enough to be sent around, and in step with the recording."""

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from pose3d.decode import base_of, opened
from pose3d.encode import VideoWriter
from pose3d.progress import Progress
from pose3d.render.audio import add_audio
from pose3d.render.painter import check_video
from pose3d.sequence import Recording
from pose3d.video import Video, read_ahead

HEIGHT = 480  # pixels, of the shorter side at most
QUALITY = 28  # x264's constant rate factor: coarse, a few megabytes for ten minutes


def small_video(
    recording: Recording,
    video_path: Path,
    out_path: Path,
    progress: Progress | None = None,
    audio: bool = False,
) -> float:
    """Write the part of a video that a recording is of, as a small MP4 that all browsers play.

    Parameters
    ----------
    recording
        Of that video.
    video_path, out_path
        The video; the file to write.
    progress
        Hears how many frames are through.
    audio
        Whether the sound is kept.

    Returns
    -------
    float
        Time in the recording of the clip's first frame, seconds.

    Raises
    ------
    PoseError
        If the video's frames are of another size than the recording's.
    """
    progress = progress or Progress()
    options = recording.meta.get("options", {})
    video = Video(video_path, start=options.get("start"), end=options.get("end"))
    check_video(recording, video)
    width, height = video.info.width, video.info.height
    scale = min(HEIGHT / min(width, height), 1.0)
    size = tuple(max(2 * round(side * scale / 2), 2) for side in (width, height))
    begin = end = None
    with (
        closing(read_ahead(video, depth=4)) as frames,
        VideoWriter(out_path, video.info.fps or 30, quality=QUALITY) as sink,
    ):
        for done, frame in enumerate(frames, 1):
            begin, end = frame.time if begin is None else begin, frame.time
            small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
            sink.write(small.astype(np.uint8, copy=False), frame.time)
            progress.advance("embed", done, video.info.frames)
    if begin is None or end is None:
        return 0.0
    if audio:
        add_audio(out_path, video_path, begin, end + 1 / (video.info.fps or 30))
    return begin


def lag(video_path: Path) -> float:
    """By how much a player's clock is ahead of the recording's, seconds.

    Recordings count from the first picture; players from the file's own 0, or from where its
    first stream begins if that is before.
    """
    with opened(video_path) as (container, stream):
        first = float((stream.start_time or 0) * base_of(stream))
        return first - min((container.start_time or 0) / 1e6, 0.0)


def has_sound(video_path: Path) -> bool:
    """Whether there is anything to hear in a video."""
    with opened(video_path) as (container, _):
        return bool(container.streams.audio)
