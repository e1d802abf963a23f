"""Detectors for workers' tests, in a module that their processes import."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from conftest import find_squares
from numpy.typing import NDArray

from pose3d import pipeline
from pose3d.batch import split
from pose3d.batch.inputs import Job
from pose3d.batch.outcome import Outcome
from pose3d.errors import PoseError
from pose3d.frame import Frame, View
from pose3d.options import Options
from pose3d.progress import Progress
from pose3d.sequence import People

Pictures = Sequence[NDArray[np.uint8]]


class Chunky:
    """Finds squares, and moves them by what only their chunk and their picture decide."""

    chunk = 16

    def __call__(self, pictures: Pictures) -> list[People]:
        return self._found(pictures)

    def follow(self, frames: Sequence[Frame]) -> list[People]:
        return self._found([frame.image for frame in frames])

    def _found(self, pictures: Pictures) -> list[People]:
        shift = np.float32(sum(int(picture.sum()) % 1000 for picture in pictures) / 1e4)
        return [
            People(p.boxes, p.scores, p.keypoints + shift, p.keypoint_scores)
            for p in find_squares(pictures)
        ]


class Broken(Chunky):
    """Is never to be asked."""

    def follow(self, frames: Sequence[Frame]) -> list[People]:
        raise PoseError("the detector is broken")


def search(job: Job, options: Options, overwrite: bool, progress: Progress) -> Outcome:
    """What a worker does, with this detector, and what the name of its video says."""
    name, mark = job.source.stem, Path(f"{job.source}.died")
    later = isinstance(job, split.Part) and job.first > 0
    if name == "dies" and later and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    detector = Broken() if name == "fails" or Path(f"{job.source}.broken").exists() else Chunky()
    pipeline.loaded_detector = lambda options: detector
    if name == "other" and later:
        picture = View.picture
        View.picture = lambda self, frame: picture(self, frame) ^ 1
    return split.search(job, options, overwrite, progress)
