"""Keypoints on the frame that they were found in."""

import numpy as np
from numpy.typing import NDArray

from pose3d.render import draw
from pose3d.render.style import Sizes, faded, of_bone, of_joint, of_person
from pose3d.sequence import People
from pose3d.skeleton import COCO

LEAST_SCORE = 0.1  # keypoints below are left out
CERTAIN_SCORE = 0.4  # those below are thin and faint
FADE = 0.25
OVER_THE_EYES = 0.08  # how much of the body, from eyes to ankles, reaches over the eyes


def draw_people(picture: NDArray[np.uint8], people: People) -> NDArray[np.uint8]:
    """A copy of a picture with everyone's keypoints on it, numbered from 1 as they are listed.

    The person's own left is orange, the right blue; trunk and number have the person's colour.

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
    seen = np.isfinite(keypoints).all(-1) & (scores >= LEAST_SCORE)
    if not seen.any():
        return
    colour = of_person(number)
    strong = scores >= CERTAIN_SCORE
    for certain in (False, True):
        width, outline = (sizes.bone, sizes.outline) if certain else (sizes.bone // 2, 1)
        fade = 0.0 if certain else FADE
        for a, b in COCO.bones:
            if seen[a] and seen[b] and (strong[a] and strong[b]) == certain:
                shade = faded(of_bone(COCO, (a, b), colour), fade)
                draw.line(canvas, keypoints[a], keypoints[b], shade, width, outline)
        radius = sizes.joint if certain else sizes.joint / 2
        for joint in np.flatnonzero(seen & (strong == certain)).tolist():
            shade = faded(of_joint(COCO, joint, colour), fade)
            draw.dot(canvas, keypoints[joint], shade, radius, outline)
    low, high = keypoints[seen].min(0), keypoints[seen].max(0)
    top = low[1] - OVER_THE_EYES * (high[1] - low[1]) - 2 * sizes.bone
    draw.label(canvas, str(number), np.array([(low[0] + high[0]) / 2, top]), colour, sizes)
