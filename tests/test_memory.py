"""A detector whose batches do not fit into a GPU's memory."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import find_squares
from numpy.typing import NDArray

from pose3d import heap, pipeline
from pose3d.errors import PoseError
from pose3d.memory import Gauge, Sparing, gauge_of
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


def gauge(free: int, cost: int) -> Gauge:
    """A device with so many bytes left, of which a picture takes some."""

    def measured(work: Callable[[], object]) -> int:
        work()
        return cost

    return Gauge(lambda: free, measured)


@pytest.mark.parametrize(
    ("free", "chosen"), [(10_000, 8), (1_000, 8), (999, 7), (500, 4), (120, 1), (10, 1)]
)
def test_batches_fit_into_what_is_free(
    free: int, chosen: int, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = [np.full((8, 8, 3), n, np.uint8) for n in range(20)]
    detector = Small(room=8)
    sparing = Sparing(detector, 8, gauge(free, 100))
    with caplog.at_level(logging.WARNING):
        assert len(sparing(pictures)) == len(sparing(pictures)) == 20
    assert detector.sizes[0] == 1, "one picture tells what it takes"
    assert max(detector.sizes[1:]) == chosen
    assert len(caplog.records) == (chosen < 8)
    assert all(f"--batch-size {chosen}" in record.getMessage() for record in caplog.records)


def test_what_was_chosen_is_halved_too() -> None:
    pictures = [np.zeros((8, 8, 3), np.uint8)] * 12
    detector = Small(room=3)
    assert len(Sparing(detector, 16, gauge(750, 100))(pictures)) == 12
    assert detector.sizes == [1, 6, 3, 3, 3, 3]
    with pytest.raises(PoseError, match="does not hold 1 frames"):
        Sparing(Small(room=0), 2, gauge(750, 100))(pictures)


def test_only_gpus_are_measured() -> None:
    assert gauge_of(find_squares) is None
    assert gauge_of(SimpleNamespace(device=torch.device("cpu"))) is None
    on_gpu = gauge_of(SimpleNamespace(device=torch.device("cuda:0")))
    assert on_gpu is not None
    if torch.cuda.is_available():
        taken = on_gpu.cost(lambda: torch.zeros(1 << 20, device="cuda:0"))
        assert (1 << 22) <= taken < on_gpu.free()


def test_memory_is_given_back_when_much_more_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held, trimmed = [500 * 2**20], []

    def trim(_: int) -> int:
        trimmed.append(held[0])
        held[0] = 450 * 2**20
        return 1

    monkeypatch.setattr(heap, "_of_glibc", lambda name: trim if name == "malloc_trim" else None)
    monkeypatch.setattr(heap, "_held", lambda: held[0])
    before = heap.give_back_memory(0)
    assert before == 450 * 2**20
    held[0] = 480 * 2**20
    assert heap.give_back_memory(before) == before and len(trimmed) == 1
    held[0] = 520 * 2**20
    assert heap.give_back_memory(before) == before and len(trimmed) == 2
    monkeypatch.setattr(heap, "_of_glibc", lambda _: None)
    assert heap.give_back_memory(7) == 7
