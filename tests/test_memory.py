"""A detector whose batches do not fit into a GPU's memory."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import find_squares
from numpy.typing import NDArray

from pose3d import pipeline
from pose3d.errors import PoseError
from pose3d.sequence import People


class Small:
    """A detector on a GPU that holds `room` pictures."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sizes: list[int] = []

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[People]:
        self.sizes.append(len(pictures))
        if len(pictures) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return find_squares(pictures)


def test_batches_are_halved_once(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    detector = Small(room=4)
    with caplog.at_level(logging.WARNING):
        recording = pipeline.detect(clip, detector=detector, batch_size=8)
    assert detector.sizes[:3] == [8, 4, 4]
    assert max(detector.sizes[1:]) == 4
    (record,) = caplog.records
    assert "--batch-size 4" in record.getMessage()
    whole = pipeline.detect(clip, detector=find_squares, batch_size=8)
    for ours, theirs in zip(recording.people, whole.people, strict=True):
        np.testing.assert_array_equal(ours.keypoints.keypoints, theirs.keypoints.keypoints)


@pytest.mark.parametrize(("room", "size"), [(3, 8), (0, 1)])
def test_what_never_fits_is_said(clip: Path, room: int, size: int) -> None:
    with pytest.raises(PoseError, match="smaller --batch-size"):
        pipeline.detect(clip, detector=Small(room), batch_size=size)
