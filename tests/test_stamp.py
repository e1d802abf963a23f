"""What made a file is told by it, and hidden in it."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import write_clip

from pose3d.stamp import MARK, REACH, stamp, stamped
from pose3d.video import Video

FACTS = {"look": {"view": "3d"}, "of": {"name": "a --> b </script> -- é", "long": "x" * 700}}


def make(path: Path) -> Path:
    """A small file of its suffix's kind."""
    picture = np.full((24, 32, 3), 90, np.uint8)
    match path.suffix:
        case ".mp4":
            write_clip(path, frames=5)
        case ".png":
            cv2.imwrite(str(path), picture)
        case ".gif":
            with av.open(str(path), "w", format="gif") as out:
                stream = out.add_stream("gif", rate=10)
                stream.width, stream.height, stream.pix_fmt = 32, 24, "rgb8"
                for value in (0, 200):
                    frame = av.VideoFrame.from_ndarray(np.full_like(picture, value), "rgb24")
                    out.mux(stream.encode(frame.reformat(format="rgb8")))
                out.mux(stream.encode(None))
        case ".html":
            path.write_text("<!doctype html><title>t</title><p>Hello\n")
    return path


def pictures(path: Path) -> list[np.ndarray]:
    if path.suffix == ".png":
        return [cv2.imread(str(path))]
    return [frame.image for frame in Video(path)]


@pytest.mark.parametrize("suffix", [".mp4", ".png", ".gif"])
def test_pictures_stay_what_they_were(tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path / f"a{suffix}")
    before = pictures(path)
    assert stamped(path) is None
    stamp(path, FACTS)
    assert stamped(path) == FACTS
    after = pictures(path)
    assert len(after) == len(before)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_page_stays_what_it_was(tmp_path: Path) -> None:
    path = make(tmp_path / "a.html")
    stamp(path, FACTS)
    assert stamped(path) == FACTS
    text = path.read_text()
    assert text.startswith("<!doctype html><title>t</title><p>Hello\n<!-- ")
    assert text.count("-->") == 1 and "</script>" not in text


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("a.bvh", "cut.png", "cut.gif"):
        path = tmp_path / name
        path.write_bytes(b"something")
        stamp(path, FACTS)
        assert path.read_bytes() == b"something"
        assert stamped(path) is None


@pytest.mark.parametrize(
    "end", [b"", b"{", b"[1]", b"[" * 5000, b'{"a": ' * 3000, "\u20ac".encode(), b"\xff\xfe"]
)
@pytest.mark.parametrize("suffix", [".html", ".gif"])
def test_what_strangers_wrote_is_no_fact(tmp_path: Path, end: bytes, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"x" * REACH + MARK + end)
    assert stamped(path) is None
    path.write_bytes(MARK + json.dumps(FACTS).encode() + b" " * REACH)
    assert stamped(path) is None  # too far from the end
