"""MediaPipe's 33 landmarks, in the tables and arrays that scripts write them to.

MediaPipe has no file of its own. Read are CSV with a row for every frame and columns like
``LEFT_KNEE_x`` or ``x25``, CSV with a row for every landmark and columns like ``frame, landmark, x,
y, visibility``, and NPZ with an array of (frames, 33, 2 to 5): x, y, z, visibility, presence.
Places are shares of the picture, as MediaPipe gives them, or pixels.
"""

import csv
import re
from array import array as row_of_numbers
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pose3d import limits
from pose3d.errors import PoseError, in_a_line
from pose3d.read2d.found import Found, Seen
from pose3d.read2d.joints import MEDIAPIPE, named

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
    if path.stat().st_size > limits.KEYPOINT_BYTES:
        raise PoseError(f"{path} is larger than {limits.in_words(limits.KEYPOINT_BYTES)}: refused")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _table(file, path, size)
    except (UnicodeDecodeError, csv.Error) as error:
        raise PoseError(f"{path} is no table of text ({error})") from None


def _table(file: IO[str], path: Path, size: tuple[int, int] | None) -> Found:
    rows = csv.reader(_lines(file))
    head = list(named(next(rows, [])))
    if len(head) > limits.COLUMNS:
        raise PoseError(f"{path} has more than {limits.COLUMNS} columns: refused")
    columns = {name: n for n, name in enumerate(head)}
    wide = _wide(columns, path)
    when = _When(columns)
    content = when.noted(row for row in rows if row)
    try:
        frames, points, scores = (
            _from_wide(content, columns, wide) if wide else _from_long(content, columns, path)
        )
        times = when.times()
    except (ValueError, IndexError, OverflowError) as error:
        reason = in_a_line(error, 100)
        raise PoseError(f"{path} holds a row that does not fit ({reason})") from None
    if not len(frames):
        raise PoseError(f"{path} holds no rows")
    return Found("mediapipe", MEDIAPIPE, _seen(frames, points, scores, size, path), times=times)


def _lines(file: IO[str]) -> Iterable[str]:
    """Lines that are not without an end."""
    most = limits.COLUMNS * limits.KIB
    while line := file.readline(most):
        if len(line) == most:
            raise csv.Error("a line without an end")
        yield line


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
    content: Iterable[list[str]], columns: Columns, wide: dict[tuple[int, str], int]
) -> tuple[NDArray[np.int64], Array, Array]:
    wanted = [(landmark, part, n) for (landmark, part), n in wide.items() if part]
    column = next((columns[name] for name in _FRAMES if name in columns), None)
    numbers, frames = row_of_numbers("d"), row_of_numbers("q")
    for count, row in enumerate(content):
        numbers.extend(float(row[n] or "nan") for _, _, n in wanted)
        frames.append(count if column is None else int(float(row[column])))
    table = np.frombuffer(numbers, float).reshape(len(frames), len(wanted))
    points = np.full((len(table), len(MEDIAPIPE), 2), np.nan)
    scores = np.ones((len(table), len(MEDIAPIPE)))
    for n, (landmark, part, _) in enumerate(wanted):
        if part == "v":
            scores[:, landmark] = np.nan_to_num(table[:, n])
        elif part in "xy":
            points[:, landmark, "xy".index(part)] = table[:, n]
    return np.frombuffer(frames, np.int64), points, scores


def _from_long(
    content: Iterable[list[str]], columns: Columns, path: Path
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
    if not frames:
        return np.zeros(0, np.int64), np.zeros((0, 33, 2)), np.zeros((0, 33))
    return (
        np.array(frames, np.int64),
        np.stack([points[n] for n in frames]),
        np.stack([scores[n] for n in frames]),
    )


class _When:
    """Seconds of frames, if a table has both a column of frames and one of times."""

    def __init__(self, columns: Columns) -> None:
        self.unit = next((name for name in _SECONDS if name in columns), None)
        self.columns = columns
        self.seconds: dict[int, float] = {}

    def noted(self, rows: Iterable[list[str]]) -> Iterable[list[str]]:
        """The same rows, their times noted."""
        frame = next((self.columns[name] for name in _FRAMES if name in self.columns), None)
        for n, row in enumerate(rows):
            if self.unit:
                number = int(float(row[frame])) if frame is not None else n
                self.seconds[number] = float(row[self.columns[self.unit]]) * _SECONDS[self.unit]
            yield row

    def times(self) -> dict[int, float]:
        """Seconds by frame, 0 at frame 0; none where the table has no times."""
        if not self.seconds or min(self.seconds) != 0:
            return self.seconds
        start = min(self.seconds.values())
        return {n: time - start for n, time in self.seconds.items()}
