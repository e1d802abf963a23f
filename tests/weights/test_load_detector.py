"""``load_detector`` with files of our own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from weight_files import compact_file, lifter_state

import pose3d
from pose3d.detect import Detector, PeopleFinder
from pose3d.errors import PoseError


def test_our_own_detector(tmp_path: Path) -> None:
    path = compact_file(tmp_path / "own.safetensors")
    detector = pose3d.load_detector(path, device="cpu", min_score=0.0, max_people=3)
    assert isinstance(detector, Detector)
    assert isinstance(detector, PeopleFinder)
    assert detector.short_side == 64
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    [people] = detector([picture])
    by_hand = Detector(
        detector.network,
        np.tile(np.float32([1.5, 0.5]), (17, 1)),
        short_side=64,
        device="cpu",
        min_score=0.0,
        max_people=3,
    )
    [again] = by_hand([picture])
    assert len(people) == 3
    assert np.array_equal(people.keypoints, again.keypoints)
    assert np.array_equal(people.scores, again.scores)
    assert pose3d.load_detector(path, device="cpu", short_side=128).short_side == 128


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "compact9"}, "'compact9', which this version does not know"),
        ({"config": '{"channels": 20, "hidden": 32, "width": 16}'}, "size mismatch"),
        ({"config": '{"channels": 999999}'}, "no number of channels"),
        ({"config": '{"depth": 16}'}, "depth"),
        ({"config": "[]"}, "configuration that is no table"),
        ({"calibration": "[[1, 2]]"}, "17 slopes and intercepts"),
        ({"calibration": "[" + "[NaN, 0]," * 16 + "[1, 1]]"}, "17 slopes and intercepts"),
        ({"calibration": "{"}, "do not fit the compact network"),
        ({"short_side": "1000000"}, "its short side is 1000000 pixels"),
        ({"short_side": "wide"}, "do not fit the compact network"),
    ],
)
def test_files_of_ours_that_do_not_fit(change: dict, message: str, tmp_path: Path) -> None:
    path = compact_file(tmp_path / "own.safetensors", **change)
    with pytest.raises(PoseError) as caught:
        pose3d.load_detector(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_lifter_is_no_detector(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    torch.save({"model_pos": lifter_state((3,), 17, 2, 17)}, path)
    with pytest.raises(PoseError, match="holds a lifter, not a detector"):
        pose3d.load_detector(str(path))
    with pytest.raises(PoseError, match="holds a detector, not a lifter"):
        pose3d.load_lifter(str(compact_file(tmp_path / "own.safetensors")))


def test_a_dialect_that_no_family_has(tmp_path: Path) -> None:
    """A safetensors file can say anything of itself."""
    from safetensors.torch import load_file, save_file
    from weight_files import arrays_of, save

    from pose3d.weights import convert, load_safetensors

    source = save(tmp_path / "model.pkl", "detectron2", arrays_of("detectron2"))
    path = convert(source, tmp_path / "model.safetensors")
    metadata = load_safetensors(path)[1]
    for change in ({"family": "pose3d"}, {"dialect": "caffe2"}, {"family": "x", "dialect": "x"}):
        save_file(load_file(path), tmp_path / "odd.safetensors", metadata | change)
        with pytest.raises(PoseError, match="is of no family that pose3d knows"):
            pose3d.load_detector(str(tmp_path / "odd.safetensors"))
