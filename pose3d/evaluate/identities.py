"""How well people keep their identity over a video.

IDF1 (Ristani, Solera, Zou, Cucchiara and Tomasi, "Performance measures and a data set for
multi-target, multi-camera tracking", ECCV workshops 2016): true identities and those found are
paired once for the whole video, each with at most one other, so that as many boxes as possible
belong together; a box counts where it overlaps its partner's by half. Switches are those of CLEAR
MOT (Bernardin and Stiefelhagen, 2008): frames in which a true person is found under another
identity than when they were found last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d.likeness import overlap

LEAST = 0.5  # overlap of boxes from which they are the same person's


@dataclass(frozen=True)
class IdentityScores:
    """IDF1, the precision and recall that it is the harmonic mean of, and the switches."""

    idf1: float
    precision: float
    recall: float
    switches: int


def identity_scores(
    truth: Sequence[NDArray[np.floating]], found: Sequence[NDArray[np.floating]]
) -> IdentityScores:
    """Compare the boxes of true and found identities.

    Parameters
    ----------
    truth, found
        Of every identity (T, 4) x0, y0, x1, y1 in all frames of the video; NaN where not there.
    """
    from scipy.optimize import linear_sum_assignment

    frames = max(map(len, (*truth, *found)), default=0)
    alike = np.zeros((len(truth), len(found), frames))
    for a, real in enumerate(truth):
        for b, other in enumerate(found):
            alike[a, b] = np.nan_to_num(overlap(real, other))
    together = (alike >= LEAST).sum(-1)
    rows, columns = linear_sum_assignment(together, maximize=True)
    right = float(together[rows, columns].sum())
    wanted, given = (
        float(sum(np.isfinite(boxes[:, 0]).sum() for boxes in people)) for people in (truth, found)
    )
    return IdentityScores(
        idf1=2 * right / max(wanted + given, 1.0),
        precision=right / max(given, 1.0),
        recall=right / max(wanted, 1.0),
        switches=_switches(alike),
    )


def _switches(alike: NDArray[np.float64]) -> int:
    """How often a true person changes identity; overlaps (N, P, T)."""
    from scipy.optimize import linear_sum_assignment

    last: dict[int, int] = {}
    count = 0
    for frame in np.moveaxis(alike, -1, 0):
        # Who is still where they were last stays; the others are paired anew.
        kept = {a: b for a, b in last.items() if frame[a, b] >= LEAST}
        free = frame.copy()
        free[list(kept)] = 0
        free[:, list(kept.values())] = 0
        pairs = zip(*linear_sum_assignment(free, maximize=True), strict=True)
        now = kept | {int(a): int(b) for a, b in pairs if free[a, b] >= LEAST}
        count += sum(last.get(a, b) != b for a, b in now.items())
        last |= now
    return count
