"""Keypoints on the frame that they were found in."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d import certainty
from pose3d.render import draw
from pose3d.render.style import Colour, Sizes, of_bone, of_joint, of_person
from pose3d.sequence import People
from pose3d.skeleton import COCO

FAINT = 0.45  # how much of doubtful keypoints covers the picture
OVER_THE_EYES = 0.08  # how much of the body, from eyes to ankles, reaches over the eyes


def draw_people(picture: NDArray[np.uint8], people: People) -> NDArray[np.uint8]:
    """A copy of a picture with everyone's keypoints on it, numbered from 1 as they are listed.

    The person's own left is orange, the right blue; trunk and number have the person's colour.
    What is doubtful is thin and faint, what is hardly likely left out (:mod:`pose3d.certainty`).

    Parameters
    ----------
    picture
        RGB uint8 (H, W, 3).
    people
        Their keypoints in the picture's pixels.
    """
    canvas = np.ascontiguousarray(picture).copy()
    for row in reversed(range(len(people))):  # the best on top
        draw_person(
            canvas, people.keypoints[row], people.keypoint_scores[row], row + 1,
            Sizes.of(min(canvas.shape[:2])),
        )  # fmt: skip
    return canvas


def draw_person(
    canvas: NDArray[np.uint8],
    keypoints: NDArray[np.floating],
    scores: NDArray[np.floating],
    number: int,
    sizes: Sizes,
) -> None:
    """Draw one person's keypoints.

    Parameters
    ----------
    canvas
        RGB uint8 (H, W, 3), drawn on.
    keypoints, scores
        (17, 2) in the canvas's pixels, NaN where missing, and (17,).
    number
        Of the person: decides on the colour, and is written above.
    sizes
        Of lines and letters.
    """
    scores = np.nan_to_num(scores)
    seen = np.isfinite(keypoints).all(-1) & (scores >= certainty.LEAST)
    if not seen.any():
        return
    colour = of_person(number)
    strong = seen & (scores >= certainty.CERTAIN)
    if (seen & ~strong).any():
        ghost = canvas.copy()
        _draw_skeleton(ghost, keypoints, seen, ~strong, colour, sizes.thin())
        cv2.addWeighted(ghost, FAINT, canvas, 1 - FAINT, 0, canvas)
    _draw_skeleton(canvas, keypoints, strong, strong, colour, sizes)
    low, high = keypoints[seen].min(0), keypoints[seen].max(0)
    top = low[1] - OVER_THE_EYES * (high[1] - low[1]) - 2 * sizes.bone
    draw.label(canvas, str(number), np.array([(low[0] + high[0]) / 2, top]), colour, sizes)


def _draw_skeleton(
    canvas: NDArray[np.uint8],
    keypoints: NDArray[np.floating],
    seen: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    colour: Colour,
    sizes: Sizes,
) -> None:
    """Draw the chosen ones (17,) of what is seen (17,), and bones with a chosen end."""
    for a, b in COCO.bones:
        if seen[a] and seen[b] and (chosen[a] or chosen[b]):
            shade = of_bone(COCO, (a, b), colour)
            draw.line(canvas, keypoints[a], keypoints[b], shade, sizes.bone, sizes.outline)
    for joint in np.flatnonzero(seen & chosen).tolist():
        shade = of_joint(COCO, joint, colour)
        draw.dot(canvas, keypoints[joint], shade, sizes.joint, sizes.outline)
