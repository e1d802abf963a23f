"""Lines, dots and labels at fractions of a pixel, with soft edges."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d.render.style import INK, OUTLINE, Colour, Sizes

Picture = NDArray[np.uint8]
Point = NDArray[np.floating]

SHIFT = 4  # OpenCV takes coordinates in 1/16 pixel
FARTHEST = 1 << 14  # pixels; OpenCV's arithmetic overflows somewhere beyond
FONT = cv2.FONT_HERSHEY_SIMPLEX


def fixed(point: Point) -> tuple[int, int]:
    """A point in OpenCV's units: its pixel (0, 0) has its centre, not its corner, at (0, 0)."""
    x, y = np.clip(np.asarray(point, float), -FARTHEST, FARTHEST) - 0.5
    return round(float(x) * (1 << SHIFT)), round(float(y) * (1 << SHIFT))


def line(canvas: Picture, a: Point, b: Point, colour: Colour, width: int, outline: int = 0) -> None:
    """A line between two points, with a dark edge if asked; nothing where a point is missing."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return
    ends = fixed(a), fixed(b)
    if outline:
        cv2.line(canvas, *ends, OUTLINE, width + 2 * outline, cv2.LINE_AA, SHIFT)
    cv2.line(canvas, *ends, colour, width, cv2.LINE_AA, SHIFT)


def dot(canvas: Picture, centre: Point, colour: Colour, radius: float, outline: int = 0) -> None:
    """A disc, with a dark edge if asked; nothing where the point is missing."""
    if not np.isfinite(centre).all():
        return
    at, size = fixed(centre), 1 << SHIFT
    if outline:
        cv2.circle(canvas, at, round((radius + outline) * size), OUTLINE, -1, cv2.LINE_AA, SHIFT)
    cv2.circle(canvas, at, round(radius * size), colour, -1, cv2.LINE_AA, SHIFT)


def curve(canvas: Picture, points: Point, colour: Colour, width: int) -> None:
    """Lines from point to point (K, 2); none to or from one that is missing."""
    known = np.atleast_1d(np.isfinite(points).all(-1))
    runs = np.split(np.arange(len(points)), np.flatnonzero(np.diff(known)) + 1)
    whole = [
        np.array([fixed(point) for point in points[run]], np.int32)
        for run in runs
        if len(run) > 1 and known[run[0]]
    ]
    cv2.polylines(canvas, whole, False, colour, width, cv2.LINE_AA, SHIFT)


def text(
    canvas: Picture, words: str, corner: Point, colour: Colour, sizes: Sizes, outline: int = 0
) -> None:
    """Words whose lower left corner is given, with a dark edge if asked."""
    x, y = (round(float(v)) for v in corner)

    def put(dx: int, dy: int, ink: Colour) -> None:
        place = (x + dx, y + dy)
        cv2.putText(canvas, words, place, FONT, sizes.font, ink, sizes.text, cv2.LINE_AA)

    if outline:  # OpenCV 5's letters are wider if they are thicker, so the edge is made of shifts
        around = (-outline, 0, outline)
        for dx, dy in ((dx, dy) for dx in around for dy in around if dx or dy):
            put(dx, dy, OUTLINE)
    put(0, 0, colour)


def text_size(words: str, sizes: Sizes) -> tuple[int, int]:
    """Width and height of words, pixels."""
    (width, height), _ = cv2.getTextSize(words, FONT, sizes.font, sizes.text)
    return width, height


def label(canvas: Picture, words: str, bottom: Point, colour: Colour, sizes: Sizes) -> None:
    """Words on a coloured tag whose lower edge's middle is given, moved to lie in the picture."""
    if not np.isfinite(bottom).all():
        return
    height, width = canvas.shape[:2]
    w, h = text_size(words, sizes)
    pad = max(h // 3, 2)
    left = int(np.clip(bottom[0] - w / 2 - pad, 0, max(width - w - 2 * pad, 0)))
    base = int(np.clip(bottom[1], h + 2 * pad, height - 1))
    cv2.rectangle(canvas, (left, base - h - 2 * pad), (left + w + 2 * pad, base), colour, -1)
    text(canvas, words, np.array([left + pad, base - pad]), INK, sizes)
