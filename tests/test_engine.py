"""OpenVINO's answers beside torch's."""

import sys

import numpy as np
import pytest
import torch
from conftest import ROOT

import pose3d
from pose3d.detect.compact import CompactRCNN
from pose3d.detect.engine import OpenVINODense, choose_engine
from pose3d.errors import PoseError, UsageError
from pose3d.options import Options
from pose3d.pipeline import differences
from pose3d.video import Video

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> CompactRCNN:
    torch.manual_seed(0)
    return CompactRCNN(16, 32, 16).eval()


def noise(height: int, width: int) -> torch.Tensor:
    pictures = 255 * torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    return pictures.contiguous(memory_format=torch.channels_last)


def test_maps_are_torchs_whatever_the_size(network: CompactRCNN) -> None:
    pytest.importorskip("openvino")
    dense = OpenVINODense(network, "fp32")
    for size in ((64, 96), (160, 288), (96, 32), (64, 96)):
        x = noise(*size)
        with torch.inference_mode():
            expected = network.dense(x)
        for name, ours, theirs in zip(expected._fields, dense(x), expected, strict=True):
            assert ours.dtype == theirs.dtype
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4, msg=name)


def test_bfloat16_is_near(network: CompactRCNN) -> None:
    pytest.importorskip("openvino")
    x = noise(64, 96)
    with torch.inference_mode():
        expected = network.dense(x)
    for ours, theirs in zip(OpenVINODense(network, "bf16")(x), expected, strict=True):
        assert (ours - theirs).abs().max() <= 0.03 * theirs.abs().max()


def test_people_are_the_same_with_either_engine() -> None:
    pytest.importorskip("openvino")
    frames = list(Video(ROOT / "data" / "rendered_walk.mp4", end=0.1))
    found = [
        pose3d.load_detector(device="cpu", precision="fp32", engine=engine)([frames[0].image])[0]
        for engine in ("torch", "openvino")
    ]
    assert len(found[0]) == len(found[1]) > 0
    np.testing.assert_allclose(found[1].keypoints, found[0].keypoints, atol=0.02)
    np.testing.assert_allclose(found[1].keypoint_scores, found[0].keypoint_scores, atol=1e-3)


def test_auto_takes_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pose3d.detect.engine.find_spec", lambda name: object())
    assert choose_engine("auto", CPU) == "openvino"
    assert choose_engine("auto", torch.device("cuda")) == "torch"
    assert choose_engine("torch", CPU) == "torch"
    monkeypatch.setattr("pose3d.detect.engine.find_spec", lambda name: None)
    assert choose_engine("auto", CPU) == "torch"


def test_an_engine_that_cannot_be_had_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pose3d.detect.engine.find_spec", lambda name: None)
    with pytest.raises(PoseError, match="pip install"):
        choose_engine("openvino", CPU)
    with pytest.raises(UsageError, match="--device cpu"):
        choose_engine("openvino", torch.device("cuda"))
    with pytest.raises(UsageError, match="'tensorrt'"):
        choose_engine("tensorrt", CPU)


def test_without_openvino_torch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # importing it fails
    monkeypatch.setattr("pose3d.detect.engine.find_spec", lambda name: None)
    detector = pose3d.load_detector(device="cpu", short_side=64)
    assert len(detector([np.zeros((64, 64, 3), np.uint8)])) == 1


def test_a_broken_openvino_is_said(monkeypatch: pytest.MonkeyPatch, network: CompactRCNN) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(PoseError, match="--engine torch"):
        OpenVINODense(network)


def test_another_engine_is_no_reason_to_run_again() -> None:
    facts = {"source": {"sha256": "0"}, "options": {"engine": "torch"}, "weights": {}}
    assert not differences({"source": {"sha256": "0"}, "options": {"engine": "auto"}}, facts)
    assert Options().engine == "auto"
