"""The parts of the benchmarks that could be wrong without anybody noticing."""

import sys

import numpy as np
import pytest
import torch
from conftest import ROOT

from pose3d.lift.lifter import default_intrinsics
from pose3d.sequence import People

sys.path.insert(0, str(ROOT / "benchmarks"))


def test_the_plain_lifter_is_the_same_network_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    import lifter

    from pose3d.lift import network

    monkeypatch.setattr(lifter, "CHANNELS", 32)
    narrow = network.TemporalModel
    monkeypatch.setattr(lifter, "TemporalModel", lambda: narrow(channels=32))
    plain, ours = lifter.shared_weights("cpu")
    width, height = lifter.SIZE
    pixels = np.random.default_rng(0).uniform(0, height, (20, 17, 2))
    seen = torch.from_numpy(pixels / width * 2 - [1, height / width]).float()
    expected = lifter.plain_sequence(plain, seen)
    torch.testing.assert_close(lifter.plain_windows(plain, seen), expected, atol=1e-5, rtol=1e-4)
    found = ours.lift_even(pixels, np.ones((20, 17)), lifter.SIZE, default_intrinsics(lifter.SIZE))
    relative = (expected - expected[:, :1]).numpy()
    np.testing.assert_allclose(found, relative, atol=1e-5, rtol=1e-4)
    assert np.ptp(found[:, 1:]) > 0.01


def test_a_row_says_how_many_times_as_fast_ours_is() -> None:
    from table import Run, lines, rows

    theirs = [Run(10, wall, 2.0) for wall in (1.0, 2.0, 4.0)]
    mine, other = rows({"ours": [Run(20, 1.0, 0.1)], "theirs": theirs, "none": []}, "ours", 1e-3)
    assert (other.median, other.low, other.high) == (5.0, 2.5, 10.0)
    assert (other.cpu, other.ours, mine.ours) == (200.0, 4.0, 1.0)
    text = lines([mine, other], "ms")
    assert len({len(line) for line in text}) == 1
    assert text[2].split() == ["theirs", "5.0", "2.5,", "10.0", "200", "4.00x"]


def test_shifts_are_those_of_the_same_people() -> None:
    import precision

    boxes = np.array([[0, 0, 10, 20], [50, 0, 60, 20]], np.float32)
    points = np.zeros((2, 17, 2), np.float32)
    scores = np.ones((2, 17), np.float32)
    scores[:, 0] = 0.1  # not to be seen
    before = People(boxes, np.array([0.9, 0.8], np.float32), points, scores)
    moved = People(boxes[::-1], before.scores, points + 2, scores)
    first, second = precision.shifts(before, moved)
    assert len(first) == len(second) == 16
    np.testing.assert_allclose(first, 8**0.5, rtol=1e-6)
    assert len(precision.shifts(before, moved[:1])) == 1
    assert not precision.shifts(before, People.nobody())
