"""The compact network made usable."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pose3d.detect.base import PeopleFinder, give_back_memory
from pose3d.detect.compact import CompactRCNN, Limits, Maps, Regions
from pose3d.detect.engine import OpenVINORCNN, choose_engine
from pose3d.detect.framing import Framing, around, closer, whole
from pose3d.likeness import oks
from pose3d.sequence import People

SAME_PERSON = 0.7  # similarity of keypoints, COCO's OKS, from which two are one
SEEN = 0.2  # peak mass from which a keypoint is to be seen
SECOND_LOOK = 2.0  # pixels of a picture's second look, in those of the first
CHUNK = 16  # frames of a video that share a region and a scale
GIVE_BACK = 8  # chunks after which memory is given back; fetching it anew takes 1 % of their time
T = TypeVar("T")
S = TypeVar("S")


class Detector(PeopleFinder):
    """Finds people and their keypoints in pictures with the compact network.

    Parameters
    ----------
    network
        What :mod:`pose3d.detect.compact` builds.
    calibration
        (17, 2) slope and intercept of every keypoint's score; see :func:`calibrated`.
    short_side
        Of the network's input at the first look, pixels; a picture's longer side is at most twice
        that.
    adapts
        Whether there is a second look, at a scale that suits the people whom the first one saw, and
        of single pictures one in the mirror.
    device, precision
        Where and how to run.
    engine
        Of the dense part, see :func:`~pose3d.detect.engine.choose_engine`.
    min_score
        People below it are left out: box score times the keypoints' clarity, which orders
        people better than calibrated scores do, since these say how right, not how clear.
    max_people
        At most so many in one picture.
    """

    network: CompactRCNN
    chunk = CHUNK

    def __init__(
        self,
        network: CompactRCNN,
        calibration: NDArray[np.float32],
        *,
        short_side: int = 384,
        adapts: bool = True,
        device: str = "auto",
        precision: str = "auto",
        engine: str = "auto",
        min_score: float = 0.2,
        max_people: int = 20,
    ) -> None:
        super().__init__(network, device, precision, min_score, max_people)
        self.network.to(memory_format=torch.channels_last)
        self.parts = self._run_by(choose_engine(engine, self.device), precision)
        self._threads = None
        if self.parts.streams > 1:
            self.at_once = 2
            # Each works on one core; torch must not share its work among all again. One more than
            # there are cores goes on while another waits for Python.
            self._threads = ThreadPoolExecutor(
                self.parts.streams + 1, "look", torch.set_num_threads, (1,)
            )
        self.calibration = torch.from_numpy(np.asarray(calibration, np.float32)).to(self.device)
        self.short_side, self.adapts = short_side, adapts
        self._followed = 0  # chunks of videos
        # A person's score is at most that of the box: no keypoints for boxes that cannot count.
        least = max(min_score, Limits.min_box_score)
        self.limits = Limits(people=max_people, min_box_score=least)

    def _run_by(self, engine: str, precision: str) -> Regions:
        if engine == "openvino":
            return OpenVINORCNN(self.network, precision)
        if engine == "triton" and self.dtype != torch.float32:
            from pose3d.detect.gpu import GpuRCNN

            return GpuRCNN(self.network, self.dtype)
        return self.network  # as `auto` on a GPU does in single precision

    def find(self, pictures: Sequence[NDArray[np.uint8]]) -> list[People]:
        """People of pictures that have been checked."""
        answers = [People.nobody()] * len(pictures)
        for shape in {picture.shape for picture in pictures}:
            rows = [n for n, picture in enumerate(pictures) if picture.shape == shape]
            same = [pictures[n] for n in rows]
            for n, people in zip(rows, self._alike(same), strict=True):
                answers[n] = people
        return answers

    def follow(self, frames: Sequence[NDArray[np.uint8]]) -> list[People]:
        """People of successive frames of a video, best of :attr:`chunk` at once.

        The first and the last frame say where people are and how large, and are looked at no
        closer; see :mod:`pose3d.detect.framing`. The answer depends on these frames alone.
        """
        self.check(frames)
        self._followed += 1
        if self._followed % GIVE_BACK == 0 and self.device.type == "cpu":
            give_back_memory()
        if not self.adapts or len({frame.shape for frame in frames}) != 1:
            return self(frames)
        first = self._whole(frames[0])
        ends = [frames[0], frames[-1]] if len(frames) > 1 else list(frames)
        looks = self.run(lambda: self._look(ends, first))
        framing = around(looks, first)
        between = self.run(lambda: self._look(list(frames[1:-1]), framing))
        return [looks[0], *between, *looks[1:]]

    def _alike(self, pictures: list[NDArray[np.uint8]]) -> list[People]:
        """People of pictures of one size, seen again at their scale and in the mirror.

        What a video gains by going on, single pictures gain by more looks.
        """
        first = self._whole(pictures[0])
        looks = self._look(pictures, first)
        if not self.adapts:
            return looks

        def again(n: int) -> People:
            if not len(looks[n]):
                return looks[n]
            framing = closer([looks[n]], first, SECOND_LOOK)
            return self._look([pictures[n]], framing, mirror=True)[0]

        return self._each(again, range(len(looks)))

    def _whole(self, picture: NDArray[np.uint8]) -> Framing:
        height, width = picture.shape[:2]
        return whole(width, height, self.short_side)

    def _look(
        self, pictures: list[NDArray[np.uint8]], framing: Framing, mirror: bool = False
    ) -> list[People]:
        """People of a region of pictures of one size; `mirror` looks at mirror images as well."""
        # Many at once make a CPU no faster, and their maps take memory.
        at_once = 1 if self.device.type == "cpu" else max(len(pictures), 1)
        starts = range(0, len(pictures), at_once)
        found = self._each(
            lambda at: self._batch(pictures[at : at + at_once], framing, mirror), starts
        )
        return [people for batch in found for people in batch]

    def _each(self, work: Callable[[T], S], items: Sequence[T]) -> list[S]:
        """What `work` makes of every item, several at once where the engine runs them so."""
        if self._threads is None or len(items) < 2:
            return [work(item) for item in items]
        return list(self._threads.map(lambda item: self.run(lambda: work(item)), items))

    def resize(self, pictures: Sequence[NDArray[np.uint8]], framing: Framing) -> Tensor:
        """What a framing shows of pictures, as the network's input (B, 3, H, W), uint8, padded."""
        x0, y0, x1, y1 = framing.region
        width, height = framing.size
        padded = torch.zeros(
            len(pictures), _padded(height), _padded(width), 3, dtype=torch.uint8, device=self.device
        )
        for row, picture in zip(padded, pictures, strict=True):
            part = np.require(picture[y0:y1, x0:x1], requirements=("C", "W"))
            seen = torch.from_numpy(part).to(self.device)[None].permute(0, 3, 1, 2)
            # GPUs interpolate no whole numbers.
            seen = seen.float() if seen.is_cuda else seen
            # As free of moire as OpenCV's INTER_AREA, in a fifth of the time.
            shown = F.interpolate(seen, (height, width), mode="bilinear", antialias=True)
            row[:height, :width] = shown[0].permute(1, 2, 0).round()
        # NHWC seen as NCHW is channels-last already.
        return padded.permute(0, 3, 1, 2)

    def _batch(
        self, pictures: list[NDArray[np.uint8]], framing: Framing, mirror: bool
    ) -> list[People]:
        x0, y0, x1, y1 = framing.region
        size = framing.size
        x = self.resize(pictures, framing)
        sizes = torch.tensor([size] * len(pictures), device=self.device)

        def mirrored() -> Maps:
            other = torch.zeros_like(x)
            other[..., : size[0]] = x[..., : size[0]].flip(-1)
            return self.parts.dense(other)

        maps = self.parts.dense(x)
        found = self.parts.people(maps, sizes, self.limits, mirrored if mirror else None)
        scores = calibrated(found.mass, self.calibration)
        ranks = found.scores * clarity(found.mass)
        back = torch.tensor([(x1 - x0) / size[0], (y1 - y0) / size[1]], device=self.device)
        corner = torch.tensor([x0, y0], device=self.device)
        return self._split(
            found.picture, found.boxes * back.repeat(2) + corner.repeat(2), ranks,
            found.keypoints * back + corner, scores, len(pictures),
        )  # fmt: skip

    def _split(
        self, picture: Tensor, boxes: Tensor, ranks: Tensor, points: Tensor, scores: Tensor, n: int
    ) -> list[People]:
        """The flat answer of a batch as one :class:`People` a picture."""
        order = torch.argsort(ranks, descending=True)
        order = order[ranks[order] >= self.min_score]
        owner = picture[order].cpu().numpy()
        everyone = People(*(v[order].float().cpu().numpy() for v in (boxes, ranks, points, scores)))
        return [distinct(everyone[owner == row]) for row in range(n)]


def _padded(side: int) -> int:
    """A side of the network's input as it must be: a multiple of 32."""
    return -(-side // 32) * 32


def distinct(people: People) -> People:
    """People, the best first, without those whose keypoints are those of a better one.

    Boxes that overlap too little for the network to drop one can still be the same person's.
    """
    alike = oks(people.keypoints, people.keypoint_scores, people.boxes, people.keypoints)
    kept: list[int] = []
    for row in range(len(people)):
        if not (alike[kept, row] > SAME_PERSON).any():
            kept.append(row)
    return people[kept]


def clarity(mass: Tensor) -> Tensor:
    """How clear a person's keypoints are (P,): the mean peak mass (P, 17) of those to be seen."""
    seen = mass > SEEN
    return (mass * seen).sum(1) / seen.sum(1).clamp(min=1)


def calibrated(mass: Tensor, calibration: Tensor) -> Tensor:
    """Peak mass (..., 17) to the probability of lying within COCO's tolerance, by Platt's rule.

    ``calibration`` (17, 2) holds slope and intercept on the logit of the mass (Platt, 1999), fitted
    on labelled keypoints that the training did not see: `train.calibrate`.
    """
    return (torch.logit(mass, eps=1e-4) * calibration[:, 0] + calibration[:, 1]).sigmoid()
