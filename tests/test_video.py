"""Frames, indices and times of files as they come from phones, screens and accidents."""

import struct
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from conftest import write_clip
from numpy.typing import NDArray

from pose3d.encode import VideoWriter
from pose3d.errors import PoseError
from pose3d.video import Video, read_ahead

UNIT = 1 << 16  # 1.0 in a display matrix
COLOURS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [200, 200, 30]], np.uint8)


def numbered(n: int, size: tuple[int, int] = (320, 240)) -> NDArray[np.uint8]:
    """A textured picture that says its number: 16 bars, light for a 1 of the number in binary."""
    width, height = size
    coarse = np.random.default_rng(n).integers(60, 190, (height // 8, width // 4, 3), np.uint8)
    picture = np.repeat(np.repeat(coarse, 8, 0), 4, 1)
    for bit in range(16):
        left = bit * width // 16
        picture[: height // 2, left : left + width // 16] = 255 if n >> bit & 1 else 0
    return picture


def number(picture: NDArray[np.uint8]) -> int:
    """The number of such a picture."""
    height, width = picture.shape[:2]
    bars = picture[height // 8 : height * 3 // 8].reshape(-1, 16, width // 16, 3).mean((0, 2, 3))
    return int((bars > 128) @ (1 << np.arange(16)))


def write(
    path: Path,
    times: NDArray[np.integer],
    base: Fraction = Fraction(1, 30),
    faststart: bool = True,
    **options: str,
) -> Path:
    """A video of numbered pictures at times given in ticks."""
    container_options = {"movflags": "+faststart"} if faststart and path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=container_options) as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "12", **options})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.codec_context.time_base = base
        for n, stamp in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered(n), "rgb24")
            frame.pts, frame.time_base = int(stamp), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut(path: Path, share: float) -> Path:
    """The first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_frames_come_whole_in_order_and_on_time(tmp_path: Path, suffix: str) -> None:
    video = Video(write(tmp_path / f"clip{suffix}", np.arange(40)))
    frames = list(video)
    assert [number(frame.image) for frame in frames] == list(range(40))
    assert [frame.index for frame in frames] == list(range(40))
    exact = 5e-4 if suffix == ".mkv" else 1e-9  # Matroska counts milliseconds
    np.testing.assert_allclose([f.time for f in frames], np.arange(40) / 30, atol=exact)
    assert frames[0].time == 0
    info = video.info
    assert (info.width, info.height, info.rotation) == (320, 240, 0)
    assert info.fps == pytest.approx(30)
    assert info.frames == 40
    assert frames[0].image.shape == (240, 320, 3)
    assert frames[0].image.dtype == np.uint8
    assert frames[0].image.flags.c_contiguous
    assert video.warnings == []


def test_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).integers(200, 9000, 50)
    stamps = 5000 + np.cumsum(steps)
    path = write(tmp_path / "phone.mp4", stamps, Fraction(1, 90_000))
    frames = list(Video(path))
    expected = (stamps - stamps[0]) / 90_000
    np.testing.assert_allclose([f.time for f in frames], expected, atol=1e-9)

    copy = tmp_path / "copy.mp4"
    with VideoWriter(copy) as sink:
        for frame in frames:
            sink.write(frame.image, frame.time)
    np.testing.assert_allclose([f.time for f in Video(copy)], expected, atol=0.5 / 120_000)
    assert [number(f.image) for f in Video(copy)] == list(range(50))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
@pytest.mark.parametrize("gop", ["open-gop=1", "bframes=0"])
def test_a_range_is_what_reading_it_all_would_give(tmp_path: Path, suffix: str, gop: str) -> None:
    path = write(tmp_path / f"clip{suffix}", np.arange(60), **{"x264-params": gop})
    everything = [(f.index, f.time, number(f.image)) for f in Video(path)]
    assert [n for _, _, n in everything] == list(range(60))
    for start, end in [(0, 0.5), (1.0, 1.5), (0.41, None), (1.9, 60.0), (59 / 30, None)]:
        until = float("inf") if end is None else end
        part = [(f.index, f.time, number(f.image)) for f in Video(path, start, end)]
        assert part == [f for f in everything if start - 1e-6 <= f[1] < until - 1e-6]
        assert part


def test_a_range_is_found_without_decoding_what_lies_before(tmp_path: Path) -> None:
    """The pictures before the last key frame are broken, and nobody minds."""
    path = write(tmp_path / "clip.mp4", np.arange(60), **{"x264-params": "open-gop=0"})
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        doomed = [(p.pos, p.size) for p in packets if p.pts < 30 * packets[0].duration][3:]
    content = bytearray(path.read_bytes())
    for place, size in doomed:
        content[place + 5 : place + size] = bytes(size - 5)
    path.write_bytes(content)
    video = Video(path, start=1.7)
    assert [f.index for f in video] == list(range(51, 60))
    assert [number(f.image) for f in video] == list(range(51, 60))
    assert video.warnings == []


def test_damage_in_the_middle_costs_only_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", np.arange(48), **{"x264-params": "bframes=0:keyint=1"})
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][20]
        place = path.read_bytes().index(bytes(packet))
    content = bytearray(path.read_bytes())
    content[place : place + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    video = Video(path)
    frames = list(video)
    others = [n for n in range(48) if n != 20]
    assert [f.index for f in frames] == others
    assert [number(f.image) for f in frames] == others
    np.testing.assert_allclose([f.time for f in frames], np.array(others) / 30, atol=1e-3)
    assert video.warnings == ["1 damaged frames were left out"]


def test_no_frame_in_the_range(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", np.arange(6))
    with pytest.raises(PoseError, match="--start"):
        list(Video(path, start=5))


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_file_cut_off_gives_all_before_the_cut(tmp_path: Path, suffix: str, share: float) -> None:
    path = write(tmp_path / f"clip{suffix}", np.arange(60))
    with av.open(str(path)) as container:
        size = path.stat().st_size
        packets = [p for p in container.demux(video=0) if p.size]
    # pos is where a packet's block begins in Matroska, some bytes before its content.
    whole = [p.pts for p in packets if p.pos + p.size + 20 <= int(size * share)]
    last = 0  # how far the frames go without one missing
    order = sorted(p.pts for p in packets)
    while last < 60 and order[last] in whole:
        last += 1
    video = Video(cut(path, share))
    seen = [number(f.image) for f in video]
    assert seen[:last] == list(range(last))
    assert last > 5
    assert len(video.warnings) == 1
    assert "breaks off" in video.warnings[0]


def test_a_stream_cut_off_gives_all_before_the_cut(tmp_path: Path) -> None:
    path = cut(write(tmp_path / "clip.ts", np.arange(60), **{"x264-params": "bframes=0"}), 0.7)
    seen = [number(f.image) for f in Video(path)]
    assert 30 < len(seen) < 50
    assert seen == list(range(len(seen)))


def test_a_file_without_an_index_says_so(tmp_path: Path) -> None:
    path = cut(write(tmp_path / "clip.mp4", np.arange(20), faststart=False), 0.7)
    with pytest.raises(PoseError, match="not a video that can be read"):
        Video(path)


MATRICES = {  # a, b, c, d: x becomes (a, b), y becomes (c, d), y down
    "none": ((1, 0, 0, 1), 0),
    "clockwise": ((0, 1, -1, 0), 90),
    "half": ((-1, 0, 0, -1), 180),
    "counterclockwise": ((0, -1, 1, 0), 270),
    "mirrored": ((-1, 0, 0, 1), 0),
    "mirrored clockwise": ((0, -1, -1, 0), 90),
}


@pytest.mark.parametrize("name", MATRICES)
def test_pictures_are_turned_as_the_file_says(tmp_path: Path, name: str) -> None:
    matrix, rotation = MATRICES[name]
    stored = np.repeat(np.repeat(COLOURS.reshape(2, 2, 3), 60, 0), 80, 1)
    path = tmp_path / "phone.mp4"
    with VideoWriter(path, quality=5) as sink:
        for n in range(3):
            sink.write(stored, n / 30)
    content = bytearray(path.read_bytes())
    a, b, c, d = (UNIT * v for v in matrix)
    place = content.index(b"tkhd") + 4 + 40  # version 0: the matrix comes 40 bytes into it
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)

    video = Video(path)
    frames = list(video)
    height, width = (160, 120) if rotation in (90, 270) else (120, 160)
    assert (video.info.width, video.info.height) == (width, height)
    assert video.info.rotation == rotation
    for row in (0, 1):
        for column in (0, 1):
            x, y = 2 * column - 1, 2 * row - 1  # of the stored quarter's middle, from the centre
            shown = matrix[0] * x + matrix[2] * y, matrix[1] * x + matrix[3] * y
            at = frames[0].image[height * (2 + shown[1]) // 4, width * (2 + shown[0]) // 4]
            expected = COLOURS[2 * row + column].astype(int)
            assert np.abs(at - expected).max() < 12


def test_pixels_are_made_square(tmp_path: Path) -> None:
    path = tmp_path / "tv.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 180, 144, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(16, 9)
        stream.sample_aspect_ratio = Fraction(16, 9)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(0, (180, 144)), "rgb24")))
        container.mux(stream.encode())
    video = Video(path)
    assert (video.info.width, video.info.height) == (320, 144)
    assert next(iter(video)).image.shape == (144, 320, 3)


@pytest.mark.parametrize(
    ("space", "matrix", "full"),
    [(1, (0.2126, 0.0722), False), (5, (0.299, 0.114), False), (1, (0.2126, 0.0722), True)],
)
def test_colours_follow_the_files_colour_space(
    tmp_path: Path, space: int, matrix: tuple[float, float], full: bool
) -> None:
    """Y'CbCr made here by the definition of BT.709 and BT.601 comes back as the same RGB."""
    rgb = COLOURS.astype(float)
    red, blue = matrix
    luma = rgb @ [red, 1 - red - blue, blue]
    cb, cr = (rgb[:, 2] - luma) / (2 - 2 * blue), (rgb[:, 0] - luma) / (2 - 2 * red)
    scale, offset = (1.0, 0) if full else (219 / 255, 16)
    chroma = 1.0 if full else 224 / 255
    planes = [offset + scale * luma, 128 + chroma * cb, 128 + chroma * cr]
    path = tmp_path / "colours.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        stream.codec_context.colorspace = space
        stream.codec_context.color_range = 2 if full else 1
        wide = np.concatenate(
            [
                np.tile(np.repeat(p.round().astype(np.uint8), 32 // s), (64 // s, 1)).ravel()
                for p, s in zip(planes, (1, 2, 2), strict=True)
            ]
        )
        frame = av.VideoFrame.from_ndarray(wide.reshape(96, 128), "yuv420p")
        frame.colorspace, frame.color_range = space, 2 if full else 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    picture = next(iter(Video(path))).image
    found = picture[32, 16::32].astype(int)
    assert np.abs(found - rgb).max() <= 3


def test_written_videos_play_in_browsers(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    with VideoWriter(path, fps=25) as sink:
        for n in range(5):
            sink.write(numbered(n)[:239, :319], 10 + n / 25)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (320, 240)
        assert stream.codec_context.colorspace == 6
        assert float(stream.duration * stream.time_base) == pytest.approx(5 / 25)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    frames = list(Video(path))
    np.testing.assert_allclose([f.time for f in frames], np.arange(5) / 25, atol=1e-9)
    assert [number(f.image) for f in frames] == list(range(5))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.mp4", None, "no such file"),
        ("notes.mp4", b"Dear diary,\n" * 50, "not a video that can be read"),
        ("notes.txt", b"Dear diary,\n" * 50, "no video"),
        ("empty.mp4", b"", "not a video that can be read"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", "not a video that"),
    ],
)
def test_what_is_no_video(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PoseError) as error:
        Video(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_sound_and_folders_are_no_video(tmp_path: Path) -> None:
    sound = tmp_path / "song.m4a"
    with av.open(str(sound), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(PoseError, match="only sound"):
        Video(sound)
    with pytest.raises(PoseError, match="is not a file"):
        Video(tmp_path)


def test_names_with_colons_are_files(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=3).rename(tmp_path / "a:b.mp4")
    assert len(list(Video(path))) == 3


def test_one_frame(tmp_path: Path) -> None:
    [frame] = Video(write_clip(tmp_path / "one.mp4", frames=1))
    assert (frame.index, frame.time) == (0, 0.0)


def counting(limit: int, done: list[str]) -> Iterator[int]:
    """Numbers; leaves a word in `done` when it is closed."""
    try:
        for n in range(limit):
            done.append(str(n))
            yield n
    finally:
        done.append("closed")


def threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "read_ahead"]


def test_read_ahead_gives_the_same_items() -> None:
    assert list(read_ahead(counting(100, []), 3)) == list(range(100))
    assert list(read_ahead([], 3)) == []
    assert not threads()


def test_read_ahead_is_ahead_by_its_depth() -> None:
    done: list[str] = []
    ahead = read_ahead(counting(100, done), 3)
    assert next(ahead) == 0
    until = time.monotonic() + 5
    while len(done) < 5 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    assert done == ["0", "1", "2", "3", "4"]  # one taken, three waiting, one in the making
    ahead.close()


def test_read_ahead_ends_with_its_reader() -> None:
    done: list[str] = []
    ahead = read_ahead(counting(10**9, done), 2)
    next(ahead)
    ahead.close()
    assert not threads()
    assert done[-1] == "closed"


def test_read_ahead_passes_errors_on() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise PoseError("no more")

    ahead = read_ahead(broken(), 2)
    assert next(ahead) == 1
    with pytest.raises(PoseError, match="no more"):
        next(ahead)
    assert not threads()


def test_read_ahead_ends_when_interrupted() -> None:
    def work() -> None:
        for _ in read_ahead(counting(10**9, []), 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    until = time.monotonic() + 5
    while threads() and time.monotonic() < until:
        time.sleep(0.01)
    assert not threads()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_what_no_gpu_decodes_is_decoded_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "clip.mp4", np.arange(12))
    frames = list(Video(path).stored(gpu=0))
    assert [number(frame.image) for frame in frames] == list(range(12))
    assert "the CPU does" in caplog.text
