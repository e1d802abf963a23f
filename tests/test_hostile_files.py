"""Files made to do harm, and files that only claim a lot: refused in a line, at little cost.

What fuzzing found is in test_fuzz_corpus.py, weights are in weights/test_hostile.py.
"""

import io
import json
import os
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from conftest import write_clip

from pose3d import limits, npz, read2d
from pose3d.encode import VideoWriter
from pose3d.errors import PoseError
from pose3d.parse import from_json, from_toml, read_bytes
from pose3d.pictures import read_picture
from pose3d.read2d import found, json_files, mediapipe, videopose3d
from pose3d.sequence import Recording
from pose3d.video import Video

SIZE = (640, 480)
_LOADED = found, json_files, mediapipe, videopose3d  # before memory is measured


def refused(read: Callable[[], object], words: str, megabytes: float = 50) -> None:
    tracemalloc.start()
    with pytest.raises(PoseError, match=words) as caught:
        read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(caught.value).isprintable()
    assert peak < megabytes * 1e6


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/") + ".npy", content)
    return path


def array(descr: str = "'<f4'", shape: str = "(3,)", data: bytes = bytes(12)) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return npz.MAGIC + b"\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (array(shape="(1099511627775,)"), "impossible shape|another size"),
        (array(shape="(999999999999, 999999999999)"), "another size"),
        (array(shape="(4,)"), "another size"),
        (array(shape="(2,)"), "another size"),
        (array(shape="(-3,)"), "damaged header"),
        (array(shape="(1.5,)"), "damaged header"),
        (array(shape="(" + "1," * 9 + ")"), "impossible shape"),
        (array(shape="(0, 999999999999, 999999999999)", data=b""), "damaged"),
        (array(descr="'|O'"), "objects"),
        (array(descr="[('a', '<f4')]"), "records"),
        (array(descr="'<c8'"), "neither numbers"),
        (array(descr="'<U999999999'", shape="(0,)", data=b""), "no type|no text"),
        (array(descr="'<U0'"), "empty text"),
        (
            array(descr="'<U3'", shape="()", data=b"a\0\0\0\xff\xff\xff\xffb\0\0\0"),
            "no text|no array",
        ),
        (b"not an array", "no array"),
        (npz.MAGIC + b"\x02\x00\xff\xff\xff\xff" + bytes(100), "endless header"),
        (b"", "no array"),
    ],
)
def test_arrays_that_claim_too_much(content: bytes, words: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.pose3d.npz", meta=content)
    refused(lambda: Recording.load(path), words)
    path = archive(tmp_path / "a.npz", pose=content)
    refused(lambda: read2d.read(path, fps=25, size=SIZE), words)


def test_what_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "a.npz", pose=array(shape="(75000000,)", data=bytes(300_000_000)))
    assert path.stat().st_size < 400_000
    refused(lambda: Recording.load(path), "unpack to over 256 MiB")
    refused(lambda: read2d.read(path, fps=25, size=SIZE), "unpack to over 256 MiB")
    monkeypatch.setattr(limits, "MEMBERS", 3)
    refused(lambda: Recording.load(archive(path, a=b"", b=b"", c=b"", d=b"")), "4 arrays")


def test_archives_packed_in_other_ways(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for way in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        with zipfile.ZipFile(path, "w", way) as file:
            file.writestr("meta.npy", array())
        refused(lambda: Recording.load(path), "packed in a way")


def test_arrays_come_back_whole(tmp_path: Path) -> None:
    """Every kind that numpy writes, also what Python 2 did."""
    arrays = {
        "text": np.array("naïve 走路"),
        "truth": np.array([True, False]),
        "big": np.arange(6, dtype=">i4").reshape(2, 3),
        "columns": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        "nothing": np.zeros((0, 17, 2), np.float32),
    }
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "a.npz", **arrays)
        with npz.opened(tmp_path / "a.npz") as found:
            assert sorted(found.names) == sorted(arrays)
            for name, expected in arrays.items():
                assert found[name].dtype == expected.dtype
                np.testing.assert_array_equal(found[name], expected)
                assert found[name].flags.writeable
    path = archive(tmp_path / "b.npz", old=array(shape="(3L,)"))
    with npz.opened(path) as found:
        assert found["old"].shape == (3,)


def changed(path: Path, recording: Recording, **arrays: Any) -> Path:
    recording.save(path)
    with np.load(path) as file:
        content = dict(file)
    content |= {name.replace("__", "/"): np.asarray(value) for name, value in arrays.items()}
    np.savez(path, **content)
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"person_0__frame": np.arange(50) * 2}, "not in a row"),
        ({"person_0__frame": np.arange(50) - 1}, "not in a row"),
        ({"person_0__frame": np.arange(50) + 2**40}, "not in a row"),
        ({"person_0__frame": np.arange(50.0)}, "frame is of shape"),
        ({"person_0__time": np.zeros(50)}, "do not rise"),
        ({"person_0__time": np.full(50, np.nan)}, "do not rise"),
        ({"person_0__time": np.arange(50.0) - 1}, "do not rise"),
        ({"person_0__time": np.arange(50) * 1e6}, "beyond 168 hours"),
        ({"person_0__keypoints_2d": np.full((50, 17, 2), np.inf)}, "beyond everything"),
        ({"person_0__keypoints_2d": np.full((50, 17, 2), 1e30)}, "beyond everything"),
        ({"person_0__keypoints_2d": np.zeros((50, 17, 3))}, "of shape"),
        ({"person_0__score_2d": np.full((50, 17), 2.0)}, "outside of 0 to 1"),
        ({"person_0__score_2d": np.full((50, 17), np.nan)}, "outside of 0 to 1"),
        ({"person_0__id": 2}, "same number"),
        ({"person_0__id": 2**40}, "impossible number"),
        ({"person_0__id": -1}, "impossible number"),
        ({"person_0__id": "x"}, "id is of shape"),
        ({"person_7__id": 3}, "lacks"),
        ({"meta": 7}, "no text"),
        ({"meta": "[]"}, "its facts"),
        ({"meta": "{"}, "not a recording"),
        ({"meta": "[" * 5000}, "deep"),
        ({"meta": json.dumps({"a": [[[]]] * 3, "b": json.loads("[" * 90 + "]" * 90)})}, "deep"),
        ({"meta": '{"source": {"size": [1e999, 4]}}'}, "size"),
        ({"meta": '{"source": {"size": [640]}}'}, "size"),
        ({"meta": '{"source": {"frames": 1e12}}'}, "frames"),
        ({"meta": '{"source": {"fps": NaN}}'}, "fps"),
        ({"meta": '{"source": 3}'}, "source"),
        ({"meta": '{"source": null}'}, "source"),
        ({"meta": '{"warnings": null}'}, "warnings"),
        ({"meta": '{"camera": {"K": [[1]]}}'}, "K"),
        ({"meta": '{"camera": {"K": [[0,0,0],[0,0,0],[0,0,0]]}}'}, "K"),
        ({"meta": '{"scenes": [{"frame": -1, "still": true}]}'}, "scenes"),
        ({"meta": '{"steps": [3]}'}, "steps"),
    ],
)
def test_recordings_that_cannot_be(
    changes: dict[str, Any], words: str, recording: Recording, tmp_path: Path
) -> None:
    path = changed(tmp_path / "a.npz", recording, **changes)
    refused(lambda: Recording.load(path), words)


def test_people_without_a_row(recording: Recording, tmp_path: Path) -> None:
    person = recording.people[0]
    nothing = {name: array[:0] for name, array in vars(person.keypoints).items()}
    bare = replace(person, keypoints=replace(person.keypoints, **nothing), pose=None)
    replace(recording, people=(bare,)).save(tmp_path / "a.npz")
    refused(lambda: Recording.load(tmp_path / "a.npz"), "is nowhere")


def test_a_gap_that_no_mp4_holds(tmp_path: Path) -> None:
    picture = np.zeros((16, 16, 3), np.uint8)

    def write() -> None:
        with VideoWriter(tmp_path / "a.mp4") as sink:
            for time in (0, 5e5, 6e5):
                sink.write(picture, time)

    refused(write, "no gaps of several hours")


def test_recordings_of_other_numbers_are_read(recording: Recording, tmp_path: Path) -> None:
    """Wider and narrower floats are fine: scripts write them."""
    keypoints = recording.people[0].keypoints
    path = changed(
        tmp_path / "a.npz",
        recording,
        person_0__box=keypoints.box.astype(float),
        person_0__frame=keypoints.frame.astype(np.uint16),
    )
    found = Recording.load(path).people[0].keypoints
    np.testing.assert_array_equal(found.box, keypoints.box)
    assert found.box.dtype == np.float32 and found.frame.dtype == np.int64


def test_few_people_cannot_claim_many_rows(tmp_path: Path) -> None:
    """A few numbers in a file would fill gigabytes with the frames between them.

    Times of frames are there already: 8 bytes each, several times.
    """
    point = [10.0, 20.0, 0.9] * 17
    entries = [
        {"image_id": frame, "keypoints": point, "score": 1.0, "track_id": n}
        for n in range(20)
        for frame in range(n % 2, 9_500_000, 950_000)
    ]
    path = tmp_path / "a.json"
    frames = [
        {"frame_id": e["image_id"], "instances": [
            {"keypoints": [[1.0, 2.0]] * 17, "track_id": e["track_id"]}]}
        for e in entries
    ]  # fmt: skip
    path.write_text(json.dumps(frames))
    refused(lambda: read2d.read(path, fps=25, size=SIZE), "hardly ever there", megabytes=900)


def test_long_and_crowded_keypoints_are_read(tmp_path: Path) -> None:
    """An hour between two people, and three hundred people at once, are no attack."""
    person = {"keypoints": [[5.0, 6.0], *[[30.0, 90.0]] * 16], "keypoint_scores": [0.9] * 17}
    frames = [{"frame_id": n, "instances": [person]} for n in (*range(30), *range(90_000, 90_030))]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(frames))
    recording = read2d.read(path, fps=25, size=SIZE)
    assert [len(p.keypoints) for p in recording.people] == [30, 30]
    assert recording.people[1].keypoints.time[0] == 3600
    crowd = [
        {**person, "keypoints": [[5.0 + 40 * n, 6.0], *[[30.0 + 40 * n, 90.0]] * 16], "track_id": n}
        for n in range(300)
    ]
    path.write_text(json.dumps([{"frame_id": n, "instances": crowd} for n in range(2)]))
    assert len(read2d.read(path, fps=25, size=(12000, 480))) == 300


def test_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for read in (
        lambda: read2d.read(tmp_path / "pipe.json", fps=25, size=SIZE),
        lambda: Video(tmp_path / "pipe.json"),
        lambda: read_picture(tmp_path / "pipe.json"),
        lambda: read_bytes(Path("/dev/zero"), 100),
    ):
        refused(read, "no(t a)? file|neither")
    (tmp_path / "a").write_bytes(bytes(101))
    assert len(read_bytes(tmp_path / "a", 101)) == 101
    refused(lambda: read_bytes(tmp_path / "a", 100), "larger than 100 bytes")


def test_text_is_parsed_up_to_a_depth() -> None:
    deep = limits.JSON_DEPTH
    assert from_json("[" * deep + "]" * deep)
    for levels in (deep + 2, 500, 100_000):
        with pytest.raises(ValueError, match="deep"):
            from_json("[" * levels + "]" * levels)
    for text in ("a = " + "[" * 5000, "[" + "a." * 100_000 + "b]"):
        with pytest.raises(ValueError, match=r"deep|longer"):
            from_toml(text)


def test_a_picture_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    content[16:24] = (30_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    refused(lambda: read_picture(tmp_path / "a.png"), "too large")
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((20, 30, 3), np.uint8))
    assert read_picture(tmp_path / "b.png").shape == (20, 30, 3)
    monkeypatch.setattr(limits, "PICTURE_PIXELS", 599)
    refused(lambda: read_picture(tmp_path / "b.png"), "too large")
    monkeypatch.setattr(limits, "PICTURE_BYTES", 10)
    refused(lambda: read_picture(tmp_path / "b.png"), "larger than 10 bytes")


def test_a_video_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=3, size=(1280, 720))
    monkeypatch.setattr(limits, "FRAME_PIXELS", 1280 * 720)
    assert len(list(Video(path))) == 3
    monkeypatch.setattr(limits, "FRAME_PIXELS", 1280 * 720 - 1)
    refused(lambda: Video(path), "1280x720 are too large")


def test_pictures_larger_than_the_video_says(tmp_path: Path) -> None:
    """What the container says of the size is no limit to what its pictures say."""
    path = write_clip(tmp_path / "a.mp4", frames=3)
    large = io.BytesIO(write_clip(tmp_path / "b.mp4", frames=3, size=(640, 480)).read_bytes())
    with av.open(large) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"max_pixels": str(160 * 120)}
        with pytest.raises(av.FFmpegError):
            list(container.decode(stream))
    with av.open(str(path)) as container:
        assert container.streams.video[0].width == 160


@pytest.mark.parametrize(
    "content", ["ffconcat version 1.0\nfile {}\n", "#EXTM3U\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"]
)
@pytest.mark.parametrize("suffix", ["mp4", "m3u8"])
def test_a_video_cannot_name_other_files(content: str, suffix: str, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "other.mp4", frames=3)
    path = tmp_path / f"a.{suffix}"
    path.write_text(content.format(other.name))
    refused(lambda: Video(path), "not a video that can be read")


def test_a_frame_at_the_end_of_time(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(4):
            picture = np.full((48, 64, 3), 50 * n, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")):
                if n == 3:
                    packet.pts = packet.dts = int(169 * 3600 / packet.time_base)
                container.mux(packet)
        container.mux(stream.encode())
    refused(lambda: list(Video(path)), "169 hours.*--end")
    assert len(list(Video(path, end=10))) == 3


def test_limits_leave_room_for_real_work() -> None:
    """Ten hours, 8K, hundreds of people, gigabytes of keypoints."""
    ten_hours = 10 * 3600 * 240
    assert ten_hours < limits.FRAMES
    assert limits.HOURS > 10
    assert limits.FRAME_PIXELS >= 7680 * 4320
    assert limits.PEOPLE_A_FRAME >= 500
    row = 8 + 8 + 16 + 17 * (8 + 4 + 12 + 12) + 12 + 2  # bytes of a person in a frame
    assert 10 * 3600 * 60 * 10 * row < limits.UNPACKED_BYTES[1]
    assert limits.unpacked(2 << 30) >= 4 << 30
    assert limits.rows(ten_hours * 10) >= ten_hours * 10
    assert limits.KEYPOINT_BYTES >= 2 << 30


def test_ten_hours_are_read_back(recording: Recording, tmp_path: Path) -> None:
    """One frame a second of them, whose numbers compress as badly as real ones."""
    length = 10 * 3600
    chance = np.random.default_rng(0)
    keypoints = replace(
        recording.people[0].keypoints,
        frame=np.arange(length),
        time=np.arange(length, dtype=float),
        box=chance.random((length, 4), np.float32),
        keypoints=chance.random((length, 17, 2), np.float32),
        score=chance.random((length, 17), np.float32),
    )
    person = replace(recording.people[0], keypoints=keypoints, pose=None)
    replace(recording, people=(person,)).save(tmp_path / "a.npz")
    assert len(Recording.load(tmp_path / "a.npz").people[0].keypoints) == length
