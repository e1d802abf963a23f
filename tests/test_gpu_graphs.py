"""What is recorded for a GPU, on the CPU: graphs that are done over again instead of replayed."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import pose3d
from pose3d.detect import gpu
from pose3d.detect.compact import Candidates, CompactRCNN, Found, Limits, Regions
from pose3d.video import Video

WALK = "data/rendered_walk.mp4"


class Again:
    """A graph: does the work on what its inputs hold now, and writes where it wrote before."""

    def __init__(self, work: Callable[..., Any], inputs: Sequence[Tensor]) -> None:
        self._work, self._inputs = work, inputs
        self.outputs = work(*inputs)

    def replay(self) -> None:
        for kept, new in zip(flat(self.outputs), flat(self._work(*self._inputs)), strict=True):
            kept.copy_(new)


class Recorder:
    """Stands in for :class:`~pose3d.detect.gpu.Recorder`, and counts."""

    def __init__(self, _device: torch.device) -> None:
        self.recorded: list[Sequence[Tensor]] = []

    def graph(self, work: Callable[..., Any], inputs: Sequence[Tensor]) -> tuple[Again, Any]:
        self.recorded.append(inputs)
        again = Again(work, inputs)
        return again, again.outputs


def flat(value: Any) -> list[Tensor]:
    """All tensors of a nest of tuples."""
    return [value] if isinstance(value, Tensor) else [x for part in value for x in flat(part)]


@pytest.fixture
def network() -> CompactRCNN:
    return pose3d.load_detector(device="cpu", engine="torch").network  # type: ignore[return-value]


@pytest.fixture
def fast(network: CompactRCNN, monkeypatch: pytest.MonkeyPatch) -> gpu.GpuRCNN:
    """The GPU's network without the GPU's kernels."""
    monkeypatch.setattr(gpu, "Recorder", Recorder)
    monkeypatch.setattr(gpu.GpuRCNN, "dense", lambda _self, x: network.dense(x))
    monkeypatch.setattr(gpu.GpuRCNN, "pool", Regions.pool)
    return gpu.GpuRCNN(network, torch.float32)


def walkers(count: int, side: int = 288) -> tuple[Tensor, Tensor]:
    """Pictures of somebody who walks (B, 3, side, side), and their sizes."""
    frames = [frame.image for frame in Video(WALK, end=0.5)][::2][:count]
    x = torch.stack([torch.from_numpy(frame.copy()) for frame in frames]).permute(0, 3, 1, 2)
    x = torch.nn.functional.interpolate(x.float(), (side, side), mode="bilinear", antialias=True)
    return x.round().to(torch.uint8), torch.tensor([[side, side]] * len(x))


def test_graphs_find_what_the_network_finds(network: CompactRCNN, fast: gpu.GpuRCNN) -> None:
    x, sizes = walkers(3)
    limits = Limits(min_box_score=0.2)
    with torch.inference_mode():
        for shift in range(4):
            moved = x.roll(3 * shift, -1)
            expected = network.people(moved, sizes, limits)
            assert len(expected.boxes)
            found = fast.people(moved, sizes, limits)
            for name, a, b in zip(Found._fields, expected, found, strict=True):
                torch.testing.assert_close(a, b, msg=name)
    # Once step by step, then regions; the second time that there are regions of it, keypoints.
    shapes = [tuple(inputs[0].shape) for inputs in fast._recorder.recorded]  # type: ignore[attr-defined]
    assert shapes == [(3, 3, 288, 288), (8,)]


def test_nobody_needs_no_keypoints(fast: gpu.GpuRCNN) -> None:
    x = torch.zeros(2, 3, 96, 96, dtype=torch.uint8)
    with torch.inference_mode():
        for _ in range(3):
            found = fast.people(x, torch.tensor([[96, 96]] * 2), Limits(min_box_score=0.9))
            assert found.keypoints.shape == (0, 17, 2)


def test_shapes_that_do_not_come_again_are_forgotten(
    fast: gpu.GpuRCNN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "SHAPES", 2)
    seen: list[Candidates] = []
    with torch.inference_mode():
        for side in (96, 192, 288, 288, 96, 96):
            x = torch.zeros(1, 3, side, side, dtype=torch.uint8)
            seen.append(fast.candidates(x, torch.tensor([[side, side]]), Limits()))
    assert [key[0][-1] for key in fast._shapes] == [288, 96]
    sides = [inputs[0].shape[-1] for inputs in fast._recorder.recorded]  # type: ignore[attr-defined]
    assert sides == [288, 96]
