"""Keypoints on the frame that they were found in."""

import numpy as np
from numpy.typing import NDArray

from pose3d.render import draw
from pose3d.render.style import Sizes, faded, of_bone, of_joint, of_person
from pose3d.sequence import People
from pose3d.skeleton import COCO

LEAST_SCORE = 0.1  # keypoints below are left out
CERTAIN_SCORE = 0.4  # those below are thin and faint


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
    seen = np.isfinite(keypoints).all(-1) & (np.nan_to_num(scores) >= LEAST_SCORE)
    if not seen.any():
        return
    colour = of_person(number)
    strong = np.nan_to_num(scores) >= CERTAIN_SCORE
    for certain in (False, True):
        for bone in COCO.bones:
            a, b = bone
            if seen[a] and seen[b] and (strong[a] and strong[b]) == certain:
                shade = of_bone(COCO, bone, colour)
                width = sizes.bone if certain else max(sizes.bone // 2, 1)
                draw.line(
                    canvas, keypoints[a], keypoints[b],
                    shade if certain else faded(shade, 0.35), width, sizes.outline,
                )  # fmt: skip
    for joint in np.flatnonzero(seen).tolist():
        shade = of_joint(COCO, joint, colour)
        radius = sizes.joint if strong[joint] else sizes.joint / 2
        draw.dot(
            canvas, keypoints[joint], shade if strong[joint] else faded(shade, 0.35), radius,
            sizes.outline,
        )  # fmt: skip
    known = keypoints[seen]
    above = np.array([np.median(known[:, 0]), known[:, 1].min() - 6 * sizes.bone])
    draw.label(canvas, str(number), above, colour, sizes)
