"""One picture after another: keypoints on the frames, skeletons in space, or both."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d.certainty import CERTAIN, joint_scores
from pose3d.errors import PoseError
from pose3d.look import Look
from pose3d.progress import Progress
from pose3d.render.overlay import draw_person
from pose3d.render.place import placed
from pose3d.render.scene import Figure, Scene
from pose3d.render.style import Sizes
from pose3d.render.timeline import Timeline
from pose3d.sequence import Person, Recording
from pose3d.video import Video, VideoInfo, read_ahead

Picture = NDArray[np.uint8]

SCENE_WIDTH = 4 / 3  # in heights, beside frames: people move about more than up and down
ALONE_WIDTH = 16 / 9
TRAIL = 12.0  # seconds


@dataclass(frozen=True)
class Limits:
    """How large panels may be, pixels: `lowest` and `highest` height, `widest` frame."""

    lowest: int
    highest: int
    widest: int


@dataclass(frozen=True)
class Painted:
    """A picture RGB uint8 (H, W, 3), and the frame that it shows."""

    image: Picture
    index: int
    time: float


def panel_size(info: VideoInfo, limits: Limits) -> tuple[int, int]:
    """Width and height of the frames' panel: the frame's, scaled to a height within limits."""
    height = float(np.clip(info.height, limits.lowest, limits.highest))
    height = min(height, limits.widest * info.height / info.width)
    return max(2 * round(height * info.width / info.height / 2), 2), max(2 * round(height / 2), 2)


class Reel:
    """A recording's pictures, drawn one by one as they are asked for.

    Parameters
    ----------
    recording
        To draw.
    video_path
        Its video; not needed, nor opened, for the 3D view alone.
    look
        What is drawn.
    limits
        Of the size.

    Attributes
    ----------
    fps
        About how many pictures there are a second.

    Raises
    ------
    PoseError
        If the video cannot be read, or has other frames than the recording.
    """

    def __init__(
        self,
        recording: Recording,
        video_path: str | PathLike[str] | None,
        look: Look,
        limits: Limits,
    ) -> None:
        self.recording, self.look = recording, look
        self._video: Video | None = None
        self._people = recording.people
        self._joints = placed(recording)
        self._doubts = {p.id: joint_scores(p) < CERTAIN for p in self._people}
        lifted = [joints for joints in self._joints if joints is not None]
        if look.view == "3d":
            self._timeline = Timeline.of(recording)
            self.fps, height = 1 / self._timeline.step, limits.highest
            self.frames = len(self._timeline)
        else:
            if video_path is None:
                raise PoseError(f"the {look.view} view needs the video: give it, or take --view 3d")
            options = recording.meta.get("options", {})
            self._video = Video(video_path, start=options.get("start"), end=options.get("end"))
            check_video(recording, self._video)
            info = self._video.info
            self._size = panel_size(info, limits)
            self._scale = np.divide(self._size, (info.width, info.height))
            self._sizes = Sizes.of(min(self._size))
            self.fps, height = info.fps or 30.0, self._size[1]
            self.frames = recording.meta.get("source", {}).get("frames")
        self._scene: Scene | None = None
        wanted = look.view == "3d" or lifted or "lift" in recording.meta.get("steps", ())
        if look.view != "overlay" and wanted:
            wide = ALONE_WIDTH if look.view == "3d" else SCENE_WIDTH
            self._scene = Scene(lifted, (2 * round(wide * height / 2), height), look.orbit)

    def pictures(self, progress: Progress, keep: set[int] | None = None) -> Iterator[Painted]:
        """The pictures in order; with `keep` only those, counted from 0."""
        for done, (index, time, image) in enumerate(self._frames()):
            if keep is None or done in keep:
                yield Painted(self._paint(index, time, image), index, time)
            progress.advance("render", done + 1, self.frames)

    def _frames(self) -> Generator[tuple[int, float, Picture | None]]:
        if self._video is None:
            for index, time in zip(self._timeline.frame, self._timeline.time, strict=True):
                yield int(index), float(time), None
            return
        with closing(read_ahead(self._video, depth=4)) as frames:
            for frame in frames:
                yield frame.index, frame.time, frame.image

    def _paint(self, index: int, time: float, image: Picture | None) -> Picture:
        rows = list(self._rows(index))
        panels = []
        if image is not None:
            blend = cv2.INTER_AREA if self._scale[1] < 1 else cv2.INTER_LINEAR
            canvas = cv2.resize(image, self._size, interpolation=blend).astype(np.uint8, copy=False)
            for person, row, _ in rows:
                points = person.keypoints.keypoints[row] * self._scale
                draw_person(canvas, points, person.keypoints.score[row], person.id, self._sizes)
            panels.append(canvas)
        if self._scene is not None:
            figures: list[Figure] = [(p.id, j[row]) for p, row, j in rows if j is not None]
            trails = self._trails(rows) if self.look.trail else []
            doubts = {person.id: self._doubts[person.id][row] for person, row, _ in rows}
            panels.append(self._scene.draw(figures, trails, time, doubts))
        return panels[0] if len(panels) == 1 else np.hstack(panels)

    def _trails(self, rows: list[tuple[Person, int, NDArray[np.float64] | None]]) -> list[Figure]:
        """Where the hips of those who are there were lately."""
        trails: list[Figure] = []
        for person, row, joints in rows:
            if joints is not None:
                time = person.keypoints.time
                first = int(np.searchsorted(time, time[row] - TRAIL))
                trails.append((person.id, joints[first : row + 1, 0]))
        return trails

    def _rows(self, index: int) -> Iterator[tuple[Person, int, NDArray[np.float64] | None]]:
        """Everyone who is there in a frame, with their row for it; the first on top."""
        for person, joints in reversed(list(zip(self._people, self._joints, strict=True))):
            frames = person.keypoints.frame
            row = int(np.searchsorted(frames, index))
            if row < len(frames) and frames[row] == index:
                yield person, row, joints


def check_video(recording: Recording, video: Video) -> None:
    """Refuse a video whose frames are of another size than the recording's."""
    size = recording.meta.get("source", {}).get("size")
    found = video.info.width, video.info.height
    if size and tuple(size) != found:
        raise PoseError(
            f"{Path(video.path)} is not the video of this recording: its frames are "
            f"{found[0]}x{found[1]}, not {size[0]}x{size[1]}"
        )
