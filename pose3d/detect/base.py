"""What all detectors have in common: pictures of any size in, people out."""

import ctypes
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pose3d.errors import UsageError
from pose3d.frame import Frame
from pose3d.sequence import People

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
MUCH = 64 * 2**20  # bytes
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # of glibc's malloc.h
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


def keep_memory() -> None:
    """Let glibc keep the memory of large maps for the next ones.

    It gives blocks above 32 MB back to the system after every layer, and fetching their pages anew
    takes a third of a frame's time. All threads share what it keeps: if each had its own, what one
    has freed would be no use to another. Other C libraries are left alone.
    """
    if mallopt := _of_glibc("mallopt"):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_ARENA_MAX, 1)


def give_back_memory(before: int) -> int:
    """Give the system what glibc keeps and nobody uses: between blocks that stay, that adds up.

    Parameters
    ----------
    before
        Bytes that were held when it was last done; nothing is done unless they are many more now,
        for fetching them anew takes time.

    Returns
    -------
    Bytes that are held, to be asked about next time.
    """
    trim = _of_glibc("malloc_trim")
    if trim is None or _held() < before + MUCH:
        return before
    trim(0)
    return _held()


def _held() -> int:
    """Bytes of memory that this process takes, on Linux."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function that glibc adds to the C library; None where there is another one."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


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
