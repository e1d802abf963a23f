"""OpenVINO's answers beside torch's."""

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT

import pose3d
from pose3d.detect.compact import CompactRCNN
from pose3d.detect.engine import OpenVINORCNN, choose_engine
from pose3d.detect.framing import Framing
from pose3d.errors import PoseError, UsageError
from pose3d.options import Options
from pose3d.provenance import differences
from pose3d.video import Video

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> CompactRCNN:
    torch.manual_seed(0)
    return CompactRCNN(16, 32, 16).eval()


def noise(height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(256, (1, height, width, 3), generator=generator, dtype=torch.uint8)
    return pictures.permute(0, 3, 1, 2)


def test_maps_are_torchs_whatever_the_size(network: CompactRCNN) -> None:
    pytest.importorskip("openvino")
    ours = OpenVINORCNN(network, "fp32")
    for size in ((64, 96), (160, 288), (96, 32), (64, 96)):
        x = noise(*size)
        with torch.inference_mode():
            expected = network.dense(x)
        for name, found, theirs in zip(expected._fields, ours.dense(x), expected, strict=True):
            assert found.dtype == theirs.dtype
            torch.testing.assert_close(found, theirs, atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize("people", [0, 1, 5])
def test_heads_are_torchs_for_any_number_of_regions(network: CompactRCNN, people: int) -> None:
    pytest.importorskip("openvino")
    ours = OpenVINORCNN(network, "fp32")
    generator = torch.Generator().manual_seed(2)
    x, prior = (torch.rand(people, n, s, s, generator=generator) for n, s in ((16, 28), (17, 56)))
    with torch.inference_mode():
        torch.testing.assert_close(
            ours.keypoint_head(x, prior), network.keypoint_head(x, prior), atol=1e-4, rtol=1e-4
        )
        pooled = torch.rand(people + 1, 16, 7, 7, generator=generator)
        torch.testing.assert_close(ours.box_head(pooled), network.box_head(pooled))


def test_threads_do_not_write_to_each_others_maps(network: CompactRCNN) -> None:
    pytest.importorskip("openvino")
    ours = OpenVINORCNN(network, "fp32")
    pictures = [noise(32 * n, 64) for n in (1, 2, 3, 4)]
    alone = [ours.dense(x).objectness.clone() for x in pictures]
    gate = Barrier(len(pictures))

    def both(x: torch.Tensor) -> torch.Tensor:
        maps = ours.dense(x)
        gate.wait(10)  # until everybody else has written theirs
        return maps.objectness

    with ThreadPoolExecutor(len(pictures)) as threads:
        for found, expected in zip(threads.map(both, pictures), alone, strict=True):
            torch.testing.assert_close(found, expected)


def test_bfloat16_is_near(network: CompactRCNN) -> None:
    pytest.importorskip("openvino")
    x = noise(64, 96)
    with torch.inference_mode():
        expected = network.dense(x)
    for ours, theirs in zip(OpenVINORCNN(network, "bf16").dense(x), expected, strict=True):
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


def test_frames_seen_by_several_threads_are_as_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    frames = list(Video(ROOT / "data" / "rendered_walk.mp4", end=1.0))[::6]
    found = []
    for threads in (1, 3):
        monkeypatch.setattr("pose3d.detect.engine.torch.get_num_threads", lambda n=threads: n)
        detector = pose3d.load_detector(device="cpu", short_side=192)
        assert detector.parts.streams == threads
        found.append(detector.follow(frames))
    positions = [people.keypoints[0, 0, 0] for people in found[0]]
    assert np.abs(np.diff(positions)).min() > 0.5  # so that an exchange would be seen
    for alone, together in zip(*found, strict=True):
        np.testing.assert_allclose(together.keypoints, alone.keypoints, atol=0.05)


def test_the_input_is_what_the_framing_shows() -> None:
    detector = pose3d.load_detector(device="cpu", engine="torch", short_side=64)
    picture = np.random.default_rng(0).integers(0, 256, (27, 48, 3)).astype(np.uint8)
    picture = cv2.resize(picture, (480, 270), interpolation=cv2.INTER_CUBIC)
    backwards = picture[:, ::-1, ::-1]  # a view, as of an OpenCV picture's colours
    backwards.flags.writeable = False
    for scale, blend in ((0.5, cv2.INTER_AREA), (1.5, cv2.INTER_LINEAR)):
        framing = Framing((40, 30, 400, 230), scale)
        width, height = framing.size
        found = detector.resize([picture, backwards], framing)
        assert found.dtype == torch.uint8
        assert found.shape == (2, 3, -(-height // 32) * 32, -(-width // 32) * 32)
        assert found.is_contiguous(memory_format=torch.channels_last)
        for row, source in zip(found, (picture, backwards), strict=True):
            part = np.ascontiguousarray(source[30:230, 40:400])
            expected = cv2.resize(part, (width, height), interpolation=blend)
            ours = row.permute(1, 2, 0).numpy()
            away = np.abs(ours[:height, :width].astype(int) - expected)
            assert away.mean() < 3
            assert not ours[height:].any()
            assert not ours[:, width:].any()


def test_auto_takes_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr("pose3d.detect.base.which", lambda name: name)
    for module in ("engine", "base"):
        monkeypatch.setattr(f"pose3d.detect.{module}.find_spec", lambda name: object())
    assert choose_engine("auto", CPU) == "openvino"
    assert choose_engine("auto", gpu) == "triton"
    assert choose_engine("torch", CPU) == "torch"
    for module in ("engine", "base"):
        monkeypatch.setattr(f"pose3d.detect.{module}.find_spec", lambda name: None)
    assert choose_engine("auto", CPU) == "torch"
    assert choose_engine("auto", gpu) == "torch"


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
        OpenVINORCNN(network)


def test_another_engine_is_no_reason_to_run_again() -> None:
    facts = {"source": {"sha256": "0"}, "options": {"engine": "torch"}, "weights": {}}
    assert not differences({"source": {"sha256": "0"}, "options": {"engine": "auto"}}, facts)
    assert Options().engine == "auto"
