"""Boxes and heatmaps: each against a plain reference or its own inverse."""

import pytest
import torch
from torchvision.ops import box_iou, nms

from pose3d.detect import boxes as geometry
from pose3d.detect import heatmaps


def random_boxes(count: int, seed: int = 0) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=chance) * 80
    return torch.cat([low, low + 5 + torch.rand(count, 2, generator=chance) * 60], 1)


def test_iou_is_torchvisions() -> None:
    a, b = random_boxes(40), random_boxes(30, 1)
    torch.testing.assert_close(geometry.iou(a, b), box_iou(a, b))


def test_encode_and_decode_are_inverse() -> None:
    a, b = random_boxes(50), random_boxes(50, 1)
    torch.testing.assert_close(geometry.decode(geometry.encode(a, b), b), a, atol=1e-3, rtol=0)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_suppress_is_greedy_nms_for_every_picture(threshold: float) -> None:
    pictures = [random_boxes(120, seed) for seed in range(3)]
    keep = geometry.suppress(torch.stack(pictures), threshold)
    scores = torch.linspace(1, 0, 120)
    for row, boxes in zip(keep, pictures, strict=True):
        assert row.nonzero()[:, 0].tolist() == sorted(nms(boxes, scores, threshold).tolist())


def test_anchors_lie_on_cell_centres() -> None:
    anchors = geometry.grid_anchors(2, 3, 8, torch.tensor([[16.0, 32.0]]))
    assert anchors.shape == (6, 4)
    assert anchors[0].tolist() == [4 - 8, 4 - 16, 4 + 8, 4 + 16]
    assert anchors[-1].tolist() == [20 - 8, 12 - 16, 20 + 8, 12 + 16]


def test_a_heatmap_of_the_target_decodes_to_the_keypoint() -> None:
    boxes = random_boxes(20)
    share = torch.rand(20, 17, 2, generator=torch.Generator().manual_seed(2)) * 0.9 + 0.05
    points = boxes[:, None, :2] + share * (boxes[:, None, 2:] - boxes[:, None, :2])
    index, weight = heatmaps.targets(points, boxes, 56)
    mass = torch.zeros(20, 17, 56 * 56 + 1).scatter_add_(-1, index, weight)
    decoded, peak = heatmaps.decode((mass + 1e-12).log(), boxes)
    torch.testing.assert_close(decoded, points, atol=2e-3, rtol=0)
    torch.testing.assert_close(peak, torch.ones(20, 17), atol=1e-3, rtol=0)


def test_a_keypoint_outside_its_box_or_unknown_is_nowhere() -> None:
    boxes = torch.tensor([[10.0, 10, 20, 20]])
    points = torch.tensor([[[5.0, 15.0], [float("nan"), float("nan")], [15.0, 15.0]]])
    index, weight = heatmaps.targets(points, boxes, 8)
    assert (index[0, :2] == 64).all()
    assert weight[0, :2].sum(-1).tolist() == [1, 1]
    assert (index[0, 2] < 64).all()


def test_mirrored_boxes_and_heatmaps_come_back() -> None:
    rng = torch.Generator().manual_seed(0)
    boxes = torch.rand(5, 4, generator=rng) * 50
    widths = torch.full((5,), 120.0)
    assert torch.allclose(geometry.mirrored(geometry.mirrored(boxes, widths), widths), boxes)
    assert geometry.mirrored(torch.tensor([[10.0, 1, 30, 2]]), widths[:1]).tolist() == [
        [90.0, 1, 110, 2]
    ]
    logits = torch.randn(5, 17, 8 * 8 + 1, generator=rng)
    there = heatmaps.mirrored(logits)
    assert torch.equal(heatmaps.mirrored(there), logits)
    # The left wrist at the left edge is the right wrist at the right edge of the mirror image.
    assert there[0, 10, 7] == logits[0, 9, 0]
