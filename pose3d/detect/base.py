"""What all detectors have in common: pictures of any size in, people out."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from shutil import which
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pose3d.errors import UsageError
from pose3d.frame import Frame
from pose3d.heap import keep_memory
from pose3d.sequence import People

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
T = TypeVar("T")


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


def kernels_run_on(device: torch.device) -> bool:
    """Whether a device is a GPU that our own kernels (`detect.kernels`) can be compiled for.

    Triton, which does that, needs a C compiler for what starts them.
    """
    if device.type != "cuda" or find_spec("triton") is None:
        return False
    return any(map(which, (os.environ.get("CC", "cc"), "gcc", "clang")))


class PeopleFinder(ABC):
    """A network made usable, whichever it is.

    Parameters
    ----------
    network
        Put into evaluation and onto the device.
    device, precision
        Where and how to run.
    min_score
        People below it are left out.
    max_people
        At most so many in one picture.

    Attributes
    ----------
    chunk
        Frames of a video that :meth:`follow` wants at once, counted from the file's first; None
        where that makes no difference.
    takes_planes
        Whether :meth:`follow` is as content with frames that are not RGB yet.
    at_once
        How many chunks are best looked at side by side, so that none waits for another's end.
    """

    chunk: int | None = None
    takes_planes = False
    at_once = 1

    def __init__(
        self, network: nn.Module, device: str, precision: str, min_score: float, max_people: int
    ) -> None:
        self.device = choose_device(device)
        self.dtype = choose_precision(precision, self.device)
        self.network = network.eval().to(self.device)
        if self.device.type == "cpu":
            keep_memory()
        self.min_score = min_score
        self.max_people = max_people

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
        self.check(pictures)
        return self.run(lambda: self.find(pictures))

    def follow(self, frames: Sequence[Frame]) -> list[People]:
        """People of successive frames of a video, each seen by itself or all together."""
        return self([frame.image for frame in frames])

    def check(self, pictures: Sequence[NDArray[np.uint8]]) -> None:
        """Refuse what is no RGB uint8 picture."""
        for picture in pictures:
            right = picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
            if not right or not picture.size:
                raise UsageError("pictures must be RGB uint8 of shape (height, width, 3)")

    def run(self, work: Callable[[], T]) -> T:
        """Do something with the network as it is meant to be run."""
        half = self.dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=half):
            return work()

    @abstractmethod
    def find(self, pictures: Sequence[NDArray[np.uint8]]) -> list[People]:
        """People of pictures that have been checked."""
