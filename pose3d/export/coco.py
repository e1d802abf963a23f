"""COCO's results file for keypoints: ``NAME.coco.json``, a list with an entry per person and frame.

``image_id`` is the index of the frame in the video, ``keypoints`` is x, y and score for each of
COCO's 17 keypoints (0, 0, 0 where missing), ``bbox`` is x, y, width and height, and ``score`` the
mean of the keypoints' scores. ``track_id`` is the person's number. Frames in which somebody was
not found have no entry.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose3d.export.digits import as_text, before, lines
from pose3d.export.settings import Settings
from pose3d.files import replacing
from pose3d.sequence import Keypoints2D, Recording

PIXELS, SCORE = 3, 4  # decimals
CHUNK = 4096  # entries in memory as text at a time


def write(recording: Recording, path: Path, _settings: Settings) -> tuple[Path, ...]:
    """Write the results."""
    with replacing(path) as part, open(part, "wb") as file:
        file.write(b"[")
        mark = b"\n"
        for person in recording.people:
            rows = np.flatnonzero(person.keypoints.found)
            for start in range(0, len(rows), CHUNK):
                piece = _entries(person.keypoints, rows[start : start + CHUNK], person.id)
                file.write(mark + piece.removesuffix(b",\n"))
                mark = b",\n"
        file.write(b"\n]\n")
    return (path,)


def _entries(keypoints: Keypoints2D, rows: NDArray[np.int64], number: int) -> bytes:
    place, score = keypoints.keypoints[rows].astype(float), keypoints.score[rows].astype(float)
    known = np.isfinite(place).all(-1) & (score > 0)
    place, score = np.where(known[..., None], place, 0), np.where(known, score, 0)
    x0, y0, x1, y1 = keypoints.box[rows].astype(float).T
    points = np.concatenate(
        [
            before(",", as_text(place.reshape(-1, 2), PIXELS)),
            before(",", as_text(score.reshape(-1, 1), SCORE)),
        ],
        1,
    ).reshape(len(rows), -1)
    return lines(
        '{"image_id":',
        as_text(keypoints.frame[rows]),
        ',"category_id":1,"keypoints":[',
        points[:, 1:],
        '],"score":',
        as_text(score.mean(1), SCORE),
        ',"bbox":[',
        before(",", as_text(np.stack([x0, y0, x1 - x0, y1 - y0], 1), PIXELS))[:, 1:],
        f'],"track_id":{number}}}',
        end=",\n",
    )
