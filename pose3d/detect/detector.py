"""A network made usable: pictures of any size in, :class:`~pose3d.sequence.People` out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose3d.detect import architectures
from pose3d.detect.compact import CompactRCNN, Limits
from pose3d.errors import PoseError, UsageError
from pose3d.sequence import People

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
MAX_LONG_SIDE = 2.0  # of the network's input, in short sides


def choose_device(name: str) -> torch.device:
    """``auto`` is the first GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"no device is called {name!r}: try auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"this machine has no device {name}: try --device cpu")
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """``auto`` is half precision on a GPU and single on a CPU."""
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in PRECISIONS:
        raise UsageError(f"no precision is called {name!r}: try auto, {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


class Detector:
    """Finds people and their keypoints in pictures.

    Parameters
    ----------
    network
        A :class:`CompactRCNN`.
    calibration
        (17, 2) slope and intercept of every keypoint's score; see :func:`calibrate`.
    short_side
        Of the network's input, pixels; a picture's longer side is at most twice that.
    device, precision
        Where and how to run.
    min_score
        People below it are left out: box score times mean keypoint score.
    max_people
        At most so many in one picture.
    """

    def __init__(
        self,
        network: nn.Module,
        calibration: NDArray[np.float32],
        *,
        short_side: int = 384,
        device: str = "auto",
        precision: str = "auto",
        min_score: float = 0.2,
        max_people: int = 20,
    ) -> None:
        self.device = choose_device(device)
        self.dtype = choose_precision(precision, self.device)
        self.network = network.eval().to(self.device, memory_format=torch.channels_last)
        self.calibration = torch.from_numpy(np.asarray(calibration, np.float32)).to(self.device)
        self.short_side = short_side
        self.min_score = min_score
        self.limits = Limits(people=max_people)

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[People]:
        """Find people.

        Parameters
        ----------
        pictures
            RGB uint8 (H, W, 3), of any sizes; those of one size run as one batch.

        Returns
        -------
        list of People
            One a picture, coordinates in its own pixels, the best first.

        Raises
        ------
        UsageError
            If a picture is not RGB uint8.
        """
        for picture in pictures:
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
                raise UsageError("pictures must be RGB uint8 of shape (height, width, 3)")
        answers = [People.nobody()] * len(pictures)
        shapes = {picture.shape for picture in pictures}
        for shape in shapes:
            rows = [n for n, picture in enumerate(pictures) if picture.shape == shape]
            batch = self._batch([pictures[n] for n in rows])
            for n, people in zip(rows, batch, strict=True):
                answers[n] = people
        return answers

    @torch.inference_mode()
    def _batch(self, pictures: list[NDArray[np.uint8]]) -> list[People]:
        """People of pictures of one size."""
        height, width = pictures[0].shape[:2]
        scale = self.short_side / min(height, width)
        scale = min(scale, MAX_LONG_SIDE * self.short_side / max(height, width))
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        blend = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        padded = np.zeros((len(pictures), -(-size[1] // 32) * 32, -(-size[0] // 32) * 32, 3), np.uint8)
        for row, picture in zip(padded, pictures, strict=True):
            row[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=blend)
        # The NHWC array seen as NCHW is channels-last already.
        x = torch.from_numpy(padded).to(self.device).permute(0, 3, 1, 2).float()
        sizes = torch.tensor([size] * len(pictures), device=self.device)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            found = self.network(x, sizes, self.limits)
        scores = calibrated(found.mass, self.calibration)
        ranks = found.scores * scores.mean(1)
        back = torch.tensor([width / size[0], height / size[1]], device=self.device)
        return self._split(
            found.picture, found.boxes * back.repeat(2), ranks, found.keypoints * back, scores,
            len(pictures),
        )  # fmt: skip

    def _split(
        self, picture: Tensor, boxes: Tensor, ranks: Tensor, points: Tensor, scores: Tensor, n: int
    ) -> list[People]:
        """The flat answer of a batch as one :class:`People` a picture."""
        order = torch.argsort(ranks, descending=True)
        order = order[ranks[order] >= self.min_score]
        owner = picture[order].cpu().numpy()
        everyone = People(
            *(v[order].float().cpu().numpy() for v in (boxes, ranks, points, scores))
        )
        return [everyone[owner == row] for row in range(n)]


def calibrated(mass: Tensor, calibration: Tensor) -> Tensor:
    """Peak mass (..., 17) to the probability of lying within COCO's tolerance, by Platt's rule.

    ``calibration`` (17, 2) holds slope and intercept on the logit of the mass (Platt, 1999), fitted
    on labelled keypoints that the training did not see: `train.calibrate`.
    """
    return (torch.logit(mass, eps=1e-4) * calibration[:, 0] + calibration[:, 1]).sigmoid()


def load_detector(
    name: str = "compact",
    device: str = "auto",
    precision: str = "auto",
    min_score: float = 0.2,
    max_people: int = 20,
) -> Detector:
    """Make a detector from weights by name or path.

    Parameters
    ----------
    name
        A name of ``pose3d weights list`` or a file.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
    precision
        ``auto`` (half on a GPU, single on a CPU), ``fp32``, ``fp16`` or ``bf16``.
    min_score
        People below it are left out: box score times mean keypoint score, in [0, 1].
    max_people
        At most so many in one picture.

    Raises
    ------
    PoseError
        If the weights cannot be had, or are none of a detector.

    Examples
    --------
    >>> import pose3d, numpy as np
    >>> detector = pose3d.load_detector()                                   # doctest: +SKIP
    >>> [people] = detector([np.zeros((480, 640, 3), np.uint8)])            # doctest: +SKIP
    >>> people.keypoints.shape                                              # doctest: +SKIP
    (0, 17, 2)
    """
    from pose3d.weights import find, load_safetensors

    path = find(name, kind="detector")
    tensors, metadata = load_safetensors(path)
    network = _network(path, tensors, metadata)
    return Detector(
        network,
        np.array(json.loads(metadata["calibration"]), np.float32),
        short_side=int(metadata["short_side"]),
        device=device,
        precision=precision,
        min_score=min_score,
        max_people=max_people,
    )


def _network(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> CompactRCNN:
    if metadata.get("architecture") != "compact":
        raise PoseError(f"{path} holds no detector that this version knows")
    network = architectures.build("compact", **json.loads(metadata["config"]))
    try:
        network.load_state_dict({k: v.float() for k, v in tensors.items()})
    except RuntimeError as error:
        raise PoseError(f"{path} does not fit its architecture: {error}") from error
    return network  # type: ignore[return-value]
