"""How well a detector finds keypoints: COCO's OKS-AP, by pycocotools."""

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.errors import PoseError
from pose3d.pictures import read_picture
from pose3d.sequence import People
from pose3d.train.people import read_annotations

BATCH = 16


@dataclass(frozen=True)
class DetectorScores:
    """COCO keypoint evaluation, each in [0, 1].

    `ap` and `ar` are means over OKS 0.50 to 0.95 and all persons that are not crowd; `medium` and
    `large` are those with an area of 32 to 96 pixels squared and above.
    """

    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    ap_large: float
    ar: float
    images: int


def evaluate_detector(
    annotations: Path,
    images: Path,
    detector: Callable[[Sequence[NDArray[np.uint8]]], list[People]],
    every: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> DetectorScores:
    """Run a detector over COCO-format data and score it.

    Parameters
    ----------
    annotations, images
        A `person_keypoints` file (may be gzipped) and the folder of its pictures.
    detector
        Anything that turns RGB pictures into :class:`People`; it should keep low scores.
    every
        Use every n-th picture.
    progress
        Called with the number of pictures done, batch by batch.

    Raises
    ------
    PoseError
        If the annotations are none, or a picture cannot be read.
    """
    coco = read_annotations(annotations)
    if not isinstance(coco, dict) or not {"images", "annotations"} <= coco.keys():
        raise PoseError(f"{annotations} has no images and annotations, as COCO's annotations have")
    pictures = coco["images"][::every]
    results: list[dict[str, Any]] = []
    # Pictures of one size run as one batch.
    order = sorted(pictures, key=lambda p: (p["width"], p["height"]))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        found = detector([read_picture(images / picture["file_name"]) for picture in batch])
        for picture, people in zip(batch, found, strict=True):
            results += coco_results(picture["id"], people)
        progress(len(batch))
    return score(coco, results, [picture["id"] for picture in pictures])


def coco_results(image_id: int, people: People) -> list[dict[str, Any]]:
    """People as COCO keypoint results."""
    rows = np.concatenate([people.keypoints, people.keypoint_scores[..., None]], -1)
    return [
        {
            "image_id": image_id,
            "category_id": 1,
            "keypoints": row.astype(float).round(3).ravel().tolist(),
            "score": float(rank),
        }
        for row, rank in zip(rows, people.scores, strict=True)
    ]


def score(coco: dict, results: list[dict[str, Any]], image_ids: list[int]) -> DetectorScores:
    """COCO's figures of results on some of the pictures of a data set."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise PoseError("evaluating needs pycocotools: pip install 'pose3d[evaluate]'") from None
    if not results:
        return DetectorScores(0, 0, 0, 0, 0, 0, len(image_ids))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {**coco, "annotations": [_complete(a) for a in coco["annotations"]]}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "keypoints")
        evaluation.params.imgIds = sorted(image_ids)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ap, ap50, ap75, medium, large, ar = evaluation.stats[:6]
    return DetectorScores(ap, ap50, ap75, medium, large, ar, len(image_ids))


def _complete(annotation: dict) -> dict:
    """Crowd boxes may come without keypoints; the evaluator reads them all."""
    return {"keypoints": [0] * 51, "num_keypoints": 0, **annotation}
