"""A detector whose batches fit into a GPU's memory."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from pose3d.errors import PoseError
from pose3d.sequence import People

Pictures = Sequence[Any]  # or frames of a video
SHARE = 0.8  # of the free memory that a batch may take: pictures of more people take more
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gauge:
    """Measures a device's memory.

    Attributes
    ----------
    free
        Bytes that are to be had now.
    cost
        Bytes that some work takes while it is done.
    """

    free: Callable[[], int]
    cost: Callable[[Callable[[], object]], int]


def gauge_of(detector: Any) -> Gauge | None:
    """The gauge of a detector's GPU; None if it runs elsewhere."""
    device: Any = getattr(detector, "device", None)
    if getattr(device, "type", None) != "cuda":
        return None
    import torch

    def free() -> int:
        # What PyTorch holds in reserve is free for it, though not for others.
        spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + spare

    def cost(work: Callable[[], object]) -> int:
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return int(torch.cuda.max_memory_allocated(device)) - before

    return Gauge(free, cost)


class Sparing:
    """Calls a detector with batches that fit, and halves them once if they do not.

    Parameters
    ----------
    detector
        What is called with lists of pictures.
    batch_size
        Pictures it is going to be called with at most.
    gauge
        Of its device's memory: what one picture takes tells how many fit into what is free when
        the first ones come. None for no limit.
    """

    def __init__(
        self,
        detector: Callable[[Pictures], list[People]],
        batch_size: int,
        gauge: Gauge | None = None,
    ) -> None:
        self._detector = detector
        self._size = batch_size
        self._halved = False
        self._gauge = gauge
        self._lock = Lock()

    def __call__(self, pictures: Pictures) -> list[People]:
        """People of every picture.

        Raises
        ------
        PoseError
            If half a batch is too large, too.
        """
        size = self._size
        try:
            self._fit(pictures)
            size = self._size
            return self._in_parts(pictures, size)
        except RuntimeError as error:
            if not _is_memory(error):
                raise
            self._halve(size, error)
        # Outside of the block above: its exception would keep the batch's tensors alive.
        _give_back()
        return self(pictures)

    def _halve(self, size: int, error: RuntimeError) -> None:
        """Go on with half of a size that was too large, unless another thread has seen to it."""
        with self._lock:
            if self._size != size:
                return
            if self._halved or size == 1:
                raise PoseError(
                    f"the GPU's memory does not hold {size} frames at once: give a smaller "
                    "--batch-size, or --device cpu"
                ) from error
            self._halved = True
            self._go_on_with((size + 1) // 2)

    def _fit(self, pictures: Pictures) -> None:
        """Choose the size by what the first picture takes."""
        gauge, self._gauge = self._gauge, None
        if gauge is None or self._size == 1 or not pictures:
            return
        cost = gauge.cost(lambda: self._detector(pictures[:1]))
        room = int(SHARE * gauge.free() / max(cost, 1))
        if room < self._size:
            self._go_on_with(max(room, 1))

    def _go_on_with(self, size: int) -> None:
        _log.warning(
            "the GPU's memory does not hold %d frames at once: going on with --batch-size %d",
            self._size,
            size,
        )
        self._size = size

    def _in_parts(self, pictures: Pictures, size: int) -> list[People]:
        parts = range(0, len(pictures), size)
        return [p for at in parts for p in self._detector(pictures[at : at + size])]


def _is_memory(error: RuntimeError) -> bool:
    import torch

    return isinstance(error, torch.cuda.OutOfMemoryError)


def _give_back() -> None:
    """Return to the GPU what PyTorch holds in reserve in pieces that no longer fit."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
