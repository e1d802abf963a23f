"""Small whole files of every kind, to begin from."""

import io
import json
import pickle
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .parcel import RAW, members_of, wrap

FRAMES = 3
ROOT = Path(__file__).parents[2]
POINTS = [[float(10 * n + k), float(20 + k), 0.9] for n in range(1) for k in range(17)]
FLAT = [number for point in POINTS for number in point]


def written(write: Callable[[Path], Any], name: str) -> bytes:
    """What a function writes to a file of this name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        write(path)
        return path.read_bytes()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def both(content: bytes) -> list[bytes]:
    """An archive as its members, and as it is."""
    return [wrap(members_of(content)), RAW + content]


def recordings() -> list[bytes]:
    from pose3d.sequence import Keypoints2D, Person, Pose3D, Recording

    def ones(*shape: int) -> Any:
        return np.ones((FRAMES, *shape), np.float32)

    frame = np.arange(FRAMES)
    keypoints = Keypoints2D(frame, frame / 25, ones(4), ones(17, 2), ones(17))
    pose = Pose3D(ones(17, 3), ones(3), ones(17, 3), np.ones((FRAMES, 2), bool))
    meta = {
        "source": {"name": "a.mp4", "size": [64, 48], "fps": 25.0, "frames": FRAMES, "bytes": 9},
        "options": {"start": 0.0},
        "weights": {},
        "steps": ["detect", "lift"],
        "camera": {"K": [[50, 0, 32], [0, 50, 24], [0, 0, 1]], "size": [64, 48]},
        "scenes": [{"frame": 0, "still": True}],
        "warnings": ["none"],
    }
    bare = Recording(meta, (Person(1, keypoints),))
    whole = Recording(meta, (Person(1, keypoints, pose), Person(2, keypoints, pose)))
    return [
        seed
        for recording in (bare, whole)
        for seed in both(written(recording.save, "a.pose3d.npz"))
    ]


def keypoint_files() -> list[bytes]:
    """Every dialect of JSON."""
    entry = {"image_id": 0, "category_id": 1, "keypoints": FLAT, "score": 0.9}
    results = [{**entry, "image_id": n} for n in range(FRAMES)]
    alphapose = [
        {**entry, "image_id": f"{n}.jpg", "idx": 1, "box": [1.0, 2.0, 3.0, 4.0]}
        for n in range(FRAMES)
    ]
    person = {
        "keypoints": [p[:2] for p in POINTS],
        "keypoint_scores": [0.9] * 17,
        "bbox": [[0.0, 0.0, 9.0, 9.0]],
        "bbox_score": 0.9,
        "track_id": 1,
    }
    frames = [{"frame_id": n, "instances": [person]} for n in range(FRAMES)]
    demo = [{"frame_id": n + 1, "instances": [person]} for n in range(FRAMES)]
    names = {str(n): f"joint {n}" for n in range(17)} | {"0": "nose", "5": "left_shoulder"}
    pictures = [
        {"id": n, "file_name": f"{n}.jpg", "width": 64, "height": 48} for n in range(FRAMES)
    ]
    annotations = [
        {"image_id": n, "keypoints": FLAT, "num_keypoints": 17, "bbox": [1, 2, 3, 4]}
        for n in range(FRAMES)
    ]
    openpose = {"version": 1.3, "people": []}
    contents: list[Any] = [
        results,
        alphapose,
        frames,
        {"meta_info": {"keypoint_id2name": names}, "instance_info": demo},
        {"images": pictures, "annotations": annotations},
        openpose,
    ]
    return [json.dumps(content).encode() for content in contents]


def openpose_folders() -> list[bytes]:
    flat = [float(n % 90) for n in range(75)]
    content = {"version": 1.3, "people": [{"person_id": [1], "pose_keypoints_2d": flat}]}
    text = json.dumps(content).encode()
    short = json.dumps({"people": [{"person_id": [-1], "pose_keypoints_2d": flat[:54]}]}).encode()
    return [
        wrap((f"a_{n:012d}_keypoints.json", text) for n in range(FRAMES)),
        wrap((f"{n}_keypoints.json", short) for n in range(FRAMES)),
    ]


def tables() -> list[bytes]:
    wide = ["frame", "time_ms", *(f"{axis}{n}" for n in range(33) for axis in "xyv")]
    rows = [[n, 40 * n, *(f"{0.3 + k / 200:.2f}" for k in range(99))] for n in range(FRAMES)]
    named = ["LEFT_HIP_x", "LEFT_HIP_y", "RIGHT_HIP_x", "RIGHT_HIP_y"]
    long = ["frame", "landmark", "x", "y", "visibility"]
    points = [
        [n, name, 5.5, 7, 0.9] for n in range(FRAMES) for name in ("nose", "left hip", "right hip")
    ]

    def text(head: list[str], body: list[list[Any]]) -> bytes:
        return "\n".join(",".join(map(str, row)) for row in [head, *body]).encode()

    return [text(wide, rows), text(named, [[1, 2, 3, 4]] * FRAMES), text(long, points)]


def landmarks() -> list[bytes]:
    return [
        seed
        for width in (2, 3, 5)
        for seed in both(npz(pose=np.full((FRAMES, 33, width), 7.5, np.float32)))
    ]


def videopose3d() -> list[bytes]:
    points = np.arange(FRAMES * 34, dtype=np.float32).reshape(FRAMES, 17, 2)
    metadata = {
        "layout_name": "coco",
        "num_joints": 17,
        "keypoints_symmetry": [[1], [2]],
        "video_metadata": {"a.mp4": {"w": 64, "h": 48, "fps": 25.0, "first_frame": {"walk": 0}}},
    }
    positions = {"a.mp4": {"walk": [points], "run": [points[1:]]}}
    return both(npz(metadata=np.array(metadata, object), positions_2d=np.array(positions, object)))


def tomls() -> list[bytes]:
    camera = b"""[cam1]
name = "one"
size = [64, 48]
matrix = [[50.0, 0, 32], [0, 50, 24], [0, 0, 1]]
distortions = [0.1, 0.0, 0.0, 0.0]
fisheye = false
"""
    config = b"""device = "cpu"
batch-size = 8
[infer]
people = "main"
save = ["npz", "json"]
min-score = 0.3
start = "1:30"
height = "1.78m"
skip = ["feet"]
"""
    registry = b"""[mine]
kind = "detector"
file = "mine.pkl"
sha256 = "00ff"
megabytes = 3
[theirs]
kind = "lifter"
urls = ["https://example.org/a.bin"]
keypoint_ap = 60.1
"""
    return [b"\0" + camera, b"\1" + config, b"\2" + registry]


def cameras() -> list[bytes]:
    matrix = {"rows": 3, "cols": 3, "data": [50.0, 0, 32, 0, 50, 24, 0, 0, 1]}
    alone = {"camera_matrix": matrix, "distortion": [0.1, 0, 0, 0, 0], "size": [64, 48]}
    axes = "".join(
        f'sensorMin{a}="0" sensorMax{a}="{n}" focalLength{a}="3200" centerPoint{a}="2000" '
        for a, n in (("U", 4095), ("V", 3071))
    )
    lens = "".join(
        f'{kind}Distortion{n}="0" '
        for kind, count in (("radial", 3), ("tangental", 2))
        for n in range(1, count + 1)
    )
    qualisys = (
        f'<calibration><cameras><camera serial="7"><fov_video left="0" top="0" right="63" '
        f'bottom="47"/><intrinsic {axes}{lens}/></camera></cameras></calibration>'
    )
    return [
        b"\0" + json.dumps(alone).encode(),
        b"\0" + json.dumps({"one": alone, "two": {"K": matrix["data"]}}).encode(),
        b"\1" + qualisys.encode(),
    ]


def journals() -> list[bytes]:
    members = members_of(
        npz(
            index=np.arange(2),
            time=np.arange(2) / 25,
            count=np.array([1, 2]),
            mark=np.zeros(2, np.uint32),
            boxes=np.ones((3, 4), np.float32),
            scores=np.ones(3, np.float32),
            keypoints=np.ones((3, 17, 2), np.float32),
            keypoint_scores=np.ones((3, 17), np.float32),
        )
    )
    return [wrap(members)]


def lists() -> list[bytes]:
    line = {"input": "/a.mp4", "status": "failed", "reason": "no video", "made": "00", "frames": 3}
    return [
        b"\0a.mp4\nb.mp4\n# a remark\n\nc/*.mp4\n",
        b"\1" + (json.dumps(line) + "\n").encode() * 2,
    ]


def pickles() -> list[bytes]:
    from dataclasses import replace

    import torch
    import weight_files

    tiny = replace(
        weight_files.SMALL, blocks=(1,) * 4, widths=(2,) * 4, bottlenecks=(2,) * 4, stem=2,
        pyramid=2, pooled=1, hidden=2, keypoint_widths=(2,), groups=1,
    )  # fmt: skip
    found = [
        written(
            lambda path, f=family: weight_files.save(path, f, weight_files.arrays_of(f, tiny)),
            "a.pkl",
        )
        for family in ("caffe2", "detectron2")
    ]
    table = {"a": torch.ones(3), "b": torch.ones(2, 2, dtype=torch.int64)}
    buffer = io.BytesIO()
    torch.save({"model": table}, buffer, _use_new_zipfile_serialization=False)
    return [*found, buffer.getvalue(), pickle.dumps({"model": {"a": np.ones(2, np.float32)}}, 4)]


def torch_files() -> list[bytes]:
    import torch
    import weight_files

    state = weight_files.lifter_state((1, 1), 17, 2, 17, width=2)
    found = []
    for content in ({"model_pos": state, "epoch": 3}, {"a": torch.ones(3).expand(2, 3)}):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        found += both(buffer.getvalue())
    return found


def safetensors() -> list[bytes]:
    """The header's text, a zero, and the numbers: the length before them is made anew."""
    import torch
    from safetensors.torch import save

    from pose3d.weights import convert

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "a.pth")
        source.write_bytes(pickles()[1])
        network = convert(source, Path(folder, "b.safetensors")).read_bytes()
    small = save({"a": torch.ones(2)}, {"architecture": "temporal", "config": '{"channels": 2}'})
    found = [RAW + small]
    for content in (small, network):
        length = int.from_bytes(content[:8], "little")
        found.append(content[8 : 8 + length].rstrip() + b"\0" + content[8 + length :])
    return found


def pictures() -> list[bytes]:
    import cv2

    picture = (np.indices((64, 80)).sum(0)[..., None] * [3, 5, 7]).astype(np.uint8)
    suffixes = (".png", ".jpg", ".webp", ".bmp", ".tif", ".jp2", ".ppm")
    return [cv2.imencode(suffix, picture)[1].tobytes() for suffix in suffixes]


def videos() -> list[bytes]:
    """The rendered clip, and short small ones in other containers."""
    walk = (ROOT / "data/rendered_walk.mp4").read_bytes()
    return [
        walk,
        *(
            written(lambda path, c=codec: _clip(path, c), f"a.{suffix}")
            for suffix, codec in (
                ("mp4", "libx264"), ("mov", "mpeg4"), ("mkv", "libx264"), ("webm", "libvpx"),
                ("avi", "mjpeg"), ("ts", "mpeg2video"), ("flv", "flv"), ("wmv", "wmv2"),
            )
        ),
    ]  # fmt: skip


def _clip(path: Path, codec: str, frames: int = 12) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for n in range(frames):
            picture = np.full((48, 64, 3), 20 * n, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
