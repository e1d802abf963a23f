"""MediaPipe's 33 landmarks, in the tables and arrays that scripts write them to.

MediaPipe has no file of its own. Read are CSV with a row for every frame and columns like
``LEFT_KNEE_x`` or ``x25``, CSV with a row for every landmark and columns like ``frame, landmark, x,
y, visibility``, and NPZ with an array of (frames, 33, 2 to 5): x, y, z, visibility, presence.
Places are shares of the picture, as MediaPipe gives them, or pixels.
"""

import csv
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose3d.errors import PoseError
from pose3d.read2d.found import MOST_FRAMES, Found, Seen
from pose3d.read2d.joints import MEDIAPIPE, named

MOST_BYTES = 1 << 30
MOST_COLUMNS = 2000
SHARES = 4.0  # places up to this are shares of the picture, with those outside it
CENTRED = 0.05  # metres of the hips' middle from 0 in world landmarks
_PARTS = {"x": "x", "y": "y", "z": "z", "visibility": "v", "v": "v", "score": "v", "presence": ""}
_FRAMES = ("frame", "frame_id", "frame_index", "frame_number", "frame_idx")
_LANDMARKS = ("landmark", "landmark_id", "landmark_index", "landmark_name", "joint", "keypoint",
              "id", "index", "name")  # fmt: skip
_SECONDS = {"time": 1.0, "time_s": 1.0, "seconds": 1.0, "time_ms": 1e-3, "timestamp_ms": 1e-3}

Array = NDArray[np.float64]
Columns = dict[str, int]


def read_csv(path: Path, size: tuple[int, int] | None) -> Found:
    """A table; `size` is needed if places are shares of the picture."""
    if path.stat().st_size > MOST_BYTES:
        raise PoseError(f"{path} is larger than {MOST_BYTES >> 20} MiB: refused")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            head = list(named(next(rows, [])))
            if len(head) > MOST_COLUMNS:
                raise PoseError(f"{path} has more than {MOST_COLUMNS} columns: refused")
            columns = {name: n for n, name in enumerate(head)}
            content = [row for row in rows if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise PoseError(f"{path} is no table of text ({error})") from None
    if not content or len(content) > MOST_FRAMES * len(MEDIAPIPE):
        raise PoseError(f"{path} holds {'too many' if content else 'no'} rows")
    wide = _wide(columns, path)
    try:
        frames, points, scores = (
            _from_wide(content, columns, wide) if wide else _from_long(content, columns, path)
        )
        times = _times(content, columns)
    except (ValueError, IndexError, OverflowError) as error:
        raise PoseError(f"{path} holds a row that does not fit ({error})") from None
    return Found("mediapipe", MEDIAPIPE, _seen(frames, points, scores, size, path), times=times)


def read_array(array: Array, path: Path, size: tuple[int, int] | None) -> Found:
    """(T, 33, 2 to 5)."""
    points = array[..., :2].astype(float)
    third = array[..., -1 if array.shape[-1] == 3 else min(3, array.shape[-1] - 1)].astype(float)
    # Of three numbers the last is depth, which has both signs, or else visibility.
    known = np.isfinite(third)
    scored = array.shape[-1] > 3 or (
        array.shape[-1] == 3
        and known.any()
        and (third[known] >= 0).all()
        and third[known].max() <= 1
    )
    scores = third if scored else np.ones(points.shape[:2])
    scores = np.where(np.isfinite(scores), scores, 0)
    seen = _seen(np.arange(len(points)), points, scores, size, path)
    return Found("mediapipe", MEDIAPIPE, seen, len(points))


def _seen(
    frames: NDArray[np.int64],
    points: Array,
    scores: Array,
    size: tuple[int, int] | None,
    path: Path,
) -> list[Seen]:
    known = np.isfinite(points.sum(-1)) & (points != 0).any(-1)
    there: NDArray[np.bool_] = known.any(1)
    if known.any() and np.abs(points[known]).max() <= SHARES:
        hips = points[:, [MEDIAPIPE.index("left_hip"), MEDIAPIPE.index("right_hip")]].mean(1)
        if np.nanmax(np.abs(hips), initial=0) < CENTRED:
            raise PoseError(
                f"{path} holds world landmarks (metres around the hips): 3D is made from those in "
                "the picture (pose_landmarks)"
            )
        if size is None:
            raise PoseError(f"{path} holds places as shares of the picture: give --size 1920x1080")
        points = points * np.array(size)
    return [Seen(int(frames[n]), points[n], scores[n]) for n in np.flatnonzero(there)]


def _wide(columns: Columns, path: Path) -> dict[tuple[int, str], int]:
    """Which landmark and part each column holds, in a table with a row for every frame."""
    by_name: dict[tuple[int, str], int] = {}
    by_number: dict[tuple[int, str], int] = {}
    for column, n in columns.items():
        name, _, part = column.rpartition("_")
        if name in MEDIAPIPE and part in _PARTS:
            by_name[MEDIAPIPE.index(name), _PARTS[part]] = n
        elif match := re.fullmatch(r"(?:landmark_?)?(\d\d?)_([a-z]+)|([a-z]+)_?(\d\d?)", column):
            part, number = match[2] or match[3], int(match[1] or match[4])
            if part in _PARTS:
                by_number[number, _PARTS[part]] = n
    if not by_name and by_number:
        least = min(number for number, _ in by_number)
        by_name = {(number - least, part): n for (number, part), n in by_number.items()}
        if least > 1 or max(number for number, _ in by_name) != len(MEDIAPIPE) - 1:
            raise PoseError(f"{path} holds no columns for all of MediaPipe's 33 landmarks")
    return by_name


def _from_wide(
    content: list[list[str]], columns: Columns, wide: dict[tuple[int, str], int]
) -> tuple[NDArray[np.int64], Array, Array]:
    values = {
        key: np.array([float(row[n] or "nan") for row in content])
        for key, n in wide.items()
        if key[1]
    }
    points = np.full((len(content), len(MEDIAPIPE), 2), np.nan)
    scores = np.ones((len(content), len(MEDIAPIPE)))
    for (landmark, part), numbers in values.items():
        if part == "v":
            scores[:, landmark] = np.nan_to_num(numbers)
        elif part in "xy":
            points[:, landmark, "xy".index(part)] = numbers
    column = next((columns[name] for name in _FRAMES if name in columns), None)
    frames = [int(float(row[column])) for row in content] if column is not None else []
    return np.array(frames or range(len(content)), np.int64), points, scores


def _from_long(
    content: list[list[str]], columns: Columns, path: Path
) -> tuple[NDArray[np.int64], Array, Array]:
    frame = next((columns[name] for name in _FRAMES if name in columns), None)
    landmark = next((columns[name] for name in _LANDMARKS if name in columns), None)
    if frame is None or landmark is None or not {"x", "y"} <= set(columns):
        raise PoseError(
            f"{path} has no columns that are known: a table of MediaPipe's landmarks has "
            "LEFT_KNEE_x or x25 and so on, or frame, landmark, x, y, visibility"
        )
    visible = next(
        (columns[name] for name in ("visibility", "v", "score") if name in columns), None
    )
    points: dict[int, Array] = defaultdict(lambda: np.full((len(MEDIAPIPE), 2), np.nan))
    scores: dict[int, Array] = defaultdict(lambda: np.zeros(len(MEDIAPIPE)))
    for row in content:
        (name,) = named([row[landmark]])
        if name.isdecimal() and int(name) < len(MEDIAPIPE):
            at = int(name)
        elif name in MEDIAPIPE:
            at = MEDIAPIPE.index(name)
        else:
            raise PoseError(f"{path}: {row[landmark][:40]!r} is none of MediaPipe's landmarks")
        when = int(float(row[frame]))
        if np.isfinite(points[when][at]).any():
            raise PoseError(f"{path} holds several people in one frame: one to a file can be read")
        points[when][at] = [float(row[columns[axis]] or "nan") for axis in "xy"]
        scores[when][at] = float(row[visible] or 0) if visible is not None else 1.0
    frames = sorted(points)
    return (
        np.array(frames, np.int64),
        np.stack([points[n] for n in frames]),
        np.stack([scores[n] for n in frames]),
    )


def _times(content: list[list[str]], columns: Columns) -> dict[int, float]:
    """Seconds of frames, if there are both a column of frames and one of times."""
    unit = next((name for name in _SECONDS if name in columns), None)
    frame = next((columns[name] for name in _FRAMES if name in columns), None)
    if unit is None:
        return {}
    times = {
        int(float(row[frame])) if frame is not None else n: float(row[columns[unit]])
        * _SECONDS[unit]
        for n, row in enumerate(content)
    }
    start = min(times.values())
    return {n: time - start if min(times) == 0 else time for n, time in times.items()}
