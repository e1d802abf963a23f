"""Markers for biomechanics: ``NAME.c3d``, everyone in one file, millimetres, y up.

Points have the joints' names; of several people, "Person2:RKnee". What is missing has the
residual -1. The format knows times only as one rate, a 32-bit number; irregular recordings are
resampled to one. The number of the first frame is that of the recording, counted from 1, and so
tells its time. The group POSE3D says which frame of reference the points are in, and whether they
were resampled. The layout follows the C3D user guide (c3d.org): a header, parameters, and frames
of 32-bit floating point numbers, all in blocks of 512 bytes, Intel's byte order.
"""

from collections.abc import Sequence
from pathlib import Path
from struct import pack

import numpy as np
from numpy.typing import NDArray

from pose3d import __version__
from pose3d.export.clock import Clock
from pose3d.export.settings import Settings, common_clock
from pose3d.export.space import JOINTS, frame_of, motions
from pose3d.files import replacing
from pose3d.sequence import Recording

BLOCK = 512  # bytes
KEY, INTEL = 0x50, 84  # what every file begins with; kind of processor
MILLIMETRES = 1000.0
MOST_FRAMES = 0xFFFF  # that the header can count; readers take more from TRIAL
MOST_TEXTS = 255  # in one parameter; more labels go on in LABELS2, LABELS3...
MOST_LETTERS = 127
CHUNK = 4096  # frames in memory at a time
Value = int | float | Sequence[int] | str | list[str]


def write(recording: Recording, path: Path, _settings: Settings) -> tuple[Path, ...]:
    """Write everyone's markers."""
    everyone = motions(recording)
    fps = recording.meta.get("source", {}).get("fps")
    if any(len(motion.frame) for motion in everyone):
        clock = common_clock(recording, everyone, path)
    else:
        clock = Clock(fps or 30.0, 0.0, 0, 0, resampled=False)
    first = clock.first if not clock.resampled else round(clock.start * clock.rate)
    several = len(everyone) > 1
    labels = [
        f"Person{motion.id}:{joint}" if several else joint
        for motion in everyone
        for joint in JOINTS
    ]
    source = recording.meta.get("source", {}).get("name") or ""
    about = {"FRAME": frame_of(recording), "SOURCE": source, "RESAMPLED": int(clock.resampled)}
    with replacing(path) as part, open(part, "wb") as file:
        # How long the parameters are is known once they are written, and they say so.
        blocks = len(_parameters(clock, first, labels, about, 0)) // BLOCK
        file.write(_header(clock, first, len(labels), 2 + blocks))
        file.write(_parameters(clock, first, labels, about, 2 + blocks))
        sampled = [clock.sample(motion) for motion in everyone]
        for start in range(0, clock.count, CHUNK):
            chunk = slice(start, start + CHUNK)
            points = [joints[chunk] * MILLIMETRES for joints in sampled]
            file.write(_frames(np.concatenate(points, 1)) if points else b"")
        file.write(b"\0" * (-file.tell() % BLOCK))
    return (path,)


def _frames(points: NDArray[np.float64]) -> bytes:
    """Frames of points (T, P, 3): each x, y, z and residual."""
    missing = np.isnan(points).any(-1, keepdims=True)
    places, residual = np.where(missing, 0.0, points), np.where(missing, -1.0, 0.0)
    return np.concatenate([places, residual], -1).astype("<f4").tobytes()


def _header(clock: Clock, first: int, points: int, data: int) -> bytes:
    begin = first + 1 if first + clock.count <= MOST_FRAMES else 1
    end = min(begin + clock.count - 1, MOST_FRAMES)
    # Points; no analogue numbers; frames; no gaps filled; scale, negative for floats; rate.
    words = pack("<HHHHHfHHf", points, 0, begin, end, 0, -1.0, data, 0, clock.rate)
    return (bytes([2, KEY]) + words).ljust(BLOCK, b"\0")


def _parameters(
    clock: Clock, first: int, labels: list[str], about: dict[str, Value], data: int
) -> bytes:
    count = clock.count
    point: dict[str, Value] = {
        "USED": len(labels),
        "SCALE": -1.0,
        "RATE": clock.rate,
        "DATA_START": data,
        "FRAMES": min(count, MOST_FRAMES),
        "UNITS": "mm",
        "X_SCREEN": "+X",
        "Y_SCREEN": "+Y",
    }
    for n in range(0, max(len(labels), 1), MOST_TEXTS):
        name = f"LABELS{n // MOST_TEXTS + 1 if n else ''}"
        point[name] = labels[n : n + MOST_TEXTS]
    ends = {"START": first + 1, "END": first + max(count, 1)}
    trial: dict[str, Value] = {
        f"ACTUAL_{name}_FIELD": [frame & 0xFFFF, frame >> 16] for name, frame in ends.items()
    }
    groups: dict[str, dict[str, Value]] = {
        "POINT": point,
        "ANALOG": {"USED": 0, "GEN_SCALE": 1.0, "RATE": 0.0},
        "FORCE_PLATFORM": {"USED": 0},
        "TRIAL": trial | {"CAMERA_RATE": clock.rate},
        "MANUFACTURER": {"COMPANY": "pose3d", "SOFTWARE": "pose3d", "VERSION_LABEL": __version__},
        "POSE3D": about,
    }
    body = b""
    for number, (group, parameters) in enumerate(groups.items(), 1):
        body += _entry(group, -number, b"\0")
        for name, value in parameters.items():
            body += _entry(name, number, _value(value) + b"\0")
    body += b"\0\0"
    blocks = -(-(len(body) + 4) // BLOCK)
    return (bytes([1, KEY, blocks, INTEL]) + body).ljust(blocks * BLOCK, b"\0")


def _entry(name: str, group: int, content: bytes) -> bytes:
    """A group or parameter: its name, how far it is to the next, and what it holds."""
    return pack("<bb", len(name), group) + name.encode() + pack("<h", len(content) + 2) + content


def _value(value: Value) -> bytes:
    """Type, number of dimensions, dimensions and data."""
    if isinstance(value, float):
        return pack("<bBf", 4, 0, value)
    if isinstance(value, int):
        return pack("<bBH", 2, 0, value)
    if isinstance(value, str):
        text = value.encode()[:MOST_LETTERS]
        return pack("<bBB", -1, 1, len(text)) + text
    if all(isinstance(item, str) for item in value):
        texts = [str(text).encode() for text in value]
        width = max(map(len, texts), default=0)
        data = b"".join(text.ljust(width) for text in texts)
        return pack("<bBBB", -1, 2, width, len(texts)) + data
    return pack("<bBB", 2, 1, len(value)) + pack(f"<{len(value)}H", *value)
