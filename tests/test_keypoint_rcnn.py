"""Public Keypoint R-CNN weights against the original programs, and against torchvision."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from weight_files import arrays_of, save

import pose3d
from pose3d.detect.keypoint_rcnn import Detections, KeypointRCNN, build
from pose3d.errors import PoseError, UsageError
from pose3d.pictures import read_picture
from pose3d.weights import convert, load

FIXTURES = Path(__file__).resolve().parents[2] / "shared/fixtures/detectron"
needs_fixtures = pytest.mark.skipif(
    not FIXTURES.exists(), reason="the original programs' answers are not here"
)
# Network, file, dialect, reference, the share of keypoints that must lie within 0.5 px.
ORIGINALS = [
    ("tiny", "d2_model_final.pkl", None, "ref_d2_d2_zoo.npz", 0.995),
    ("tiny", "d2_model_final.pkl", "detectron2-d1", "ref_d2_d2_d1cmp.npz", 0.995),
    ("tiny", "c2_model_final.pkl", None, "ref_detectron_c2.npz", 0.995),
    ("xtiny", "d2_model_final.pkl", None, "ref_d2_d2_zoo.npz", 0.99),
    ("xtiny", "c2_model_final.pkl", None, "ref_detectron_c2.npz", 0.99),
]


@pytest.fixture(scope="module")
def pictures() -> dict[str, NDArray[np.uint8]]:
    return {path.stem: read_picture(path) for path in sorted(FIXTURES.glob("pictures/*.png"))}


@pytest.fixture(scope="module")
def compare() -> Callable[..., int]:
    spec = importlib.util.spec_from_file_location("compare", FIXTURES / "compare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def answers(network: KeypointRCNN, pictures: list[NDArray[np.uint8]]) -> list[Detections]:
    with torch.inference_mode():
        return network(pictures)


def equal(a: Detections, b: Detections) -> bool:
    return all(torch.equal(v, getattr(b, name)) for name, v in vars(a).items())


@needs_fixtures
@pytest.mark.parametrize(("network", "file", "dialect", "reference", "within"), ORIGINALS)
def test_the_original_programs_find_the_same(
    network: str,
    file: str,
    dialect: str | None,
    reference: str,
    within: float,
    pictures: dict,
    compare: Callable[..., int],
    tmp_path: Path,
) -> None:
    path = FIXTURES / network / file
    loaded = build(load(path, "detector", dialect))
    together = answers(loaded, list(pictures.values()))
    found = {}
    for name, answer in zip(pictures, together, strict=True):
        found[f"{name}/boxes"] = answer.boxes.numpy()
        found[f"{name}/scores"] = answer.scores.numpy()
        found[f"{name}/keypoints"] = answer.keypoints.numpy()
    np.savez(tmp_path / "found.npz", **found)
    assert compare(tmp_path / "found.npz", FIXTURES / network / reference, within, 1) == 0

    converted = convert(path, tmp_path / "converted.safetensors", dialect=dialect)
    again = build(load(converted, "detector"))
    name = "e_333x517_odd"
    [alone] = answers(again, [pictures[name]])
    assert equal(alone, together[list(pictures).index(name)])


@needs_fixtures
@pytest.mark.parametrize("file", ["d2_model_final.pkl", "c2_model_final.pkl"])
def test_a_real_batch_changes_nothing(file: str, pictures: dict) -> None:
    """Two pictures of one size, and one of another size but the same when padded."""
    network = build(load(FIXTURES / "tiny" / file, "detector"))
    whole = pictures["a_640x480"]
    batch = [whole, whole[:, ::-1], whole[:, 1:-1]]
    sizes = [network._prepare(p, 384, 640)[1].input for p in batch]
    assert sizes[0] == sizes[1] != sizes[2]
    assert {(-(-h // 32), -(-w // 32)) for h, w in sizes} == {(12, 16)}
    with torch.inference_mode():
        together = network(batch, short_side=384, at_once=8)
        one_by_one = network(batch, short_side=384)
        separate = [network([picture], short_side=384)[0] for picture in batch]
    assert all(map(equal, one_by_one, separate))
    off = []
    for alone, answer in zip(separate, together, strict=True):
        assert len(alone.boxes) == len(answer.boxes) > 5
        assert (alone.boxes - answer.boxes).abs().max() < 0.02
        off.append((alone.keypoints - answer.keypoints).abs().amax(-1))
    # Two equal peaks of a map are told apart by its last bits, as between any two programs.
    assert (torch.cat(off) < 0.5).float().mean() >= 0.99 and torch.cat(off).median() < 0.005


@needs_fixtures
def test_limits_leave_the_others_as_they_were(pictures: dict) -> None:
    """Fewer people or a higher threshold leave the others as they were."""
    network = build(load(FIXTURES / "tiny/d2_model_final.pkl", "detector"))
    picture = pictures["e_333x517_odd"]
    with torch.inference_mode():
        [every] = network([picture], short_side=384)
        [best] = network([picture], short_side=384, max_people=3)
        [sure] = network([picture], short_side=384, min_score=0.5)
    assert torch.equal(best.boxes, every.boxes[:3])
    count = int((every.scores >= 0.5).sum())
    assert 0 < count == len(sure.boxes) < len(every.boxes)
    assert (sure.keypoints - every.keypoints[:count]).abs().median() < 0.001


@needs_fixtures
@pytest.mark.parametrize("file", ["d2_model_final.pkl", "c2_model_final.pkl"])
def test_detectors_give_people(file: str, pictures: dict) -> None:
    path = str(FIXTURES / "tiny" / file)
    detector = pose3d.load_detector(path, device="cpu", min_score=0.3, max_people=7, short_side=384)
    empty = np.zeros((40, 60, 3), np.uint8)
    picture = pictures["a_640x480"]
    [people, nobody] = detector([picture, empty])
    with torch.inference_mode():
        [raw] = detector.network([picture], short_side=384)
    assert 0 < len(people) <= 7
    assert np.all(np.diff(people.scores) <= 0) and people.scores.min() >= 0.3
    assert np.array_equal(people.boxes, raw.boxes[: len(people)].numpy())
    scores = people.keypoint_scores
    own = raw.keypoint_probabilities if file.startswith("d2") else raw.keypoint_logits.sigmoid()
    assert np.allclose(scores, own[: len(people)].clamp(max=1), atol=1e-4)
    assert scores.min() >= 0 and scores.max() <= 1
    for part in (people, nobody):
        assert part.boxes.dtype == part.keypoints.dtype == part.scores.dtype == np.float32
        assert part.keypoints.shape == (len(part), 17, 2)


@needs_fixtures
def test_detectrons_two_keypoint_scores(pictures: dict) -> None:
    """The original gives a logit and a probability; both are kept."""
    network = build(load(FIXTURES / "tiny/c2_model_final.pkl", "detector"))
    reference = np.load(FIXTURES / "tiny/ref_detectron_c2.npz")
    [found] = answers(network, [pictures["a_640x480"]])
    truth = reference["a_640x480/keypoints"]
    order = np.argsort(-reference["a_640x480/scores"])
    assert np.allclose(found.keypoint_logits, truth[order, :, 2], atol=0.1)
    assert np.allclose(found.keypoint_probabilities, truth[order, :, 3], rtol=0.05, atol=1e-6)
    reference = np.load(FIXTURES / "tiny/ref_d2_d2_zoo.npz")
    network = build(load(FIXTURES / "tiny/d2_model_final.pkl", "detector"))
    [found] = answers(network, [pictures["a_640x480"]])
    truth = reference["a_640x480/keypoints"]
    order = np.argsort(-reference["a_640x480/scores"])
    assert np.allclose(found.keypoint_probabilities, truth[order, :, 2], rtol=0.02, atol=1e-6)


@pytest.fixture(scope="module")
def torchvisions(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    torch.manual_seed(0)
    network = keypointrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=320, max_size=533
    )
    path = tmp_path_factory.mktemp("torchvision") / "own.pth"
    torch.save(network.state_dict(), path)
    return network.eval(), build(load(path, "detector"))


@pytest.mark.parametrize("shape", [(300, 400), (431, 173)])
def test_torchvisions_own_network_finds_the_same(shape: tuple, torchvisions: tuple) -> None:
    """At 320 pixels instead of 800, which on two cores takes a minute; the rules are the same."""
    theirs, ours = torchvisions
    chance = np.random.default_rng(shape[0])
    coarse = chance.integers(0, 256, (shape[0] // 8 + 1, shape[1] // 8 + 1, 3), np.uint8)
    picture = coarse.repeat(8, 0).repeat(8, 1)[: shape[0], : shape[1]].copy()
    with torch.inference_mode():
        [want] = theirs([torch.from_numpy(picture).permute(2, 0, 1) / 255])
        [got] = ours([picture], short_side=320)
    assert len(got.boxes) == len(want["boxes"]) > 0
    assert (got.boxes - want["boxes"]).abs().max() <= 1e-2
    assert (got.scores - want["scores"]).abs().max() <= 1e-4
    off = (got.keypoints - want["keypoints"][..., :2]).abs().amax(-1)
    assert (off <= 1e-2).float().mean() >= 0.99
    assert (got.keypoint_logits - want["keypoints_scores"]).abs().max() <= 1e-3


def test_large_boxes_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from pose3d.detect.keypoint_rcnn import heatmaps

    maps = torch.rand(2, 17, 56, 56, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[3.0, 4, 103.5, 90], [0, 0, 0.2, 700]])
    for cells in (True, False):
        monkeypatch.setattr(heatmaps, "MAX_PIXELS", 1 << 24)
        whole = heatmaps.peaks(maps, boxes, cells)
        monkeypatch.setattr(heatmaps, "MAX_PIXELS", 20_000)
        assert all(map(torch.equal, whole, heatmaps.peaks(maps, boxes, cells)))


@pytest.mark.parametrize("family", ["caffe2", "detectron2", "torchvision"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (2000, 3), (61, 33)])
def test_pictures_of_any_shape(family: str, shape: tuple, tmp_path: Path) -> None:
    path = save(tmp_path / "model.pkl", family, arrays_of(family))
    detector = pose3d.load_detector(str(path), device="cpu", min_score=0.0, short_side=64)
    [people] = detector([np.full((*shape, 3), 200, np.uint8)])
    assert np.isfinite(people.keypoints).all() and np.isfinite(people.boxes).all()


def test_short_side_and_bad_pictures(tmp_path: Path) -> None:
    path = str(save(tmp_path / "model.pkl", "detectron2", arrays_of("detectron2")))
    for side in (10, 100_000):
        with pytest.raises(UsageError, match=f"a short side of {side}"):
            pose3d.load_detector(path, short_side=side)
    detector = pose3d.load_detector(path, device="cpu", short_side=64)
    for picture in (np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3))):
        with pytest.raises(UsageError, match="RGB uint8"):
            detector([picture])
    with pytest.raises(UsageError, match="no dialect 'caffe2'"):
        pose3d.load_detector(path, dialect="caffe2")


def test_groups_that_do_not_divide_are_refused() -> None:
    from dataclasses import replace

    from pose3d.weights import Checkpoint
    from pose3d.weights.keypoint_rcnn import Plan, config

    plan = Plan(
        stem=4,
        blocks=(1, 1, 1, 1),
        widths=(8, 8, 8, 8),
        bottlenecks=(10, 10, 10, 10),
        groups=3,
        pyramid=8,
        pooled=7,
        hidden=8,
        keypoint_widths=(8,),
    )
    tensors = {name: torch.zeros(shape) for name, shape in plan.shapes()}
    checkpoint = Checkpoint(
        "detector", "detectron2", "detectron2", "keypoint_rcnn", config(plan), tensors
    )
    with pytest.raises(PoseError, match="fit no Keypoint R-CNN"):
        build(checkpoint)
    whole = replace(checkpoint, config=config(replace(plan, groups=1)))
    with pytest.raises(PoseError, match="size mismatch"):
        build(whole)
