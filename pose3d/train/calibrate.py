"""Make keypoint scores honest: of those that say 0.8, four in five are right.

Right means: within COCO's tolerance at a keypoint similarity of 0.5, the keypoint's own term of
OKS. Slope and intercept of every keypoint are fitted on half of a validation split (Platt, 1999)
and judged on the other half; the plot of said against found goes into the model card.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from pose3d.detect.detector import Detector
from pose3d.errors import PoseError
from pose3d.likeness import overlap
from pose3d.pictures import read_picture
from pose3d.skeleton import COCO_SIGMAS
from pose3d.train.people import read_annotations

MIN_SIMILARITY = 0.5
CLIP = 1e-4


@dataclass(frozen=True)
class Reliability:
    """Said and found, in ten bins of the score: what a reliability plot shows.

    Attributes
    ----------
    said, found
        (10,) mean score and share of right keypoints of each bin; NaN where a bin is empty.
    count
        (10,) keypoints.
    error
        Expected calibration error, weighted by count.
    """

    said: NDArray[np.float64]
    found: NDArray[np.float64]
    count: NDArray[np.int64]
    error: float


def calibrate(
    detector: Detector,
    annotations: Path,
    images: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[NDArray[np.float32], Reliability]:
    """Slope and intercept (17, 2) of every keypoint, and how honest they are.

    Fitted on every second labelled person, judged on the others.
    """
    score, right = collect(detector, annotations, images, progress)
    slope = fit(score[::2], right[::2])
    raw = logit(np.clip(score[1::2], CLIP, 1 - CLIP))
    return slope, reliability(expit(raw * slope[:, 0] + slope[:, 1]), right[1::2])


def plot(result: Reliability, path: Path) -> None:
    """Draw said against found, with how many keypoints there are of each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.plot(result.said, result.found, "o-", color="tab:blue")
    axes.bar(
        np.arange(10) / 10 + 0.05, result.count / result.count.sum(), 0.09, color="0.85", zorder=0
    )
    axes.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="score (bars: share of keypoints)",
        ylabel="share that is right", title=f"expected calibration error {result.error:.3f}",
    )  # fmt: skip
    figure.savefig(path, dpi=110)


def collect(
    detector: Detector,
    annotations: Path,
    images: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of every labelled keypoint and whether it is right.

    Every labelled person is compared with the detection that overlaps them most, if that is by
    half. ``detector`` should have the identity as calibration, so that scores are peak masses.

    Returns
    -------
    score (N, 17), right (N, 17)
        NaN where a keypoint has no label.

    Raises
    ------
    PoseError
        If none of the labelled people is found.
    """
    coco = read_annotations(annotations)
    notes: dict[int, list[dict]] = {}
    for note in coco["annotations"]:
        if not note["iscrowd"] and note["num_keypoints"]:
            notes.setdefault(note["image_id"], []).append(note)
    scores, rights = [], []
    for picture in coco["images"]:
        [people] = detector([read_picture(images / picture["file_name"])])
        progress(1)
        for note in notes.get(picture["id"], []):
            x, y, w, h = note["bbox"]
            shared = overlap(people.boxes, np.array([x, y, x + w, y + h]))
            if not len(shared) or shared.max() < 0.5:
                continue
            best = int(shared.argmax())
            truth = np.array(note["keypoints"], float).reshape(17, 3)
            distance = ((people.keypoints[best] - truth[:, :2]) ** 2).sum(1)
            similarity = np.exp(-distance / (2 * note["area"] * (2 * COCO_SIGMAS) ** 2))
            labelled = truth[:, 2] > 0
            scores.append(np.where(labelled, people.keypoint_scores[best], np.nan))
            rights.append(np.where(labelled, similarity > MIN_SIMILARITY, np.nan))
    if not scores:
        raise PoseError("the detector finds none of the labelled people: nothing to calibrate by")
    return np.array(scores), np.array(rights)


def fit(score: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float32]:
    """Slope and intercept (17, 2) of the logit of every keypoint's score, by maximum likelihood."""
    return np.array([_platt(score[:, k], right[:, k]) for k in range(score.shape[1])], np.float32)


def reliability(score: NDArray[np.float64], right: NDArray[np.float64]) -> Reliability:
    """Bin calibrated scores (any shape) and the share of right ones."""
    known = ~np.isnan(score)
    said, truth = score[known], right[known]
    bins = np.minimum((said * 10).astype(int), 9)
    count = np.bincount(bins, minlength=10)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(bins, said, 10) / count
        found = np.bincount(bins, truth, 10) / count
    error = float(np.nansum(np.abs(mean - found) * count) / count.sum())
    return Reliability(mean, found, count, error)


def _platt(score: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[float, float]:
    known = ~np.isnan(score)
    x, y = logit(np.clip(score[known], CLIP, 1 - CLIP)), right[known]

    def loss(parameters: NDArray[np.float64]) -> float:
        p = expit(parameters[0] * x + parameters[1])
        return -float(np.mean(y * np.log(p + 1e-9) + (1 - y) * np.log(1 - p + 1e-9)))

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(slope), float(intercept)
