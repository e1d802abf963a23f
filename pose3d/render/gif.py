"""An animated GIF: small, and shown wherever pictures are."""

from fractions import Fraction
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pose3d.look import Look
from pose3d.progress import Progress
from pose3d.render.painter import Limits, Reel
from pose3d.sequence import Recording

if TYPE_CHECKING:  # av takes longer than all of `pose3d --help`
    from av.filter import Graph

LIMITS = Limits(lowest=240, highest=300, widest=534)
INTERVAL = 0.08  # seconds from picture to picture at least
TICKS = 100  # a second: GIF counts in hundredths


def render_gif(
    recording: Recording,
    video_path: str | PathLike[str] | None,
    out_path: str | PathLike[str],
    progress: Progress | None = None,
    look: Look | None = None,
) -> None:
    """Write an animated GIF of a recording, 12.5 pictures a second at most, which repeats.

    Every picture has a palette of its own, so that memory does not grow with the length.

    Parameters
    ----------
    recording, video_path, out_path, progress, look
        As for :func:`pose3d.render.render_video`; GIFs are up to 300 pixels high.

    Raises
    ------
    PoseError
        If the video cannot be read, or has other frames than the recording.
    """
    import av

    reel = Reel(recording, video_path, look or Look(), LIMITS)
    begin, last = None, -1
    with av.open(f"file:{out_path}", "w", format="gif") as out:
        for picture in reel.pictures(progress or Progress()):
            begin = picture.time if begin is None else begin
            stamp = round((picture.time - begin) * TICKS)
            if last >= 0 and picture.time - begin < last / TICKS + INTERVAL - 0.5 / TICKS:
                continue
            if last < 0:
                height, width = picture.image.shape[:2]
                stream = out.add_stream("gif", rate=round(1 / INTERVAL))
                stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
                stream.codec_context.time_base = Fraction(1, TICKS)
                palettes = _palettes(width, height)
            last = stamp
            out.mux(stream.encode(_reduced(palettes, picture.image, stamp)))
        if last >= 0:
            out.mux(stream.encode(None))


def _palettes(width: int, height: int) -> "Graph":
    """A filter that gives every picture the 256 colours that suit it best."""
    from av import VideoFormat
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(format=VideoFormat("rgb24", width, height), width=width,
                              height=height, time_base=Fraction(1, TICKS))  # fmt: skip
    split = graph.add("split")
    colours = graph.add("palettegen", "stats_mode=single")
    reduce = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
    source.link_to(split)
    split.link_to(reduce, 0, 0)
    split.link_to(colours, 1, 0)
    colours.link_to(reduce, 0, 1)
    reduce.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _reduced(graph: "Graph", image: NDArray[np.uint8], stamp: int) -> Any:
    import av

    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
    frame.pts, frame.time_base = stamp, Fraction(1, TICKS)
    graph.push(frame)
    return graph.pull()
