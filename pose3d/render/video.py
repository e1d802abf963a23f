"""The video to look at: keypoints on the frames at the left, skeletons in space at the right."""

from collections.abc import Iterator
from contextlib import closing
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d.errors import PoseError
from pose3d.progress import Progress
from pose3d.render.overlay import draw_person
from pose3d.render.place import placed
from pose3d.render.scene import Figure, Scene
from pose3d.render.style import Sizes
from pose3d.sequence import Person, Recording
from pose3d.video import Frame, Video, VideoInfo, VideoWriter, read_ahead

LOWEST, HIGHEST, WIDEST = 480, 720, 1920  # pixels of the left panel
SCENE_WIDTH = 4 / 3  # of the right one, in heights: people move about more than up and down


def render_video(
    recording: Recording,
    video_path: str | PathLike[str],
    out_path: str | PathLike[str],
    progress: Progress | None = None,
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
        The video.
    out_path
        MP4 to write, 480 to 720 pixels high. Half-written after an error: give a temporary name.
    progress
        Hears how many frames are drawn.

    Raises
    ------
    PoseError
        If the video cannot be read, or has other frames than the recording.
    """
    progress = progress or Progress()
    options = recording.meta.get("options", {})
    video = Video(video_path, start=options.get("start"), end=options.get("end"))
    _check(recording, video)
    painter = _Painter(recording, video.info)
    total = recording.meta["source"].get("frames")
    frames = read_ahead(video, depth=4)
    with VideoWriter(out_path, video.info.fps or 30) as sink, closing(frames):
        for done, frame in enumerate(frames, 1):
            sink.write(painter.paint(frame), frame.time)
            progress.advance("render", done, total)


def panel_size(info: VideoInfo) -> tuple[int, int]:
    """Width and height of the left panel: the frame's, scaled to a height that can be read."""
    height = float(np.clip(info.height, LOWEST, HIGHEST))
    height = min(height, WIDEST * info.height / info.width)
    return max(2 * round(height * info.width / info.height / 2), 2), max(2 * round(height / 2), 2)


class _Painter:
    """Draws both panels of a frame."""

    def __init__(self, recording: Recording, info: VideoInfo) -> None:
        self.size = size = panel_size(info)
        self.scale = np.divide(size, (info.width, info.height))
        self.sizes = Sizes.of(min(size))
        self.people = recording.people
        self.joints = placed(recording)
        lifted = [joints for joints in self.joints if joints is not None]
        self.scene: Scene | None = None
        if lifted or "lift" in recording.meta.get("steps", ()):
            self.scene = Scene(lifted, (2 * round(SCENE_WIDTH * size[1] / 2), size[1]))

    def paint(self, frame: Frame) -> NDArray[np.uint8]:
        """The picture RGB uint8 (H, W, 3) of a frame."""
        blend = cv2.INTER_AREA if self.scale[1] < 1 else cv2.INTER_LINEAR
        canvas = cv2.resize(frame.image, self.size, interpolation=blend).astype(
            np.uint8, copy=False
        )
        figures: list[Figure] = []
        for person, row, joints in self._rows(frame.index):
            points = person.keypoints.keypoints[row] * self.scale
            draw_person(canvas, points, person.keypoints.score[row], person.id, self.sizes)
            if joints is not None:
                figures.append((person.id, joints[row]))
        if self.scene is None:
            return canvas
        return np.hstack([canvas, self.scene.draw(figures)])

    def _rows(self, index: int) -> Iterator[tuple[Person, int, NDArray[np.float64] | None]]:
        """Everyone who is there in a frame, with their row for it; the first on top."""
        for person, joints in reversed(list(zip(self.people, self.joints, strict=True))):
            frames = person.keypoints.frame
            row = int(np.searchsorted(frames, index))
            if row < len(frames) and frames[row] == index:
                yield person, row, joints


def _check(recording: Recording, video: Video) -> None:
    size = tuple(recording.meta["source"]["size"])
    found = video.info.width, video.info.height
    if size != found:
        raise PoseError(
            f"{Path(video.path)} is not the video of this recording: its frames are "
            f"{found[0]}x{found[1]}, not {size[0]}x{size[1]}"
        )
