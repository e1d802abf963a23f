"""The readers: how bytes become a file, and who reads it."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

sys.path.append(str(Path(__file__).parents[1]))  # weight_files, as other tests have it

import av
import click
import cv2
import numpy as np
from PIL import Image

from pose3d import camera, journal, pictures, read2d, video
from pose3d.batch import inputs, report
from pose3d.cli import main
from pose3d.errors import UsageError
from pose3d.read2d import found, joints, json_files, mediapipe, videopose3d
from pose3d.sequence import Recording
from pose3d.weights import defaults, formats, registry

from . import seeds
from .parcel import RAW, archive, unwrap

SIZE = 64, 48
Read = Callable[[bytes, Path], object]
# Loaded here, so that they are watched, and not anew in every process.
_LAZY = av, cv2, found, joints, json_files, mediapipe, videopose3d
Image.init()


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes
    ----------
    read
        Takes bytes, and an empty folder to put a file of them into.
    seeds
        Whole inputs.
    native
        Whether libraries in C do the reading: each input then has a process of its own.
    words
        What files of this kind are made of.
    """

    read: Read
    seeds: Callable[[], list[bytes]]
    native: bool = False
    words: tuple[str, ...] = ()


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _recording(data: bytes, folder: Path) -> None:
    recording = Recording.load(_file(folder, "a.pose3d.npz", archive(data)))
    recording.save(folder / "b.pose3d.npz")
    Recording.load(folder / "b.pose3d.npz")


def _keypoints(path: Path) -> None:
    """Also what is read must be a recording."""
    recording = read2d.read(path, fps=25, size=SIZE)
    recording.save(path.parent / "b.pose3d.npz")
    Recording.load(path.parent / "b.pose3d.npz")


def _json(data: bytes, folder: Path) -> None:
    _keypoints(_file(folder, "a.json", data))


def _csv(data: bytes, folder: Path) -> None:
    _keypoints(_file(folder, "a.csv", data))


def _landmarks(data: bytes, folder: Path) -> None:
    _keypoints(_file(folder, "a.npz", archive(data)))


def _openpose(data: bytes, folder: Path) -> None:
    inside = folder / "openpose"
    inside.mkdir()
    for name, content in unwrap(data):
        safe = "".join(c if c.isprintable() and c != "/" else "_" for c in name)[:80]
        if safe.strip("."):
            _file(inside, safe, content)
    _keypoints(inside)


def _toml(data: bytes, folder: Path) -> None:
    path = _file(folder, "a.toml", data[1:])
    match data[:1]:
        case b"\0":
            camera.read_camera(path, SIZE)
        case b"\1":
            with mock.patch.dict(os.environ, POSE3D_CONFIG=str(path)):
                defaults.default("detector")
            arguments = ["--config", str(path), "--dry-run", str(path)]
            try:
                main.commands["infer"].make_context("infer", arguments, click.Context(main))
            except click.ClickException as error:
                raise UsageError(" ".join(error.format_message().split())[:900]) from None
        case _:
            registry._read(path)


def _camera(data: bytes, folder: Path) -> None:
    name = "a.qca.txt" if data[:1] == b"\1" else "a.json"
    camera.read_camera(_file(folder, name, data[1:]), SIZE)


def _journal(data: bytes, folder: Path) -> None:
    import hashlib

    payload = archive(data)
    facts = {"a": 1}
    head = journal.Journal(folder / "a.journal", facts)._head
    record = len(payload).to_bytes(8, "little") + hashlib.sha256(payload).digest() + payload
    path = _file(folder, "a.journal", head + record + data)
    with journal.Journal(path, facts) as opened:
        pictures_ = [
            video.Frame(np.zeros((2, 2, 3), np.uint8), n, n / 25) for n in range(opened.frames)
        ]
        opened.recall(pictures_)


def _list(data: bytes, folder: Path) -> None:
    if data[:1] == b"\1":
        report.Report(_file(folder, "report.jsonl", data[1:]))
        return
    # A list may name any folder of this machine, which is its right, and takes a while.
    path = _file(folder, "list.txt", data[1:].replace(b"/", b"_").replace(b"..", b"_"))
    inputs.expand([f"@{path}"], inputs.VIDEOS)


def _weights(data: bytes, folder: Path) -> None:
    formats.read(_file(folder, "a.weights", data))


def _torch_weights(data: bytes, folder: Path) -> None:
    formats.read(_file(folder, "a.pth", archive(data, packed=False)))


def _safetensors(data: bytes, folder: Path) -> None:
    header, _, numbers = data.partition(b"\0")
    content = len(header).to_bytes(8, "little") + header + numbers
    if data.startswith(RAW):
        content = data[len(RAW) :]
    formats.read(_file(folder, "a.safetensors", content))


def _picture(data: bytes, folder: Path) -> None:
    pictures.read_picture(_file(folder, "a.png", data))


def _video(data: bytes, folder: Path) -> None:
    path = _file(folder, "a.mp4", data)
    camera.lens_metadata(path)
    for frame in video.Video(path):
        assert frame.image.size and np.isfinite(frame.time)
    video.Video(path).times()
    for _ in video.Video(path, start=0.2, end=0.3):
        pass


NUMPY = ("\x93NUMPY\x01\x00", "'descr': '<f4'", "'|O'", "fortran_order", "True", "shape", "(3,)")
JSON = ("image_id", "keypoints", "people", "instances", "frame_id", "null", "NaN", "1e999", "[[[")
PICKLE = (
    "cnumpy\ndtype\n", "cnumpy.core.multiarray\n_reconstruct\n", "ccollections\nOrderedDict\n",
    "c_codecs\nencode\n", "latin1", "}", "\x85R", "tb.",
)  # fmt: skip

TARGETS: dict[str, Target] = {
    "recording": Target(_recording, seeds.recordings, words=NUMPY + JSON),
    "keypoints_json": Target(_json, seeds.keypoint_files, words=JSON),
    "openpose": Target(_openpose, seeds.openpose_folders, words=JSON),
    "csv": Target(
        _csv, seeds.tables, words=("frame", "landmark", "time_ms", "nan", "inf", "1e999")
    ),
    "landmarks": Target(_landmarks, seeds.landmarks, words=NUMPY),
    "videopose3d": Target(_landmarks, seeds.videopose3d, words=NUMPY + PICKLE),
    "toml": Target(_toml, seeds.tomls, words=("matrix", "size", "[[", "inf", "nan", '"""', "=")),
    "camera": Target(
        _camera, seeds.cameras, words=("K", "size", "1e999", "<camera>", "<!--", "&#")
    ),
    "journal": Target(_journal, seeds.journals, words=NUMPY),
    "list": Target(_list, seeds.lists, words=("*", "**", "[a-", "\n", "@", "input", "status")),
    "pickle": Target(_weights, seeds.pickles, words=PICKLE),
    "torch": Target(_torch_weights, seeds.torch_files, words=PICKLE),
    "safetensors": Target(
        _safetensors,
        seeds.safetensors,
        words=("__metadata__", "dtype", "data_offsets", "F32", "config"),
    ),
    "picture": Target(_picture, seeds.pictures, native=True),
    "video": Target(_video, seeds.videos, native=True),
}
