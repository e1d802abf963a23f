"""From a file's packets to frames: opening, seeking, counting, damage."""

import heapq
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose3d import limits
from pose3d.errors import PoseError

if TYPE_CHECKING:  # av takes longer than all of `pose3d --help`
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

COVER = 0x400  # FFmpeg's AV_DISPOSITION_ATTACHED_PIC
MICROSECONDS = 1_000_000
_log = logging.getLogger(__name__)
NAMING_OTHERS = frozenset(  # formats whose files are lists of other files
    ["concat", "dash", "hds", "hls", "image2", "imf", "lavfi", "sdp", "rtsp", "vobsub",
     "webm_dash_manifest"]
)  # fmt: skip


@dataclass
class Ledger:
    """What went into a decoder and what came out.

    Attributes
    ----------
    floor
        Time stamp; pictures before it are not counted.
    index
        Pictures counted so far whose turn to be shown has passed.
    waiting
        Heap of the time stamps of the others.
    exact
        Whether every packet had a time stamp; otherwise frames are counted as they come out.
    packets, frames, errors, repeated
        How many went in, came out, could not be decoded, were left out for their time.
    """

    floor: int | None = None
    index: int = 0
    waiting: list[int] = field(default_factory=list)
    exact: bool = True
    packets: int = 0
    frames: int = 0
    errors: int = 0
    repeated: int = 0

    def sent(self, stamp: int | None) -> None:
        """Note a packet."""
        self.packets += 1
        if stamp is None:
            self.exact = False
        elif self.floor is None or stamp >= self.floor:
            heapq.heappush(self.waiting, stamp)

    def index_of(self, stamp: int) -> int:
        """The index of the frame that has just come out: how many are to be shown before it."""
        if not self.exact:
            return self.frames - 1
        while self.waiting and self.waiting[0] < stamp:
            heapq.heappop(self.waiting)
            self.index += 1
        return self.index


@contextmanager
def opened(
    path: Path, threads: str = "AUTO", gpu: int | None = None
) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """A file and its video stream; decoded by the GPU of that number where it can."""
    import av

    if not path.exists():
        raise PoseError(f"{path}: no such file")
    if not path.is_file():
        raise PoseError(f"{path} is not a file: give a video")
    try:
        # Without the prefix a colon in the name would be taken for a protocol's; without the lists
        # a file could name others, or addresses, that would be opened.
        formats = ",".join(av.formats_available - NAMING_OTHERS)
        options = {"protocol_whitelist": "file", "format_whitelist": formats}
        container = _container(path, options, gpu)
    except PermissionError:
        raise PoseError(f"{path} cannot be read: its permissions forbid it") from None
    except (av.FFmpegError, ValueError) as error:
        raise PoseError(f"{path}: not a video that can be read; does it play elsewhere?") from error
    with container:
        streams = [s for s in container.streams.video if not s.disposition & COVER]
        if not streams or container.format.name == "tty":  # FFmpeg shows plain text as video
            content = "only sound" if container.streams.audio else "no video"
            raise PoseError(f"{path} holds {content}: give a file with pictures")
        stream = streams[0]
        if stream.codec_context is None:
            raise PoseError(f"{path}: its codec is unknown here: convert it to H.264 first")
        if stream.width * stream.height > limits.FRAME_PIXELS:
            raise PoseError(f"{path}: frames of {stream.width}x{stream.height} are too large")
        # What the pictures themselves say may be another size. They are stored in whole blocks.
        stream.codec_context.options = {"max_pixels": str(limits.FRAME_PIXELS * 9 // 8)}
        large = stream.width * stream.height > limits.THREADED_PIXELS
        there = stream.codec_context.is_hwaccel
        stream.thread_type = "SLICE" if large or there else threads
        yield container, stream


def _container(path: Path, options: dict[str, str], gpu: int | None) -> "InputContainer":
    """A file, opened, with NVDEC of a GPU where there is one.

    Its pictures stay in the GPU's memory, in the context of this thread: PyTorch's.
    """
    import av

    opening: Any = partial(av.open, f"file:{path}", options=options, metadata_errors="replace")
    if gpu is not None:
        from av.codec.hwaccel import HWAccel

        context: dict[str, object] = {"primary_ctx": "0", "current_ctx": "1"}
        decoder = HWAccel("cuda", gpu, options=context, is_hw_owned=True)
        with suppress(av.FFmpegError, NotImplementedError):
            return opening(hwaccel=decoder)  # type: ignore[no-any-return]
        _log.warning("the GPU does not decode %s: the CPU does", path)
    return opening()  # type: ignore[no-any-return]


def decoded(
    container: "InputContainer", stream: "VideoStream", ledger: Ledger
) -> Iterator["VideoFrame"]:
    """The frames that can be decoded from here on."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError:
            ledger.errors += 1
            packet = None
        if packet is not None and packet.size and not packet.is_discard:
            ledger.sent(packet.pts if has_times(container) else None)
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            ledger.errors += 1
            frames = []
        for frame in frames:
            ledger.frames += 1
            yield frame
        if packet is None:  # that has emptied the decoder
            return


def stamped(
    path: Path, container: "InputContainer", stream: "VideoStream", ledger: Ledger
) -> Iterator[tuple["VideoFrame", int, int]]:
    """Frames with their index and time stamp.

    A decoder with a thread a frame gives up all that it has in hand when the file ends in a broken
    frame. Then the end is decoded again without.
    """
    import av

    last = step = 0

    def noted(frame: "VideoFrame") -> tuple["VideoFrame", int, int]:
        nonlocal last, step
        stamp = stamp_of(frame, container)
        stamp = last + step if stamp is None else stamp
        last, step = stamp, frame.duration or stamp - last
        return frame, ledger.index_of(stamp), stamp

    for frame in decoded(container, stream, ledger):
        yield noted(frame)
    if ledger.packets > ledger.frames > 0:
        before = last
        with opened(path, threads="SLICE") as (container, stream):
            try:
                container.seek(before, stream=stream)
            except av.FFmpegError:
                return  # then without what follows
            tail = Ledger()
            for frame in decoded(container, stream, tail):
                if (stamp_of(frame, container) or before) > before:
                    ledger.frames += 1
                    yield noted(frame)
            ledger.errors = max(ledger.errors, tail.errors)


def count_before(
    container: "InputContainer", stream: "VideoStream", first: int, start: int
) -> tuple[int, int] | None:
    """How many frames are shown from time stamp `first` until `start`, and where to seek to.

    That is the last key frame's decoding time stamp. None where time stamps are missing.
    """
    import av

    if not has_times(container):
        return None
    frames, key = 0, None
    try:
        for packet in container.demux(stream):
            if not packet.size or packet.is_discard:
                continue
            if packet.pts is None or packet.dts is None:
                return None
            if packet.dts > start:
                break
            frames += first <= packet.pts < start
            if packet.is_keyframe and first <= packet.pts <= start:
                key = packet.dts
    except av.FFmpegError:
        return None
    return None if key is None else (frames, key)


def has_times(container: "InputContainer") -> bool:
    """Whether the file says when pictures are shown; AVI only has the order to decode them in."""
    return container.format.name != "avi"


def stamp_of(frame: "VideoFrame", container: "InputContainer") -> int | None:
    """A frame's time stamp; where there is none, that of its decoding, which is as regular."""
    return frame.pts if has_times(container) and frame.pts is not None else frame.dts


def base_of(stream: "VideoStream") -> Fraction:
    """Seconds of one tick of the stream's time stamps."""
    return stream.time_base or Fraction(1, MICROSECONDS)


def declared(
    container: "InputContainer", stream: "VideoStream", first: int
) -> tuple[float, float] | None:
    """How many seconds of pictures the file says to hold, and how wrong that may be.

    The container's figure counts from time 0, and the sound may be longer than the pictures.
    """
    if stream.duration is not None:
        return float(stream.duration * base_of(stream)), 0.0
    if container.duration is None:
        return None
    alone = len(container.streams) == 1
    seconds = container.duration / MICROSECONDS - max(float(first * base_of(stream)), 0.0)
    return seconds, 0.0 if alone else 1.0
