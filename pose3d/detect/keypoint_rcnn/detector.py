"""Public weights made usable."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pose3d.detect.base import PeopleFinder, kernels_run_on
from pose3d.detect.keypoint_rcnn.network import SHORT_SIDE, Detections, KeypointRCNN
from pose3d.sequence import People


class KeypointRCNNDetector(PeopleFinder):
    """Finds people and their keypoints with weights of detectron2, Detectron or torchvision.

    Scores of people are the family's own probabilities of their boxes. Scores of keypoints are
    detectron2's own, cut off at 1; Detectron and torchvision give the heatmap's maximum
    itself, of which the logistic function is taken here.

    Parameters
    ----------
    network
        With its weights. Called directly it gives what the family itself would,
        :class:`~pose3d.detect.keypoint_rcnn.network.Detections`.
    short_side
        Of the network's input, pixels.
    device, precision, min_score, max_people
        As for :class:`~pose3d.detect.base.PeopleFinder`; `min_score` is of the box, and ``auto`` is
        single precision everywhere, because results shall equal the original program's; half
        precision on a GPU runs whole batches (:mod:`~pose3d.detect.keypoint_rcnn.batched`).
    """

    network: KeypointRCNN

    def __init__(
        self,
        network: KeypointRCNN,
        *,
        short_side: int = SHORT_SIDE,
        device: str = "auto",
        precision: str = "auto",
        min_score: float = 0.2,
        max_people: int = 20,
    ) -> None:
        precision = "fp32" if precision == "auto" else precision
        super().__init__(network, device, precision, min_score, max_people)
        self.short_side = short_side
        self._run = None
        if self.dtype != torch.float32 and kernels_run_on(self.device):
            from pose3d.detect.keypoint_rcnn.batched import BatchedRCNN

            self._run = BatchedRCNN(self.network, self.dtype)

    def find(self, pictures: Sequence[NDArray[np.uint8]]) -> list[People]:
        """People of pictures that have been checked."""
        # A GPU's "single" precision convolutions have 10 bits unless told otherwise.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            found = self.network(
                pictures,
                short_side=self.short_side,
                min_score=self.min_score,
                max_people=self.max_people,
                run=self._run,
            )
        return [self._people(answer) for answer in found]

    def _people(self, answer: Detections) -> People:
        scores = answer.keypoint_probabilities.clamp(max=1)
        if self.network.dialect.scored_by_logit:
            scores = torch.sigmoid(answer.keypoint_logits)
        parts = (answer.boxes, answer.scores, answer.keypoints, scores)
        return People(*(part.float().cpu().numpy() for part in parts))
