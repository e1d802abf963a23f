"""The compact network made usable."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pose3d.detect.base import PeopleFinder
from pose3d.detect.compact import CompactRCNN, Limits, Maps, Regions
from pose3d.detect.engine import OpenVINORCNN, choose_engine
from pose3d.detect.framing import Framing, around, closer, whole
from pose3d.detect.upload import Uploaded
from pose3d.errors import UsageError
from pose3d.frame import Frame
from pose3d.heap import give_back_memory
from pose3d.likeness import oks
from pose3d.sequence import People

SAME_PERSON = 0.7  # similarity of keypoints, COCO's OKS, from which two are one
SEEN = 0.2  # peak mass from which a keypoint is to be seen
SECOND_LOOK = 2.0  # pixels of a picture's second look, in those of the first
CHUNK = 16  # frames of a video that share a region and a scale
Pictures = Sequence[NDArray[np.uint8]] | Uploaded
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
        self.parts = self._run_by(engine, precision)
        self._threads = None
        if self.parts.streams > 1:
            self.at_once = 2
            # Each works on one core; torch must not share its work among all again. One more than
            # there are cores goes on while another waits for Python.
            self._threads = ThreadPoolExecutor(
                self.parts.streams + 1, "look", torch.set_num_threads, (1,)
            )
        if self.device.type == "cuda":
            self.takes_planes = True
            self.at_once = 2  # one is on its way to the GPU while that is at work on the other
            self._alone, self._stream = Lock(), torch.cuda.Stream(self.device)
        self.calibration = torch.from_numpy(np.asarray(calibration, np.float32)).to(self.device)
        self.short_side, self.adapts = short_side, adapts
        self._held = 0  # bytes, when memory was last given back
        # A person's score is at most that of the box: no keypoints for boxes that cannot count.
        least = max(min_score, Limits.min_box_score)
        self.limits = Limits(people=max_people, min_box_score=least)

    def _run_by(self, engine: str, precision: str) -> Regions:
        chosen = choose_engine(engine, self.device)
        if chosen == "openvino":
            return OpenVINORCNN(self.network, precision)
        if chosen == "torch":
            return self.network
        if self.dtype != torch.float32:
            from pose3d.detect.gpu import GpuRCNN

            return GpuRCNN(self.network, self.dtype)
        if engine == "triton":
            raise UsageError("triton runs in half precision: leave --engine or --precision out")
        return self.network

    def find(self, pictures: Sequence[NDArray[np.uint8]]) -> list[People]:
        """People of pictures that have been checked."""
        answers = [People.nobody()] * len(pictures)
        for shape in {picture.shape for picture in pictures}:
            rows = [n for n, picture in enumerate(pictures) if picture.shape == shape]
            same = [pictures[n] for n in rows]
            for n, people in zip(rows, self._alike(same), strict=True):
                answers[n] = people
        return answers

    def follow(self, frames: Sequence[Frame]) -> list[People]:
        """People of successive frames of a video, best of :attr:`chunk` at once.

        The first and the last frame say where people are and how large, and are looked at no
        closer; see :mod:`pose3d.detect.framing`. The answer depends on these frames alone.
        """
        if self.device.type == "cpu":
            self._held = give_back_memory(self._held)
        pictures = self._taken(frames)
        first = whole(*frames[0].size, self.short_side)
        with self._turn():
            if not self.adapts:
                return self.run(lambda: self._look(pictures, first))
            looks = self.run(lambda: self._look(_ends(pictures), first))
            framing = around(looks, first)
            between = self.run(lambda: self._look(pictures[1:-1], framing))
        return [looks[0], *between, *looks[1:]]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The network to oneself, beside what else the GPU is asked: to decode, and for pixels."""
        if self.device.type != "cuda":
            yield
            return
        with self._alone, torch.cuda.stream(self._stream):
            self._stream.wait_stream(torch.cuda.default_stream(self.device))
            yield

    def _taken(self, frames: Sequence[Frame]) -> Pictures:
        """Frames' pictures, where the network is."""
        if self.device.type == "cuda":
            planes = [frame.planes for frame in frames]
            known = [p for p in planes if p is not None]
            if len(known) == len(planes):
                return Uploaded.of(known, self.device)
        pictures = [frame.image for frame in frames]
        self.check(pictures)
        return pictures

    def _alike(self, pictures: list[NDArray[np.uint8]]) -> list[People]:
        """People of pictures of one size, seen again at their scale and in the mirror.

        What a video gains by going on, single pictures gain by more looks.
        """
        height, width = pictures[0].shape[:2]
        first = whole(width, height, self.short_side)
        looks = self._look(pictures, first)
        if not self.adapts:
            return looks

        def again(n: int) -> People:
            if not len(looks[n]):
                return looks[n]
            framing = closer([looks[n]], first, SECOND_LOOK)
            return self._look([pictures[n]], framing, mirror=True)[0]

        return self._each(again, range(len(looks)))

    def _look(self, pictures: Pictures, framing: Framing, mirror: bool = False) -> list[People]:
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

    def resize(self, pictures: Pictures, framing: Framing) -> Tensor:
        """What a framing shows of pictures, as the network's input (B, 3, H, W), uint8, padded."""
        x0, y0, x1, y1 = framing.region
        width, height = framing.size
        grid = self.parts.grid
        padded = torch.zeros(
            len(pictures), *(-(-side // grid) * grid for side in (height, width)), 3,
            dtype=torch.uint8, device=self.device,
        )  # fmt: skip
        if isinstance(pictures, Uploaded):
            padded[:, :height, :width] = pictures.shown(framing).permute(0, 2, 3, 1)
            return padded.permute(0, 3, 1, 2)
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

    def _batch(self, pictures: Pictures, framing: Framing, mirror: bool) -> list[People]:
        size = framing.size
        x = self.resize(pictures, framing)
        sizes = torch.tensor([size] * len(pictures), device=self.device)

        def mirrored() -> Maps:
            other = torch.zeros_like(x)
            other[..., : size[0]] = x[..., : size[0]].flip(-1)
            return self.parts.dense(other)

        found = self.parts.people(x, sizes, self.limits, mirrored if mirror else None)
        scores = calibrated(found.mass, self.calibration)
        ranks = found.scores * clarity(found.mass)
        # One table, so that a GPU is waited for once.
        parts = found.picture[:, None], found.boxes, ranks[:, None], found.keypoints.flatten(1)
        table = torch.cat([part.float() for part in (*parts, scores)], 1).cpu().numpy()
        return self._split(table, framing, len(pictures))

    def _split(self, table: NDArray[np.float32], framing: Framing, count: int) -> list[People]:
        """A batch's answer as one :class:`People` a picture, in the picture's pixels.

        A row of the table is a picture's number, a box, a rank, keypoints and their scores.
        """
        x0, y0, x1, y1 = framing.region
        corner = np.array([x0, y0], np.float32)
        back = (np.array([x1 - x0, y1 - y0]) / framing.size).astype(np.float32)
        table = table[table[:, 5] >= self.min_score]
        table = table[np.argsort(-table[:, 5], kind="stable")]
        boxes, ranks, points, scores = np.split(table[:, 1:], (4, 5, 39), axis=1)
        boxes = boxes * np.tile(back, 2) + np.tile(corner, 2)
        points = points.reshape(-1, 17, 2) * back + corner
        everyone = People(boxes, ranks[:, 0].copy(), points, scores.copy())
        return [distinct(everyone[table[:, 0] == row]) for row in range(count)]


def _ends(pictures: Pictures) -> Pictures:
    """The first and the last."""
    if isinstance(pictures, Uploaded):
        return pictures[:: max(len(pictures) - 1, 1)]
    return [*pictures[:1], *pictures[1:][-1:]]


def distinct(people: People) -> People:
    """People, the best first, without those whose keypoints are those of a better one.

    Boxes that overlap too little for the network to drop one can still be the same person's.
    """
    if len(people) < 2:
        return people
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
