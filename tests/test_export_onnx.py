"""Exported networks run by another runtime."""

from pathlib import Path

import numpy as np
import pytest
import torch
from weight_files import arrays_of, compact_file, save

import pose3d
from pose3d.errors import PoseError, UsageError

onnxruntime = pytest.importorskip("onnxruntime", reason='needs pip install "pose3d[dev]"')
pytest.importorskip("onnxscript", reason='needs pip install "pose3d[export]"')

SIZE = (96, 64)  # width, height


def run(path: Path, inputs: dict[str, torch.Tensor]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {name: value.numpy() for name, value in inputs.items()})


def close(want: torch.Tensor, got: np.ndarray) -> bool:
    scale = float(want.abs().max())
    return want.shape == got.shape and float(np.abs(want.numpy() - got).max()) <= 1e-4 * scale


def test_the_compact_network_is_one_file(tmp_path: Path) -> None:
    from pose3d.detect.onnx import export_onnx

    weights = str(compact_file(tmp_path / "own.safetensors"))
    [path] = export_onnx(weights, tmp_path / "out.onnx", size=SIZE)
    detector = pose3d.load_detector(
        weights, device="cpu", min_score=0.0, short_side=64, engine="torch"
    )
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    [people] = detector([picture])
    values = torch.from_numpy(picture).permute(2, 0, 1)[None].float().contiguous()
    boxes, scores, keypoints, keypoint_scores = run(path, {"pictures": values})
    count = int((scores > 0).sum())
    assert len(people) == count > 1
    # The detector orders by more than the box's score: compare from left to right.
    mine, theirs = np.lexsort(people.boxes.T), np.lexsort(boxes[:count].T)
    np.testing.assert_allclose(people.boxes[mine], boxes[theirs], atol=1e-2)
    np.testing.assert_allclose(people.keypoints[mine], keypoints[theirs], atol=1e-2)
    np.testing.assert_allclose(people.keypoint_scores[mine], keypoint_scores[theirs], atol=1e-4)
    with pytest.raises(PoseError, match="exists: give another name, or --overwrite"):
        export_onnx(weights, tmp_path / "out.onnx", size=SIZE)


def run_alike(path: Path, module: torch.nn.Module, inputs: dict, names: list[str]) -> None:
    if "regions" in inputs:  # another number of them, of sizes for every level
        corner = torch.rand(11, 2) * 40
        side = torch.tensor([1.0, 7, 30, 90, 130, 200, 300, 450, 500, 600, 1000])
        inputs = inputs | {"regions": torch.cat([corner, corner + side[:, None]], 1)}
    with torch.inference_mode():
        want = module(**inputs)
    for name, expected, found in zip(names, want, run(path, inputs), strict=True):
        assert expected.isfinite().all() and expected.std() > 0
        assert close(expected, found), (path.name, name)


def test_a_public_network_is_three_files(tmp_path: Path) -> None:
    from pose3d.detect.onnx import export_onnx, parts_of

    weights = str(save(tmp_path / "model.pkl", "detectron2", arrays_of("detectron2")))
    paths = export_onnx(weights, tmp_path / "out.onnx", size=SIZE)
    assert [path.name for path in paths] == ["out.onnx", "out-boxes.onnx", "out-keypoints.onnx"]
    detector = pose3d.load_detector(weights, device="cpu")
    parts = parts_of(detector, torch.rand(1, 3, SIZE[1], SIZE[0]))
    for path, (_, module, inputs, names, _) in zip(paths, parts, strict=True):
        run_alike(path, module, inputs, names)


def test_detectrons_own_keypoint_head(tmp_path: Path) -> None:
    """What no other family has: boxes with + 1, the older RoIAlign, a stored upsampling."""
    from pose3d.detect.onnx import parts_of, write

    weights = str(save(tmp_path / "model.pkl", "caffe2", arrays_of("caffe2")))
    detector = pose3d.load_detector(weights, device="cpu")
    part = parts_of(detector, torch.rand(1, 3, SIZE[1], SIZE[0]))[2]
    write(tmp_path / "head.onnx", part)
    run_alike(tmp_path / "head.onnx", part.module, part.inputs, part.outputs)


def test_the_files_together_are_the_network(tmp_path: Path) -> None:
    """Heads in ONNX give what the detector's own reading of regions gives."""
    from pose3d.detect.onnx import RegionHead

    weights = str(save(tmp_path / "model.pkl", "detectron2", arrays_of("detectron2")))
    network = pose3d.load_detector(weights, device="cpu").network
    maps = [torch.rand(1, 8, 64 >> n, 96 >> n) for n in range(5)]
    corner = torch.rand(9, 2) * 40
    regions = torch.cat([corner, corner + torch.logspace(0, 2.8, 9)[:, None]], 1)
    with torch.inference_mode():
        want = network.roi_heads.boxes(network.pool(maps, [regions], network.plan.pooled))
        got = RegionHead(network, network.plan.pooled, False)(*maps[:4], regions)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(want, got, strict=True))


def test_sizes_and_missing_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from pose3d.detect.onnx import export_onnx

    weights = str(save(tmp_path / "model.pkl", "caffe2", arrays_of("caffe2")))
    with pytest.raises(UsageError, match="100 x 64 is no multiple of 32"):
        export_onnx(weights, tmp_path / "out.onnx", size=(100, 64))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(PoseError, match=r"pip install \"pose3d\[export\]\""):
        export_onnx(weights, tmp_path / "out.onnx")
