"""The lifter around the network: time, gaps, pieces, mirror images."""

import numpy as np
import pytest
import torch

from pose3d.errors import UsageError
from pose3d.lift.lifter import Lifter
from pose3d.lift.network import TemporalModel
from pose3d.skeleton import COCO, H36M

SIZE = (640, 480)


@pytest.fixture(scope="module")
def lifter() -> Lifter:
    torch.manual_seed(0)
    network = TemporalModel(17, 3, 17, (3, 3, 3), channels=24)
    for module_ in network.modules():
        if isinstance(module_, torch.nn.BatchNorm1d):
            module_.running_mean.uniform_(-0.2, 0.2)
            module_.running_var.uniform_(0.5, 2)
    return Lifter(network, "person", rate=50, device="cpu")


def moving(times: np.ndarray) -> np.ndarray:
    """Seventeen points that sway slowly about a person's places, (T, 17, 2)."""
    rest = np.random.default_rng(1).uniform([250, 150], [350, 400], (17, 2))
    sway = np.sin(2 * np.pi * times[:, None, None] / 3 + np.arange(17)[:, None])
    return rest + 15 * sway


def test_frame_rate_makes_little_difference(lifter: Lifter) -> None:
    """The same motion filmed at 25 and at 60 frames a second has the same poses."""
    slow, fast = np.arange(50) / 25, np.arange(120) / 60
    a, b = (lifter(moving(t), np.full((len(t), 17), 0.9), t, SIZE) for t in (slow, fast))
    at = np.stack(
        [np.interp(slow, fast, row) for row in b.reshape(len(fast), -1).T], 1
    ).reshape(a.shape)  # fmt: skip
    scale = np.abs(a).mean()
    assert np.abs(a - at)[3:-3].mean() < 0.02 * scale


def test_irregular_times_are_honoured(lifter: Lifter) -> None:
    even = np.arange(100) / 50
    kept = np.sort(np.random.default_rng(0).choice(100, 70, replace=False))
    whole, some = (
        lifter(moving(t), np.full((len(t), 17), 0.9), t, SIZE) for t in (even, even[kept])
    )
    inner = (kept > 10) & (kept < 90)
    assert np.abs(whole[kept] - some)[inner].mean() < 0.03 * np.abs(whole).mean()


def test_the_root_is_the_origin(lifter: Lifter) -> None:
    times = np.arange(20) / 50
    joints = lifter(moving(times), np.ones((20, 17)), times, SIZE)
    assert joints.shape == (20, 17, 3)
    assert joints.dtype == np.float32
    np.testing.assert_allclose(joints[:, 0], 0, atol=1e-6)


def test_long_sequences_are_lifted_in_pieces_alike(
    lifter: Lifter, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = np.arange(300) / 50
    arguments = moving(times), np.full((300, 17), 0.8), times, SIZE
    whole = lifter(*arguments)
    monkeypatch.setattr(lifter, "chunk", 64)
    np.testing.assert_allclose(lifter(*arguments), whole, atol=2e-5)


def test_a_mirror_image_gives_the_mirror_image(lifter: Lifter) -> None:
    times = np.arange(60) / 50
    keypoints, scores = moving(times), np.full((60, 17), 0.9)
    mirrored = keypoints[:, COCO.mirror].copy()
    mirrored[..., 0] = SIZE[0] - mirrored[..., 0]
    a, b = lifter(keypoints, scores, times, SIZE), lifter(mirrored, scores, times, SIZE)
    np.testing.assert_allclose(b, a[:, H36M.mirror] * [-1, 1, 1], atol=1e-4)


def test_short_gaps_are_bridged_and_long_ones_are_not(lifter: Lifter) -> None:
    times = np.arange(150) / 50
    keypoints, scores = moving(times), np.full((150, 17), 0.9)
    keypoints[40:50], scores[40:50] = np.nan, 0  # 0.2 s
    keypoints[80:120], scores[80:120] = np.nan, 0  # 0.8 s
    joints = lifter(keypoints, scores, times, SIZE)
    known = np.isfinite(joints).all((1, 2))
    assert known[:80].all() and known[120:].all()
    assert not known[80:120].any()


def test_one_frame_is_lifted(lifter: Lifter) -> None:
    joints = lifter(moving(np.zeros(1)), np.ones((1, 17)), np.zeros(1), SIZE)
    assert np.isfinite(joints).all()


@pytest.mark.parametrize("times", [[0, 0.1, 0.1], [0, 0.2, 0.1]])
def test_times_that_do_not_rise_are_refused(lifter: Lifter, times: list[float]) -> None:
    with pytest.raises(UsageError, match="rise"):
        lifter(moving(np.array(times)), np.ones((3, 17)), np.array(times), SIZE)


def test_shapes_that_disagree_are_refused(lifter: Lifter) -> None:
    with pytest.raises(UsageError, match="agree"):
        lifter(moving(np.arange(3.0)), np.ones((4, 17)), np.arange(3.0), SIZE)
