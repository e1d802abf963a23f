"""Small videos, and a detector and lifter that need no weights."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pose3d.sequence import People, Recording

# As the command line has it: tests run side by side, and threads that wait busily keep others out.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parents[1]

# A standing person of height 1 around (0, 0), COCO order.
STANDING = np.array(
    [
        [0.0, -0.42], [0.02, -0.44], [-0.02, -0.44], [0.04, -0.43], [-0.04, -0.43],
        [0.1, -0.32], [-0.1, -0.32], [0.13, -0.16], [-0.13, -0.16], [0.14, -0.02], [-0.14, -0.02],
        [0.07, 0.0], [-0.07, 0.0], [0.08, 0.24], [-0.08, 0.24], [0.08, 0.46], [-0.08, 0.46],
    ],
    np.float32,
)  # fmt: skip

Boxes = Sequence[tuple[float, float, float]]  # centre x, centre y, height


def people(figures: Boxes, score: float = 0.9) -> People:
    """Standing people."""
    if not figures:
        return People.nobody()
    points = np.stack([np.array([x, y]) + height * STANDING for x, y, height in figures])
    half = [(0.2 * height, 0.5 * height) for _, _, height in figures]
    boxes = [
        [x - dx, y - dy, x + dx, y + dy] for (x, y, _), (dx, dy) in zip(figures, half, strict=True)
    ]
    return People(
        np.array(boxes, np.float32),
        np.full(len(figures), score, np.float32),
        points.astype(np.float32),
        np.full((len(figures), 17), score, np.float32),
    )


def find_squares(pictures: Sequence[NDArray[np.uint8]]) -> list[People]:
    """A detector: a bright green or blue square is a standing person of five times its height."""
    answers = []
    for picture in pictures:
        figures = []
        for channel in (1, 2):
            rows, columns = np.nonzero(picture[..., channel] > 128)
            if len(rows):
                height = 5 * (np.ptp(rows) + 1.0)
                figures.append((columns.mean() + 0.5, rows.mean() + 0.5, height))
        answers.append(people(figures))
    return answers


def upright(
    keypoints: NDArray[np.floating],
    scores: NDArray[np.floating],
    times: NDArray[np.floating],
    size: tuple[int, int],
    intrinsics: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """A lifter: every joint as far right of the hip as the keypoints' mean is of the middle."""
    joints = np.full((len(times), 17, 3), np.nan, np.float32)
    joints[:, :, 0] = (keypoints[..., 0].mean(1) / size[0] - 0.5)[:, None]
    joints[:, :, 1:] = np.where(scores.any(1), 0, np.nan)[:, None, None]
    return joints


def write_clip(
    path: Path,
    frames: int = 30,
    fps: int = 30,
    size: tuple[int, int] = (160, 120),
    squares: Sequence[Callable[[int], tuple[float, float] | None]] = (),
) -> Path:
    """A video in which squares of 8 pixels, first green then blue, go where functions say."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for n in range(frames):
            picture = np.zeros((size[1], size[0], 3), np.uint8)
            for channel, place in enumerate(squares, 1):
                if at := place(n):
                    x, y = (int(v) - 4 for v in at)
                    picture[max(y, 0) : y + 8, max(x, 0) : x + 8, channel] = 255
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A second of two squares, the green one going right, the blue one gone for frames 10 to 19."""
    return write_clip(
        tmp_path / "walk.mp4",
        squares=(
            lambda n: (20 + 3 * n, 60),
            lambda n: None if 10 <= n < 20 else (130, 30),
        ),
    )


@pytest.fixture
def recording() -> Recording:
    """Two people, lifted, with gaps."""
    from pose3d.sequence import Keypoints2D, Person, Pose3D

    chance = np.random.default_rng(0)

    def person(number: int, first: int, length: int) -> Person:
        frame = np.arange(first, first + length)
        lost = chance.random(length) < 0.2
        lost[[0, -1]] = False
        box, keypoints, joints = (
            chance.uniform(0, 100, (length, *shape)).astype(np.float32)
            for shape in ((4,), (17, 2), (17, 3))
        )
        score = chance.random((length, 17)).astype(np.float32)
        box[lost], keypoints[lost], score[lost], joints[lost] = np.nan, np.nan, 0, np.nan
        return Person(number, Keypoints2D(frame, frame / 30, box, keypoints, score), Pose3D(joints))

    meta = {
        "source": {"name": "walk.mp4", "sha256": "0" * 64, "size": [160, 120], "frames": 60},
        "options": {"people": "all"},
        "steps": ["detect", "track", "lift"],
    }
    return Recording(meta, (person(1, 0, 50), person(2, 12, 20)))


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Undo what a command line of the test said of how much to log."""
    yield
    logging.getLogger("pose3d").setLevel(logging.NOTSET)
