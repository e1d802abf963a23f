"""Where the network looks and how closely: people small in the picture get more of its pixels.

The compact network finds keypoints best of people 110 to 270 pixels tall in its input (in our
validation pictures; in our clips from 180, see the model card). So a first look at the whole
picture at a fixed size says where people are and how large, and a second one brings them to that
size; in a video it leaves out what is far from everybody, so that far people cost no more than near
ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log2, sqrt

import numpy as np
from numpy.typing import NDArray

from pose3d.likeness import overlap
from pose3d.sequence import People

MAX_LONG_SIDE = 2.0  # of the network's input at the first look, in short sides
SMALL, LARGE = 180.0, 260.0  # pixels of the input that people shall measure, longer side of the box
SURE = 0.3  # score of people who count; all others are taken as they come
STEPS = 4  # scales an octave: neighbouring chunks of a video seldom differ
FARTHEST, CLOSEST = 0.5, 2.0  # times the scale of the first look
MARGIN = 0.5  # of a box's longer side that is kept around people
GRID = 32  # pixels of the input that a region's sides are whole multiples of
WHOLE = 0.85  # share of the picture from which a region is not worth it


@dataclass(frozen=True)
class Framing:
    """What part of a picture the network sees, and how large.

    Attributes
    ----------
    region
        x0, y0, x1, y1 in whole pixels of the picture.
    scale
        Pixels of the network's input to one of the picture.
    """

    region: tuple[int, int, int, int]
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the network's input, not yet padded."""
        x0, y0, x1, y1 = self.region
        return max(round((x1 - x0) * self.scale), 1), max(round((y1 - y0) * self.scale), 1)


def whole(width: int, height: int, short_side: int) -> Framing:
    """All of a picture, so that its shorter side has `short_side` pixels, or less if it is long."""
    scale = short_side / min(width, height)
    scale = min(scale, MAX_LONG_SIDE * short_side / max(width, height))
    return Framing((0, 0, width, height), scale)


def closer(looks: Sequence[People], first: Framing, budget: float) -> Framing:
    """The whole picture, at the scale that suits the people whom a first look saw.

    Parameters
    ----------
    looks
        What it saw, in the pictures' pixels.
    first
        How it looked.
    budget
        Pixels of the input, in those of the first look, that may be spent.

    Returns
    -------
    Framing
        `first` itself where that will do.
    """
    boxes = _sure(looks)
    return Framing(first.region, first.scale * _factor(boxes, first, budget))


def around(looks: Sequence[People], first: Framing) -> Framing:
    """The region that holds everybody during a stretch of video, at the scale that suits them.

    It costs no more than a first look does.

    Parameters
    ----------
    looks
        What first looks at some frames of the stretch saw, its first and last among them.
    first
        How they looked: at whole pictures.
    """
    boxes = _sure(looks)
    if not len(boxes):
        return first
    width, height = first.region[2:]
    margin = MARGIN * _sides(boxes)[:, None]
    grown = np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], 1)
    came = [_to_edge(box, width, height) for box in _newcomers(looks)]
    grown = np.concatenate([grown, np.reshape(came, (-1, 4))])
    left, top = (max(floor(side), 0) for side in grown[:, :2].min(0))
    right, bottom = (
        min(ceil(side), end) for side, end in zip(grown[:, 2:].max(0), (width, height), strict=True)
    )
    share = (right - left) * (bottom - top) / (width * height)
    if share > WHOLE:
        return closer(looks, first, 1.0)
    scale = first.scale * _factor(boxes, first, 1 / share)
    x0, x1 = _on_grid(left, right, width, scale)
    y0, y1 = _on_grid(top, bottom, height, scale)
    return Framing((x0, y0, x1, y1), scale)


def _sure(looks: Sequence[People]) -> NDArray[np.float32]:
    """Boxes (N, 4) of those who are certainly people."""
    return np.concatenate([people.boxes[people.scores >= SURE] for people in looks])


def _sides(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Longer side (N,) of boxes: somebody who lies is no smaller."""
    return (boxes[:, 2:] - boxes[:, :2]).max(1).clip(1)


def _factor(boxes: NDArray[np.floating], first: Framing, budget: float) -> float:
    """How much larger than at the first look people should be, in steps of a part of an octave."""
    if not len(boxes):
        return 1.0
    seen = float(np.exp(np.log(_sides(boxes)).mean())) * first.scale
    wanted = min(max(SMALL / seen, 1.0), CLOSEST) * max(min(LARGE / seen, 1.0), FARTHEST)
    step = ceil(STEPS * log2(wanted) - 1e-6)
    affordable = floor(STEPS * log2(sqrt(budget)) + 1e-6)
    return 2.0 ** (min(step, affordable) / STEPS)


def _newcomers(looks: Sequence[People]) -> list[NDArray[np.floating]]:
    """Boxes of people whom another look did not see, or not near there."""
    found = []
    for n, people in enumerate(looks):
        for other in (*looks[:n], *looks[n + 1 :]):
            for box in people.boxes[people.scores >= SURE]:
                margin = MARGIN * _sides(box[None])[0] * np.array([-1, -1, 1, 1])
                if not len(other) or overlap(box + margin, other.boxes).max() < 0.1:
                    found.append(box)
    return found


def _to_edge(box: NDArray[np.floating], width: int, height: int) -> NDArray[np.floating]:
    """A box drawn out to the nearest edge of the picture, through which the person came or goes."""
    distance = [box[0], box[1], width - box[2], height - box[3]]
    edge = int(np.argmin(distance))
    reached = box.copy()
    reached[edge] = (0, 0, width, height)[edge]
    return reached


def _on_grid(low: int, high: int, end: int, scale: float) -> tuple[int, int]:
    """A side that covers low to high, so long that the input's is a multiple of :data:`GRID`."""
    length = min(int(ceil((high - low) * scale / GRID) * GRID / scale), end)
    start = min(max((low + high - length) // 2, 0), end - length)
    return start, start + length
