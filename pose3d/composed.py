"""People who are none: made of the limbs of others who stand in each other's way."""

import numpy as np

from pose3d.likeness import PERSON_SHARE, VARIANCES
from pose3d.sequence import People

NEAR = 0.5  # likeness from which two keypoints are one, as in COCO's OKS
MOST = 0.8  # of somebody's keypoints may be others'


def without_composed(people: People) -> People:
    """Those who have enough keypoints of their own.

    In videos such people last for a moment and are left out with all short tracks; in a picture
    nothing else tells. Of 569 people found in pictures of a validation set at most one is left
    out, who is not there.

    Parameters
    ----------
    people
        Of one picture, the surest first.
    """
    kept: list[int] = []
    for row in range(len(people)):
        x0, y0, x1, y1 = people.boxes[row].astype(float)
        tolerance = PERSON_SHARE * (x1 - x0) * (y1 - y0) * VARIANCES
        away = ((people.keypoints[kept] - people.keypoints[row]) ** 2).sum(-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            shared = (np.exp(-away / (2 * tolerance)) > NEAR).any(0)
        if shared.mean() < MOST:
            kept.append(row)
    return people[np.array(kept, int)]
