"""One picture of a video: as its decoder left it, and as everybody wants it."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pose3d.errors import PoseError

if TYPE_CHECKING:  # av takes longer than all of `pose3d --help`
    from av import VideoFrame
    from av.video.stream import VideoStream
    from torch import Tensor

HD_HEIGHT = 720  # from here on BT.709 is meant where a file does not say, as players take it
UNSPECIFIED, BT709, BT601 = 2, 1, 5  # FFmpeg's numbers of colour spaces
LIKE_BT601 = (BT601, 6)  # of PAL and of NTSC
FULL_RANGE = 2  # FFmpeg's number
HALVED = ("yuv420p", "yuvj420p", "nv12")  # 8 bits, colour at half the size
NO_COLOURS = np.zeros((0, 0), np.uint8), np.zeros((0, 0), np.uint8)
SHARES = {BT709: (0.2126, 0.0722), BT601: (0.299, 0.114)}  # of red and blue in brightness


@dataclass(frozen=True)
class View:
    """How stored pictures become displayed ones: stretched to `size`, mirrored, turned."""

    size: tuple[int, int]
    rotation: int
    mirrored: bool
    colourspace: int | None

    @classmethod
    def of(cls, frame: "VideoFrame", stream: "VideoStream") -> "View":
        """The view that a frame and its stream ask for."""
        aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1
        width = round(frame.width * aspect) if 0.25 <= aspect <= 4 else frame.width
        guess = BT709 if min(frame.width, frame.height) >= HD_HEIGHT else BT601
        unknown = frame.colorspace == UNSPECIFIED
        return cls((width, frame.height), *_turn(frame), guess if unknown else None)

    @property
    def displayed(self) -> tuple[int, int]:
        """Width and height."""
        return self.size if self.rotation in (0, 180) else self.size[::-1]

    def picture(self, frame: "VideoFrame") -> NDArray[np.uint8]:
        """RGB uint8 (H, W, 3)."""
        import av
        import cv2

        width, height = self.size
        try:
            rgb = frame.reformat(width, height, "rgb24", src_colorspace=self.colourspace)
        except av.FFmpegError as error:  # of damaged frames, or where threads or memory run out
            reason = error.strerror
            raise PoseError(f"a frame cannot be converted to RGB: {reason}") from error
        picture: Any = rgb.to_ndarray()
        if self.mirrored:
            picture = cv2.flip(picture, 1)
        if self.rotation:
            turns = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)
            picture = cv2.rotate(picture, turns[self.rotation // 90 - 1])
        return np.ascontiguousarray(picture)

    def turned(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A stored plane (H, W, ...) as displayed, without copying it."""
        plane = plane[:, ::-1] if self.mirrored else plane
        return np.rot90(plane, -self.rotation // 90)


@dataclass(frozen=True)
class Planes:
    """A picture as decoders give it: brightness, and colour at half the size (4:2:0), 8 bits each.

    Attributes
    ----------
    y
        (H, W) uint8.
    u, v
        (H / 2, W / 2) uint8, rounded up.
    mix
        (3, 4) float32, what makes RGB in [0, 255] of y, u, v and 1 (ITU-R BT.601 or BT.709).
    """

    y: NDArray[np.uint8]
    u: NDArray[np.uint8]
    v: NDArray[np.uint8]
    mix: NDArray[np.float32]

    def grey(self, step: int) -> NDArray[np.uint8]:
        """Brightness of every so many-th pixel in both directions, in [0, 255]."""
        import cv2

        height, width = (-(-side // step) for side in self.y.shape)
        some = cv2.resize(self.y, (width, height), interpolation=cv2.INTER_NEAREST)
        return cv2.LUT(some, _levels(float(self.mix[0, 0])))  # type: ignore[return-value]

    def patch(self, rows: range, columns: range) -> NDArray[np.uint8]:
        """RGB (R, C, 3) of some pixels; colours are the nearest."""
        import cv2

        down, across = np.array(rows) // 2, np.array(columns) // 2
        y = self.y[rows.start : rows.stop : rows.step, columns.start : columns.stop : columns.step]
        u, v = (plane.take(down, 0).take(across, 1) for plane in (self.u, self.v))
        return cv2.transform(cv2.merge([y, u, v]), self.mix)  # type: ignore[return-value]

    def rows(self, step: int) -> NDArray[np.uint8]:
        """Every so many-th row's brightness, as stored."""
        return self.y[::step]


@dataclass(frozen=True)
class Stored:
    """A picture that the decoder has decoded and nobody has converted yet."""

    frame: "VideoFrame"
    view: View

    def planes(self) -> Planes | None:
        """Its numbers as they lie in memory; None where they are of another kind."""
        frame, view = self.frame, self.view
        mix = _mix_of(frame, view)
        if mix is None or view.size != (frame.width, frame.height):
            return None
        height, width = -(-frame.height // 2), -(-frame.width // 2)
        y, *colours = (np.frombuffer(p, np.uint8).reshape(-1, p.line_size) for p in frame.planes)  # type: ignore[call-overload]
        if len(colours) == 1:  # u and v, number by number
            pairs = colours[0][:height, : 2 * width].reshape(height, width, 2)
            u, v = pairs[..., 0], pairs[..., 1]
        else:
            u, v = (plane[:height, :width] for plane in colours)
        y = y[: frame.height, : frame.width]
        return Planes(view.turned(y), view.turned(u), view.turned(v), mix)


@dataclass(frozen=True)
class OnGpu:
    """A picture that a GPU has decoded, in its memory: as :class:`Planes`, but tensors."""

    y: "Tensor"
    u: "Tensor"
    v: "Tensor"
    mix: NDArray[np.float32]

    @classmethod
    def of(cls, frame: "VideoFrame", view: View) -> "OnGpu":
        """A copy: the decoder has room for few of its own."""
        from torch.utils.dlpack import from_dlpack

        mix = _mix_of(frame, view)
        assert mix is not None  # or nobody would have asked the GPU
        y, pairs = (from_dlpack(plane.__dlpack__()).clone() for plane in frame.planes)

        def turned(plane: "Tensor") -> "Tensor":
            plane = plane.flip(1) if view.mirrored else plane
            return plane.rot90(-view.rotation // 90) if view.rotation else plane

        return cls(turned(y), turned(pairs[..., 0]), turned(pairs[..., 1]), mix)

    def grey(self, step: int) -> NDArray[np.uint8]:
        """As :meth:`Planes.grey`."""
        return Planes(self._here(self.y[::step, ::step]), *NO_COLOURS, self.mix).grey(1)

    def patch(self, rows: range, columns: range) -> NDArray[np.uint8]:
        """As :meth:`Planes.patch`, of which only the pixels around are fetched."""
        top, left = rows.start // 2, columns.start // 2
        bottom, right = -(-rows.stop // 2), -(-columns.stop // 2)
        around = self._here(self.y[2 * top : 2 * bottom, 2 * left : 2 * right])
        u, v = (self._here(plane[top:bottom, left:right]) for plane in (self.u, self.v))
        down = range(rows.start - 2 * top, rows.stop - 2 * top, rows.step)
        across = range(columns.start - 2 * left, columns.stop - 2 * left, columns.step)
        return Planes(around, u, v, self.mix).patch(down, across)

    def rows(self, step: int) -> NDArray[np.uint8]:
        """As :meth:`Planes.rows`."""
        return self._here(self.y[::step])

    @staticmethod
    def _here(plane: "Tensor") -> NDArray[np.uint8]:
        return plane.contiguous().cpu().numpy()


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes
    ----------
    picture
        RGB uint8 (H, W, 3) as displayed, or what it can be made of.
    index, time
        In the file, and seconds.
    """

    picture: NDArray[np.uint8] | Stored | OnGpu
    index: int
    time: float

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """RGB uint8 (H, W, 3), as displayed."""
        if isinstance(self.picture, Stored):
            return self.picture.view.picture(self.picture.frame)
        if isinstance(self.picture, OnGpu):
            height, width = self.picture.y.shape
            return self.picture.patch(range(height), range(width))
        return self.picture

    @cached_property
    def planes(self) -> Planes | OnGpu | None:
        """What the decoder gave, as displayed, where that is to be had."""
        if isinstance(self.picture, Stored):
            return self.picture.planes()
        return self.picture if isinstance(self.picture, OnGpu) else None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        if isinstance(self.picture, Stored):
            return self.picture.view.displayed
        shape = self.picture.y.shape if isinstance(self.picture, OnGpu) else self.picture.shape
        return shape[1], shape[0]

    def grey(self, step: int) -> NDArray[np.uint8]:
        """Brightness of every so many-th pixel in both directions, in [0, 255]."""
        import cv2

        if self.planes is not None:
            return self.planes.grey(step)
        size = -(-self.size[0] // step), -(-self.size[1] // step)
        small: Any = cv2.resize(self.image, size, interpolation=cv2.INTER_NEAREST)
        return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]

    def patch(self, rows: range, columns: range) -> NDArray[np.uint8]:
        """RGB (R, C, 3) of some pixels."""
        if self.planes is not None:
            return self.planes.patch(rows, columns)
        down = slice(rows.start, rows.stop, rows.step)
        return self.image[down, columns.start : columns.stop : columns.step]

    def rows(self, step: int) -> NDArray[np.uint8]:
        """Every so many-th row, brightness or RGB."""
        return self.image[::step] if self.planes is None else self.planes.rows(step)

    def converted(self) -> "Frame":
        """The same, its picture RGB."""
        return Frame(self.image, self.index, self.time)


@cache
def mix_of(space: int, full: bool) -> NDArray[np.float32]:
    """What makes RGB of y, u, v and 1 (3, 4), after ITU-R BT.601 and BT.709.

    Parameters
    ----------
    space
        FFmpeg's number of it.
    full
        Whether the numbers use all of 0 to 255, and not 16 to 235 (colours: 240).
    """
    red, blue = SHARES[space]
    green = 1 - red - blue
    bright, colour, black = (1.0, 1.0, 0) if full else (255 / 219, 255 / 224, 16)
    u, v = 2 * colour * (1 - blue), 2 * colour * (1 - red)
    mix = np.array([[1, 0, v], [1, -u * blue / green, -v * red / green], [1, u, 0]])
    mix[:, 0] = bright
    return np.hstack([mix, -mix @ [[black], [128], [128]]]).astype(np.float32)


def _mix_of(frame: "VideoFrame", view: View) -> NDArray[np.float32] | None:
    """What makes RGB of a frame's planes; None where they are not 4:2:0 of 8 bits."""
    form = (frame.sw_format or frame.format).name
    space = view.colourspace or (BT601 if frame.colorspace in LIKE_BT601 else frame.colorspace)
    if form not in HALVED or space not in SHARES:
        return None
    return mix_of(space, frame.color_range == FULL_RANGE or form == "yuvj420p")


@cache
def _levels(scale: float) -> NDArray[np.uint8]:
    """Brightness as stored to brightness in [0, 255], a table."""
    black = 0 if scale == 1 else 16
    return np.clip(np.rint((np.arange(256) - black) * scale), 0, 255).astype(np.uint8)


def _turn(frame: "VideoFrame") -> tuple[int, bool]:
    """Degrees clockwise, after mirroring left and right, that the display matrix asks for.

    The matrix is ISO/IEC 14496-12's: 3 x 3 numbers of 32 bits, of which [[a, b], [c, d]] (at 0, 1,
    3, 4) map x to (a, b) and y to (c, d), y down.
    """
    side: Any = frame.side_data.get("DISPLAYMATRIX")
    if side is None or len(bytes(side)) < 36:
        return 0, False
    a, b, _, c, d = np.frombuffer(bytes(side), np.int32, 5).astype(float)
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return round(np.degrees(np.arctan2(b, a)) / 90) % 4 * 90, bool(mirrored)
