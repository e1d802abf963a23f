"""Video files as streams of pictures with exact times.

What a frame is, is fixed here for everything that follows: the picture as a player shows it
(turned by the file's display matrix, pixels made square by stretching the width), its index in
the file, and its presentation time in seconds since the file's first frame.
"""

import queue
import threading
from array import array
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pose3d import limits
from pose3d.decode import (
    Ledger,
    base_of,
    count_before,
    declared,
    decoded,
    has_times,
    opened,
    stamp_of,
    stamped,
)
from pose3d.errors import PoseError
from pose3d.frame import Frame, OnGpu, Stored, View

if TYPE_CHECKING:  # av takes longer than all of `pose3d --help`
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

T = TypeVar("T")

MANY_CORES = 8  # decode faster than a GPU's decoder, and leave something for the rest
SAME_TIME = 1e-6  # seconds; --start 1.001 shall find the frame at 1001/1000


class NoFrameError(PoseError):
    """There is no frame in the range that was asked for."""


class _LateError(Exception):
    """The decoder could not begin where it was sought to."""


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before its frames are read.

    Attributes
    ----------
    width, height
        Of the frames as displayed, pixels.
    fps
        Mean frame rate, 0 where the file does not say. An estimate: go by the frames' times.
    rotation
        Degrees clockwise by which the stored pictures are turned: 0, 90, 180 or 270.
    frames
        About how many there are in the chosen range; None where the file does not say.
    """

    width: int
    height: int
    fps: float
    rotation: int
    frames: int | None


class Video:
    """The frames of a video file, or of a part of it; can be iterated again and again.

    A frame's index is the number of pictures that the file stores before it, in order of
    presentation and from the first that can be decoded: the same whatever the range, and however
    many pictures are damaged (not so in AVI, which stores no times of presentation).

    Parameters
    ----------
    path
        A file with a video stream. Of several the first is taken; cover pictures are none.
    start, end
        Seconds; frames with start <= time < end are given. What lies before `start` is counted
        but not decoded, unless time stamps are missing.

    Attributes
    ----------
    info : VideoInfo
    warnings : list of str
        What went wrong in the last iteration without ending it. Damaged frames are left out; a
        file that breaks off ends the clip.

    Raises
    ------
    PoseError
        If the file is missing, no video, or not one frame of it can be read; when iterated, if
        there is no frame in the range.

    Examples
    --------
    >>> for frame in Video("walk.mp4", start=1.0, end=2.0):         # doctest: +SKIP
    ...     print(frame.index, frame.time, frame.image.shape)
    """

    def __init__(
        self, path: str | PathLike[str], start: float | None = None, end: float | None = None
    ) -> None:
        self.path = Path(path)
        self.start = start or 0.0
        self.end: float = float("inf") if end is None else end
        self.warnings: list[str] = []
        with opened(self.path) as (container, stream):
            first = next(decoded(container, stream, Ledger()), None)
            if first is None:
                raise PoseError(f"{self.path}: no frame can be read; is the file whole?")
            self._view = View.of(first, stream)
            width, height = self._view.displayed
            if width * height > limits.FRAME_PIXELS:
                raise PoseError(f"{self.path}: frames of {width}x{height} are too large")
            self._plain = Stored(first, self._view).planes() is not None
            self._first = stamp_of(first, container) or 0
            self.info = VideoInfo(
                width,
                height,
                fps=float(stream.average_rate or 0),
                rotation=self._view.rotation,
                frames=self._estimate(container, stream),
            )

    def __iter__(self) -> Iterator[Frame]:
        """Read the frames in order of presentation, times rising, their pictures RGB."""
        return (frame.converted() for frame in self.stored())

    def stored(self, gpu: int | None = None) -> Iterator[Frame]:
        """Read the frames, their pictures as the decoder leaves them.

        Parameters
        ----------
        gpu
            Number of the one that shall decode and keep them, which the caller has made the
            thread's device. What it cannot decode, and what needs more than colours mixed to be
            displayed, is decoded here.
        """
        gpu = gpu if self._plain else None
        try:
            yield from self._frames(True, gpu)
        except _LateError:
            yield from self._frames(False, gpu)

    def _frames(self, seek: bool, gpu: int | None) -> Iterator[Frame]:
        """The frames, from a key frame before the range or from the file's first.

        Raises
        ------
        _LateError
            If the range's first frame does not come out after seeking: some files mark pictures as
            key frames from which a decoder takes several to get going (H.264's recovery points).
        """
        import av

        self.warnings.clear()
        with opened(self.path, gpu=gpu) as (container, stream):
            base = base_of(stream)
            try:
                start, ledger = self._seek(container, stream, seek)
            except av.FFmpegError:
                raise PoseError(
                    f"{self.path} is damaged, so that no part of it can be found: leave --start out"
                ) from None
            begin = ledger.index
            held: tuple[VideoFrame, int, float] | None = None  # the last one may turn out broken
            last, step, whole = -1.0, 0.0, False
            for frame, index, stamp in stamped(self.path, container, stream, ledger):
                time = float((stamp - self._first) * base)
                if time >= self.end - SAME_TIME:
                    break
                if time > limits.HOURS * 3600:
                    raise PoseError(
                        f"{self.path}: a frame is at {time / 3600:.4g} hours, and up to "
                        f"{limits.HOURS} can be read: end before it with --end"
                    )
                if time <= last:
                    ledger.repeated += 1
                    continue
                last, step = time, float(frame.duration * base) or time - last
                if stamp < start:
                    continue
                if held is None and begin and index > begin:
                    raise _LateError
                if held:
                    yield self._frame(*held)
                held = frame, index, time
            else:
                whole = True
            if held is None and begin:
                raise _LateError
            if held is None:
                raise NoFrameError(
                    f"{self.path}: no frame lies in that range; see --start and --end"
                )
            if whole and held[0].is_corrupt:  # the decoder made a part of it up
                ledger.errors += 1
                until = last
            else:
                yield self._frame(*held)
                until = last + step
            lasts = declared(container, stream, self._first) if whole else None
            self._complain(ledger, until, 0.9 * step, lasts)

    def times(self) -> NDArray[np.float64]:
        """When every picture that the file stores is shown, seconds (N,); `n` is that of index `n`.

        The file is read, but nothing decoded: the pictures need not all be whole. Empty where a
        time is missing or the file breaks off, so that frames must be counted as they come out.
        """
        import av

        stamps = array("q")
        with opened(self.path) as (container, stream):
            base = base_of(stream)
            try:
                for packet in container.demux(stream):
                    if not packet.size or packet.is_discard:
                        continue
                    if packet.pts is None or not has_times(container):
                        return np.zeros(0)
                    if packet.pts >= self._first:
                        stamps.append(packet.pts)
            except av.FFmpegError:
                return np.zeros(0)
        return np.array([float((stamp - self._first) * base) for stamp in sorted(stamps)])

    def _frame(self, frame: "VideoFrame", index: int, time: float) -> Frame:
        on_gpu = frame.format.name == "cuda"
        picture = OnGpu.of(frame, self._view) if on_gpu else Stored(frame, self._view)
        return Frame(picture, index, time)

    def _seek(
        self, container: "InputContainer", stream: "VideoStream", seek: bool
    ) -> tuple[int, "Ledger"]:
        """Go to a key frame before the start; gives the start's time stamp and what was counted."""
        start = self._first + int(np.ceil((self.start - SAME_TIME) / float(base_of(stream))))
        if start <= self._first:
            return self._first, Ledger(self._first)
        counted = seek and count_before(container, stream, self._first, start)
        if counted:
            frames, key = counted
            container.seek(key, stream=stream)
            landed = next(container.demux(stream)).dts
            container.seek(key, stream=stream)
            if landed is not None and landed <= key:
                return start, Ledger(start, frames)
        container.seek(self._first, stream=stream)
        return start, Ledger(self._first)

    def _estimate(self, container: "InputContainer", stream: "VideoStream") -> int | None:
        """About how many frames the range has."""
        if self.start <= 0 and self.end == float("inf") and stream.frames:
            return int(stream.frames)
        lasts = declared(container, stream, self._first)
        if not stream.average_rate or lasts is None:
            return None
        seconds = min(self.end, lasts[0]) - self.start
        return max(round(seconds * float(stream.average_rate)), 1)

    def _complain(
        self, ledger: Ledger, until: float, step: float, lasts: tuple[float, float] | None
    ) -> None:
        """Warn of what could not be used; a gap shorter than a `step` is none."""
        seconds, doubt = lasts or (0.0, 0.0)
        if seconds - until > max(step, doubt):
            self.warnings.append(
                f"breaks off after {until:.2f} s of {seconds:.2f} s: the rest cannot be read"
            )
        elif ledger.errors:
            self.warnings.append(f"{ledger.errors} damaged frames were left out")
        if ledger.repeated:
            self.warnings.append(f"{ledger.repeated} frames with the time of another were left out")


def frames_for(video: Video, device: Any, decoder: str = "cpu") -> Iterator[Frame]:
    """A video's frames as a device takes them best: GPUs are faster at making them RGB.

    Parameters
    ----------
    video
        Whose.
    device
        That sees them.
    decoder
        Who decodes for a GPU, as in :class:`~pose3d.options.Options`.
    """
    if not str(device).startswith("cuda"):
        yield from video
        return
    import torch

    if decoder == "cpu" or (decoder == "auto" and torch.get_num_threads() >= MANY_CORES):
        yield from video.stored()
    else:
        # This thread's context is what the decoder is going to work in.
        with torch.cuda.device(device):
            torch.cuda.synchronize()
            yield from video.stored(torch.cuda.current_device())


def read_ahead(items: Iterable[T], depth: int) -> Generator[T]:
    """The same items, made in a thread of their own that is up to `depth` ahead.

    What `items` raises is raised here. The thread ends with the items, and soon after this
    iterator is closed: close it (`contextlib.closing`) where it may be left early.

    Parameters
    ----------
    items
        Taken by one thread only.
    depth
        So many items wait at most; one more may be in the making.
    """
    line: queue.Queue[tuple[bool, Any]] = queue.Queue(max(depth, 1))
    stop = threading.Event()

    def produce() -> None:
        source = iter(items)
        try:
            for item in source:
                line.put((False, item))
                if stop.is_set():
                    return
            line.put((True, None))
        except BaseException as error:  # whatever it is, it belongs to the consumer
            line.put((True, error))
        finally:
            close = getattr(source, "close", None)
            if close:
                close()

    thread = threading.Thread(target=produce, name="read_ahead", daemon=True)
    thread.start()
    try:
        while True:
            ended, item = line.get()
            if not ended:
                yield item
            elif item is None:
                return
            else:
                raise item
    finally:
        stop.set()
        while not line.empty():  # room for the one that the thread may be about to put
            line.get_nowait()
        thread.join()
