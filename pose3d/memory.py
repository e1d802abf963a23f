"""A detector that goes on with smaller batches where a GPU's memory does not hold the first."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pose3d.errors import PoseError
from pose3d.sequence import People

Pictures = Sequence[NDArray[np.uint8]]
_log = logging.getLogger(__name__)


class Sparing:
    """Calls a detector, and halves its batches once if they are too large.

    Parameters
    ----------
    detector
        What is called with lists of pictures.
    batch_size
        Pictures it is going to be called with at most.
    """

    def __init__(self, detector: Callable[[Pictures], list[People]], batch_size: int) -> None:
        self._detector = detector
        self._whole = self._size = batch_size

    def __call__(self, pictures: Pictures) -> list[People]:
        """People of every picture.

        Raises
        ------
        PoseError
            If half a batch is too large, too.
        """
        try:
            return self._in_parts(pictures)
        except RuntimeError as error:
            if not _is_memory(error):
                raise
            if self._size < self._whole or self._size == 1:
                raise PoseError(
                    f"the GPU's memory does not hold {self._size} frames at once: give a smaller "
                    "--batch-size, or --device cpu"
                ) from error
        # Outside of the block above: its exception would keep the batch's tensors alive.
        self._size = (self._whole + 1) // 2
        _log.warning(
            "the GPU's memory does not hold %d frames at once: going on with --batch-size %d",
            self._whole,
            self._size,
        )
        _give_back()
        return self(pictures)

    def _in_parts(self, pictures: Pictures) -> list[People]:
        parts = range(0, len(pictures), self._size)
        return [p for at in parts for p in self._detector(pictures[at : at + self._size])]


def _is_memory(error: RuntimeError) -> bool:
    import torch

    return isinstance(error, torch.cuda.OutOfMemoryError)


def _give_back() -> None:
    """Return to the GPU what PyTorch holds in reserve in pieces that no longer fit."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
