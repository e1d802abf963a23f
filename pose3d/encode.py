"""Pictures and their times to a video file."""

from contextlib import suppress
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pose3d.errors import PoseError

if TYPE_CHECKING:  # av takes longer than all of `pose3d --help`
    from av import VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream

BT709, BT601, LIMITED = 1, 6, 1  # FFmpeg's numbers, of colours and range
TICKS = 120_000  # a second: whole numbers for all usual rates, also 30000/1001


class VideoWriter:
    """An H.264 MP4 that browsers play, as a context manager.

    Frames keep their times, whatever their rate; the first one's becomes 0. What is written to
    `path` is whole only after the block has ended without an error: write to a temporary name
    (:func:`pose3d.files.replacing`).

    Parameters
    ----------
    path
        File to write.
    fps
        About how many frames a second there will be; only the encoder's planning depends on it.
    quality
        x264's constant rate factor: 18 is hard to tell from the source, 28 is coarse.

    Examples
    --------
    >>> with VideoWriter("out.mp4", fps=30) as sink:                # doctest: +SKIP
    ...     for frame in Video("in.mp4"):
    ...         sink.write(frame.image, frame.time)
    """

    def __init__(self, path: str | PathLike[str], fps: float = 30, quality: int = 21) -> None:
        self.path = Path(path)
        self.fps = Fraction(fps).limit_denominator(1001) if 1 <= fps <= 1000 else Fraction(30)
        self.quality = quality
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._begin = 0.0
        self._last = -1

    def __enter__(self) -> Self:
        import av

        options = {"movflags": "+faststart"}
        self._container = av.open(f"file:{self.path}", "w", format="mp4", options=options)
        return self

    def write(self, picture: NDArray[np.uint8], time: float) -> None:
        """Add a frame.

        Parameters
        ----------
        picture
            RGB uint8 (H, W, 3), all of one size. H.264 wants even ones: the last row and column
            are doubled where they are odd.
        time
            Seconds; must rise.
        """
        import av
        import cv2

        height, width = picture.shape[:2]
        if height % 2 or width % 2:
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._begin = time
            self._stream = self._add_stream(picture.shape[1], picture.shape[0])
        # OpenCV knows BT.601 only, but takes a tenth of FFmpeg's time.
        planes: Any = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        stamp = max(round((time - self._begin) * TICKS), self._last + 1)
        frame.pts, frame.time_base = stamp, Fraction(1, TICKS)
        self._last = stamp
        self._mux(frame)

    def _add_stream(self, width: int, height: int) -> "VideoStream":
        assert self._container is not None
        options = {"preset": "veryfast", "crf": str(self.quality)}
        stream: VideoStream = self._container.add_stream("libx264", rate=self.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, TICKS)
        context.gop_size = round(2 * self.fps)  # seconds that a browser decodes for a seek
        context.color_primaries = context.color_trc = BT709
        context.colorspace, context.color_range = BT601, LIMITED
        return stream

    def _mux(self, frame: "VideoFrame | None") -> None:
        assert self._container is not None
        assert self._stream is not None
        import av

        for packet in self._stream.encode(frame):
            packet.duration = round(TICKS / self.fps)  # else the last frame would have none
            try:
                self._container.mux(packet)
            except av.error.PatchWelcomeError:
                message = f"{self.path} cannot be written: MP4 holds no gaps of several hours"
                raise PoseError(message) from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._container is not None
        if kind is not None:
            with suppress(OSError):  # a full disk, say, which the error before this one has told of
                self._container.close()
            return
        with self._container:
            if self._stream is not None:
                self._mux(None)
