"""Joint angles over time, as a picture: one row of panels a person, left orange, right blue.

Where the person was hidden, so that the pose is a guess, the panels are dark.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d.angles import angles
from pose3d.certainty import CERTAIN, whole_scores
from pose3d.errors import PoseError
from pose3d.pictures import write_picture
from pose3d.render.style import (
    BACKGROUND,
    FLOOR,
    GRID,
    LEFT,
    RIGHT,
    TEXT,
    Colour,
    of_person,
)
from pose3d.sequence import Person, Recording

PANELS = (
    "hip_flexion", "hip_abduction", "knee_flexion", "shoulder_flexion", "shoulder_abduction",
    "elbow_flexion", "trunk_flexion", "trunk_bending", "trunk_rotation", "neck_flexion",
)  # fmt: skip
COLUMNS = 5
WIDTH, HEIGHT = 340, 200  # of a panel, pixels
MARGIN = (44, 30, 12, 26)  # left, top, right, bottom of a panel
TITLE = 34
MOST = 8  # people drawn
NARROWEST = 20.0  # degrees that a panel shows at least
LETTERS = 0.42

Picture = NDArray[np.uint8]


def plot_angles(recording: Recording, path: Path) -> None:
    """Write a picture of everyone's joint angles.

    Parameters
    ----------
    recording
        Lifted.
    path
        PNG to write.

    Raises
    ------
    PoseError
        If nobody is lifted.
    """
    people = [person for person in recording.people if person.pose is not None][:MOST]
    if not people:
        raise PoseError(f"{path.name}: nobody has 3D joints, so there are no angles to draw")
    write_picture(np.vstack([_row(person) for person in people]), path)


def _row(person: Person) -> Picture:
    """All panels of one person."""
    assert person.pose is not None
    found, times = angles(person.pose), person.keypoints.time
    rows = -(-len(PANELS) // COLUMNS)
    canvas = np.full((TITLE + rows * HEIGHT, COLUMNS * WIDTH, 3), BACKGROUND, np.uint8)
    _say(canvas, f"person {person.id}: degrees over seconds", (MARGIN[0], 24), of_person(person.id))
    hidden = whole_scores(person) < CERTAIN
    if hidden.any():
        _say(canvas, "dark: hidden, so guessed", (COLUMNS * WIDTH - 420, 24), GRID)
    _say(canvas, "left", (COLUMNS * WIDTH - 130, 24), LEFT)
    _say(canvas, "right", (COLUMNS * WIDTH - 70, 24), RIGHT)
    for n, name in enumerate(PANELS):
        x, y = n % COLUMNS * WIDTH, TITLE + n // COLUMNS * HEIGHT
        curves = [
            (found[key], colour)
            for key, colour in ((f"left_{name}", LEFT), (f"right_{name}", RIGHT), (name, TEXT))
            if key in found
        ]
        panel = canvas[y : y + HEIGHT, x : x + WIDTH]
        _panel(panel, name.replace("_", " "), times, curves, hidden)
    return canvas


def _panel(
    canvas: Picture,
    title: str,
    times: NDArray[np.float64],
    curves: list[tuple[NDArray[np.float32], Colour]],
    hidden: NDArray[np.bool_],
) -> None:
    left, top, right, bottom = MARGIN
    x0, y0, x1, y1 = left, top, canvas.shape[1] - right, canvas.shape[0] - bottom
    canvas[y0:y1, x0:x1] = FLOOR
    _say(canvas, title, (x0, y0 - 8), TEXT)
    low, high = _range([values for values, _ in curves])
    start, end = float(times[0]), max(float(times[-1]), float(times[0]) + 1e-3)

    def place(t: NDArray[np.float64], v: NDArray[np.floating]) -> NDArray[np.int32]:
        """Sixteenths of a pixel."""
        x = x0 + (t - start) / (end - start) * (x1 - x0)
        y = y1 - (v - low) / (high - low) * (y1 - y0)
        return np.round(np.stack([x, y], -1) * 16).astype(np.int32)

    for a, b in _runs(hidden):
        (first, _), (last, _) = place(times[[a, b - 1]], np.full(2, low)) >> 4
        canvas[y0:y1, first : last + 1] = BACKGROUND
    for value in _ticks(low, high, 5):
        y = int(y1 - (value - low) / (high - low) * (y1 - y0))
        canvas[min(y, y1 - 1), x0:x1] = GRID
        _say(canvas, f"{value:g}", (4, y + 5), GRID)
    for value in _ticks(start, end, 5):
        x = int(x0 + (value - start) / (end - start) * (x1 - x0))
        _say(canvas, f"{value:g}", (min(x, x1 - 20), y1 + 17), GRID)
    for values, colour in curves:
        for a, b in _runs(np.isfinite(values)):
            points = place(times[a:b], values[a:b])
            cv2.polylines(canvas, [points], False, colour, 1, cv2.LINE_AA, 4)


def _runs(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N, 2): where rows that are chosen begin, and where they end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(int)))
    return edges.reshape(-1, 2)


def _range(curves: list[NDArray[np.float32]]) -> tuple[float, float]:
    """Lowest and highest angle shown."""
    every = np.concatenate(curves)
    every = every[np.isfinite(every)]
    if not len(every):
        return -NARROWEST / 2, NARROWEST / 2
    low, high = float(every.min()), float(every.max())
    room = max(NARROWEST - (high - low), 0.08 * (high - low)) / 2
    return low - room, high + room


def _ticks(low: float, high: float, count: int) -> NDArray[np.float64]:
    """Round numbers between two."""
    rough = (high - low) / count
    unit = 10 ** np.floor(np.log10(rough))
    step = unit * min((m for m in (1, 2, 2.5, 5, 10) if m * unit >= rough), default=10)
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step + 0.0  # no -0


def _say(canvas: Picture, words: str, at: tuple[int, int], colour: Colour) -> None:
    cv2.putText(canvas, words, at, cv2.FONT_HERSHEY_SIMPLEX, LETTERS, colour, 1, cv2.LINE_AA)
