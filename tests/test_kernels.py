"""What GPUs run, on the CPU: Triton's kernels in its interpreter, batches without kernels."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pose3d.lift.gpu import Products
from pose3d.lift.network import TemporalModel
from pose3d.pictures import read_picture
from pose3d.weights import load

FIXTURES = Path(__file__).resolve().parents[2] / "shared/fixtures/detectron"
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="there is no Triton here")

DEPTHWISE = """
import torch, torch.nn.functional as F
from pose3d.detect.kernels import depthwise
torch.manual_seed(0)
for stride in (1, 2):
    x = torch.randn(2, 72, 10, 12).contiguous(memory_format=torch.channels_last)
    weight, bias, before = torch.randn(72, 1, 3, 3), torch.randn(72), torch.randn(72)
    found = depthwise(
        x, weight.flatten(1).T.contiguous(), bias, stride=stride, before=before,
        clamps_before=True, clamps=True,
    )
    y = F.relu6(x + before[:, None, None])
    y = F.pad(y, (0, 1, 0, 1)) if stride == 2 else y
    y = F.relu6(F.conv2d(y, weight, bias, stride=stride, padding=int(stride == 1), groups=72))
    torch.testing.assert_close(found, y, atol=1e-5, rtol=0)
"""
ROI_ALIGN = """
import torch
from torchvision.ops import roi_align as peer
from pose3d.detect.kernels import roi_align
torch.manual_seed(0)
maps = [torch.randn(2, 17, 20 // n, 24 // n).contiguous(memory_format=torch.channels_last)
        for n in (1, 2)]
rows = torch.tensor(
    [[0, 3.0, 4, 60, 70], [1, -5, 10, 90, 95], [1, 20, 20, 21, 22], [0, 0, 0, 96, 80]]
)
level = torch.tensor([0, 1, 0, 1])
for aligned in (True, False):
    for samples in (0, 1, 2):
        found = roi_align(maps, rows, 7, (4, 8), samples, aligned=aligned, level=level)
        for n, at in enumerate(level.tolist()):
            one = peer(maps[at].contiguous(), rows[n : n + 1], 7, 1 / (4, 8)[at], samples, aligned)
            torch.testing.assert_close(found[n], one[0], atol=1e-4, rtol=0)
"""
COMPACT = """
import torch
import pose3d
from pose3d.detect import kernels
from pose3d.detect.gpu import GpuRCNN
# Blocks as large as maps: the interpreter takes long for each.
kernels.PIXELS, kernels.CHANNELS, kernels.BINS = 256, 512, 1024
torch.manual_seed(0)
network = pose3d.load_detector(device="cpu", engine="torch").network
x = torch.randint(0, 255, (1, 3, 32, 32), dtype=torch.uint8)
regions = torch.tensor([[[2.0, 3, 20, 28], [0, 0, 31, 30]]])
with torch.inference_mode():
    fast = GpuRCNN(network, torch.float32)
    maps, others = network.dense(x.float()), fast.dense(x)
    for name, a, b in zip(maps._fields, maps, others):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3, msg=name)
    for a, b in zip(network.classify(maps, regions), fast.classify(maps, regions)):
        torch.testing.assert_close(a, b, atol=1e-2, rtol=1e-2)
    picture = torch.tensor([0, 0])
    a, b = (some.heatmaps(maps, picture, regions[0]) for some in (network, fast))
    torch.testing.assert_close(a, b, atol=1e-2, rtol=1e-2)
"""


@needs_triton
@pytest.mark.parametrize("script", [DEPTHWISE, ROI_ALIGN, COMPACT], ids=["filter", "align", "net"])
def test_kernels_do_what_torch_does(script: str) -> None:
    """In a process of its own: Triton asks once, when it is imported, whether to interpret."""
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@needs_triton
@pytest.mark.skipif(not FIXTURES.exists(), reason="the original programs' answers are not here")
@pytest.mark.parametrize("file", ["d2_model_final.pkl", "c2_model_final.pkl"])
def test_a_batch_finds_what_pictures_alone_do(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pose3d.detect import kernels
    from pose3d.detect.keypoint_rcnn import build
    from pose3d.detect.keypoint_rcnn.batched import BatchedRCNN

    monkeypatch.setattr(kernels, "roi_align", level_by_level)
    network = build(load(FIXTURES / "tiny" / file, "detector"))
    pictures = [read_picture(path) for path in sorted(FIXTURES.glob("pictures/*.png"))[:2]]
    pictures.append(pictures[0][:, ::-1].copy())
    with torch.inference_mode():
        alone = network(pictures, short_side=320)
        run = BatchedRCNN(network, torch.float32)
        batch = network(pictures, short_side=320, run=run, at_once=2)
    assert sum(len(found.boxes) for found in alone) > 20
    for a, b in zip(alone, batch, strict=True):
        torch.testing.assert_close(a.boxes, b.boxes, atol=0.1, rtol=0)
        torch.testing.assert_close(a.scores, b.scores, atol=1e-3, rtol=0)
        near = (a.keypoints - b.keypoints).norm(dim=-1) < 0.5
        # Random weights give maps with several maxima that are as good as equal.
        assert near.float().mean() > 0.9
        torch.testing.assert_close(
            a.keypoint_logits[near], b.keypoint_logits[near], atol=1e-3, rtol=5e-3
        )


def level_by_level(
    maps: list[Tensor], rows: Tensor, size: int, strides: tuple[int, ...], samples: int, *,
    aligned: bool, level: Tensor,
) -> Tensor:  # fmt: skip
    """torchvision's RoIAlign in the place of the kernel."""
    from torchvision.ops import roi_align

    out = maps[0].new_zeros(len(rows), maps[0].shape[1], size, size)
    for n, stride in enumerate(strides):
        chosen = (level == n).nonzero()[:, 0]
        out[chosen] = roi_align(maps[n], rows[chosen], size, 1 / stride, samples, aligned)
    return out.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("causal", [False, True])
def test_products_are_the_convolutions(causal: bool) -> None:
    network = TemporalModel(17, 3, 17, (3, 1, 5), 32, causal).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            for value in (module.running_mean, module.weight, module.bias):
                value.normal_()
            module.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 40, 51)
    with torch.inference_mode():
        found = Products(network, torch.float32)(x)
        torch.testing.assert_close(found, network(x), atol=1e-4, rtol=1e-4)
