"""The sound of the source, for videos that are made from it."""

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose3d.decode import base_of, opened

if TYPE_CHECKING:  # av takes longer than all of `pose3d --help`
    from av import Packet

COPIED = frozenset(["aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"])  # that an MP4 may hold
FALLBACK = "aac"


def add_audio(path: Path, source: Path, begin: float, end: float) -> bool:
    """Add the source's sound to an MP4 that shows a part of it; the pictures stay as they are.

    Sound that MP4 may hold is copied, other is encoded as AAC.

    Parameters
    ----------
    path
        The MP4, whose first frame is the source's at `begin`; replaced.
    source
        A video, with or without sound.
    begin, end
        Of the part, seconds since the source's first frame.

    Returns
    -------
    bool
        False if there is no sound: then nothing is done.
    """
    import av

    part = path.with_name(f"{path.stem}.sound{path.suffix}")
    try:
        with ExitStack() as stack:
            heard, pictures = stack.enter_context(opened(source))
            if not heard.streams.audio:
                return False
            sound = heard.streams.audio[0]
            first = (pictures.start_time or 0) * base_of(pictures) + Fraction(begin)
            drawn = stack.enter_context(av.open(f"file:{path}"))
            options = {"movflags": "+faststart"}
            out = stack.enter_context(av.open(f"file:{part}", "w", format="mp4", options=options))
            film = out.add_stream_from_template(drawn.streams.video[0])
            if sound.codec_context.name in COPIED:
                track: Any = out.add_stream_from_template(sound)
                packets = _copied(heard.demux(sound), track, first, end - begin)
            else:
                track = out.add_stream(FALLBACK, rate=sound.rate)
                packets = _encoded(heard.decode(sound), track, first, end - begin)
            both = heapq.merge(_moved(drawn.demux(video=0), film), packets, key=_when)
            for packet in both:
                out.mux(packet)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return True


def _when(packet: "Packet") -> Fraction:
    return (packet.dts or 0) * Fraction(packet.time_base)


def _moved(packets: "Iterator[Packet]", stream: Any) -> "Iterator[Packet]":
    for packet in packets:
        if packet.dts is not None:  # the empty one at the end has none
            packet.stream = stream
            yield packet


def _copied(
    packets: "Iterator[Packet]", stream: Any, first: Fraction, seconds: float
) -> "Iterator[Packet]":
    """Packets of the part, their times counted from its begin."""
    for packet in packets:
        if packet.pts is None or packet.dts is None:
            continue
        base = Fraction(packet.time_base)
        time = packet.pts * base - first
        if time < 0:
            continue
        if time >= seconds:
            return
        shift = round(first / base)
        packet.pts -= shift
        packet.dts -= shift
        packet.stream = stream
        yield packet


def _encoded(
    frames: Iterator[Any], stream: Any, first: Fraction, seconds: float
) -> "Iterator[Packet]":
    for frame in frames:
        time = float(frame.pts * Fraction(frame.time_base) - first)
        if time < 0:
            continue
        if time >= seconds:
            break
        frame.pts = round(time * frame.sample_rate)
        frame.time_base = Fraction(1, frame.sample_rate)
        yield from stream.encode(frame)
    yield from stream.encode(None)
