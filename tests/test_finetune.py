"""Fine-tuning from any detector's weights: the losses are right, and what is saved runs."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn
from weight_files import SMALL, arrays_of, compact_file, save

import pose3d
from pose3d.cli import main
from pose3d.detect.compact import CompactRCNN
from pose3d.detect.keypoint_rcnn import KeypointRCNN
from pose3d.detect.keypoint_rcnn.dialect import DIALECTS, dialect_of
from pose3d.errors import PoseError, UsageError
from pose3d.train import augment, keypoint_rcnn, people
from pose3d.train.detector import Recipe, train
from pose3d.train.initialise import begin, freeze
from pose3d.train.losses import Losses
from pose3d.weights import convert, load, sha256

FIXTURES = Path(__file__).resolve().parents[2] / "shared/fixtures/detectron"
FILES = {"caffe2": "a.pkl", "detectron2": "b.pkl", "torchvision": "c.pth"}
SIDE = 64


def quiet(text: str) -> None:
    """Say nothing."""


def small(path: Path, family: str) -> Path:
    """A small network's file with random weights that keep the size of what goes through them."""
    chance = np.random.default_rng(1)
    arrays = {}
    for name, array in arrays_of(family, replace(SMALL, groups=1)).items():
        spread = 0.05 if array.ndim == 1 else math.sqrt(2 / math.prod(array.shape[1:]))
        middle = 0.5 if array.ndim == 1 else 0.0
        values = middle + spread * chance.standard_normal(array.shape)
        arrays[name] = values.astype(np.float32)
    return save(path / FILES[family], family, arrays)


def person() -> dict[str, Tensor]:
    """A picture of noise with one person, one box to ignore, and rows for nobody."""
    chance = torch.Generator().manual_seed(3)
    boxes = torch.full((1, 3, 4), torch.nan)
    boxes[0, 0] = torch.tensor([12.0, 8, 44, 60])
    keypoints = torch.full((1, 3, 17, 2), torch.nan)
    keypoints[0, 0, :12] = 14 + 28 * torch.rand(12, 2, generator=chance)
    ignore = torch.full((1, 2, 4), torch.nan)
    ignore[0, 0] = torch.tensor([44.0, 0, 64, 64])
    return {
        "pictures": 255 * torch.rand(1, 3, SIDE, SIDE, generator=chance),
        "boxes": boxes,
        "keypoints": keypoints,
        "ignore": ignore,
        "u": torch.tensor([[0.3, 0.7]]),
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two noisy pictures with one person each, one of them larger than what is usual here."""
    folder = tmp_path_factory.mktemp("people")
    chance = np.random.default_rng(0)
    images, notes = [], []
    for n, (width, height) in enumerate(((80, 60), (410, 300))):
        cv2.imwrite(str(folder / f"{n}.png"), chance.integers(0, 255, (height, width, 3), np.uint8))
        images.append({"id": n, "file_name": f"{n}.png", "width": width, "height": height})
        points = np.column_stack([chance.uniform(15, 50, (17, 2)), np.full(17, 2)])
        notes.append(
            {"id": n + 1, "image_id": n, "category_id": 1, "iscrowd": 0, "num_keypoints": 17,
             "bbox": [10, 10, 50, 45], "area": 1000.0, "keypoints": points.ravel().tolist()}
        )  # fmt: skip
    (folder / "notes.json").write_text(
        json.dumps({"images": images, "annotations": notes, "categories": [{"id": 1}]})
    )
    return folder


def recipe(data: Path, out: Path, **changes: object) -> Recipe:
    return Recipe(
        data / "notes.json", data, out,
        **{"steps": 1, "batch": 2, "canvas": SIDE, "device": "cpu", "warmup": 1} | changes,
    )  # fmt: skip


@pytest.mark.parametrize("family", FILES)
def test_gradients_are_those_of_the_losses(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Along the gradient each loss changes as it says; layers that work in place spoil nothing."""
    network = begin(small(tmp_path, family)).network
    step, batch = keypoint_rcnn.TrainingStep(network), person()
    # What is proposed has no gradient, but moves.
    fixed = [torch.tensor([[10.0, 10, 40, 50], [0, 0, 20, 30], [14, 6, 45, 62]])]
    monkeypatch.setattr(network, "propose", lambda *_: fixed)
    for n, name in enumerate(Losses._fields):
        network.zero_grad(set_to_none=True)
        loss = step(**batch)[n]
        loss.backward()
        grads = {p: p.grad.clone() for p in network.parameters() if p.grad is not None}
        length = math.sqrt(sum(float((g.double() ** 2).sum()) for g in grads.values()))
        assert length > 0, name
        values, far = [], 0.003 * float(loss.detach()) / length
        for sign in (1, -1):
            with torch.no_grad():
                for p, g in grads.items():
                    p.add_(g / length, alpha=sign * far)
                values.append(float(step(**batch)[n]))
                for p, g in grads.items():
                    p.sub_(g / length, alpha=sign * far)
        slope = (values[0] - values[1]) / (2 * far)
        assert slope == pytest.approx(length, rel=0.03), name


@pytest.mark.parametrize("family", FILES)
def test_a_picture_is_learnt(family: str, tmp_path: Path) -> None:
    network = begin(small(tmp_path, family)).network
    step, batch = keypoint_rcnn.TrainingStep(network), person()
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 3e-3)
    history = []
    for _ in range(25):
        losses = step(**batch)
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
        history.append([float(loss.detach()) for loss in losses])
    before, after = np.array(history[0]), np.array(history[-3:]).mean(0)
    assert after.sum() < 0.8 * before.sum()
    assert (after < before).sum() >= 4, dict(zip(Losses._fields, after - before, strict=True))


@pytest.mark.parametrize("dialect", [*DIALECTS, "grouped"])
def test_input_is_what_the_dialect_makes(dialect: str) -> None:
    plan = SMALL if dialect == "grouped" else replace(SMALL, groups=1)
    name = "detectron2" if dialect == "grouped" else dialect
    network = KeypointRCNN(plan, dialect_of(name, plan))
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    want, _ = network._prepare(picture, SIDE, SIDE)
    values = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    got = keypoint_rcnn.TrainingStep(network).prepare(values)
    torch.testing.assert_close(got[0], want, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("extent", [0.0, 1.0])
def test_targets_are_what_the_network_decodes(extent: float) -> None:
    """Deltas and cells to learn, read as the network reads them, give the person back."""
    from pose3d.detect import boxes as geometry
    from pose3d.detect.keypoint_rcnn import boxes, heatmaps

    truth, regions = torch.tensor([[12.0, 8, 44, 60]]), torch.tensor([[10.0, 11, 40, 57]])
    deltas = geometry.encode(truth, regions)
    own = keypoint_rcnn._edges(regions, -extent)
    decoded = boxes.decode(deltas, own, extent)
    torch.testing.assert_close(keypoint_rcnn._edges(decoded, extent), truth)

    points = torch.tensor(
        [[[10.0, 11], [24.9, 33.3], [40 - extent, 57 - extent], [5, 30], [39, 12]]]
    )
    points[0, 4] = torch.nan
    cells = keypoint_rcnn.cells(points, own, 56)
    assert cells[0, 3:].tolist() == [keypoint_rcnn.NOT_SEEN] * 2
    maps = nn.functional.one_hot(cells[:, :3], 56 * 56).float().view(1, 3, 56, 56) * 20
    found = heatmaps.peaks(maps, own, True).points
    assert (found - points[:, :3]).abs().max() <= 1


def test_what_is_sampled(tmp_path: Path) -> None:
    """Boxes to ignore teach nothing, a quarter at most are persons', and chance is given."""
    batch = person()
    persons, ignore = batch["boxes"][0], batch["ignore"][0]
    chance = torch.Generator().manual_seed(0)
    corner = torch.rand(2000, 2, generator=chance) * 40
    somewhere = torch.cat([corner, corner + 4 + 20 * torch.rand(2000, 2, generator=chance)], 1)
    close = persons[0] + 4 * torch.rand(500, 4, generator=chance)
    regions, who = keypoint_rcnn.sample_regions(
        torch.cat([somewhere, close]), persons, ignore, torch.tensor(0.4)
    )
    assert len(who) == keypoint_rcnn.REGIONS
    assert (who >= 0).sum() == keypoint_rcnn.REGIONS / 4 and who.max() == 0
    nobody = regions[who < 0]
    inside = (nobody[:, 2] - nobody[:, 0].clamp(min=44)).clamp(min=0)
    assert (inside / (nobody[:, 2] - nobody[:, 0])).max() <= 0.5
    again, _ = keypoint_rcnn.sample_regions(
        torch.cat([somewhere, close]), persons, ignore, torch.tensor(0.5)
    )
    assert not torch.equal(again, regions)
    numbers = keypoint_rcnn.chances(torch.tensor(0.37), 20_000)
    assert numbers.min() >= 0 and numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.01 and abs(numbers.var() - 1 / 12) < 0.002


RUN = """
import os, sys
from pathlib import Path
import torch
from pose3d.train import augment
from pose3d.train.detector import Recipe, train
torch.set_num_threads(1)
augment.cover = lambda pictures, *_: pictures
folder, init, out = map(Path, sys.argv[1:])
log = print if os.environ.get("RANK", "0") == "0" else (lambda text: None)
train(Recipe(folder / "notes.json", folder, out, init=init, steps=2, batch=2, canvas=64, report=1,
             device="cpu", warmup=1000), log)
"""


def test_two_processes_get_the_losses_of_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What covers a picture is another one of its process, so it would not be the same.
    monkeypatch.setattr(augment, "cover", lambda pictures, *_: pictures)
    init, script, said = small(tmp_path, "caffe2"), tmp_path / "run.py", []
    train(recipe(data, tmp_path / "one", init=init, steps=2, report=1, warmup=1000), said.append)
    script.write_text(RUN)
    two = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone",
         script, data, init, tmp_path / "two"],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True,
    )  # fmt: skip
    alone, split = (
        np.array([re.findall(r"[a-z] (\d+\.\d+)", x) for x in lines if "objectness" in x], float)
        for lines in (said, two.stdout.splitlines())
    )
    assert alone.shape == (2, 5)
    # The second step shows that gradients were shared: it follows from the first update.
    np.testing.assert_allclose(split, alone, rtol=2e-3)


def test_pictures_without_anybody_train_too(tmp_path: Path) -> None:
    step = keypoint_rcnn.TrainingStep(begin(small(tmp_path, "caffe2")).network)
    batch = person()
    batch["boxes"].fill_(torch.nan)
    losses = step(**batch)
    sum(losses).backward()
    assert losses.keypoint == losses.box == losses.proposal == 0 < losses.objectness
    # DDP waits for the gradient of every parameter.
    learning = [p for p in step.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learning)


@pytest.mark.parametrize("family", FILES)
def test_public_weights_stay_in_their_family(family: str, data: Path, tmp_path: Path) -> None:
    file = small(tmp_path, family)
    before = sha256(file)
    dialect = "detectron2-d1" if family == "detectron2" else None
    init = convert(file, tmp_path / "first.safetensors") if family == "torchvision" else file
    judged = {"val_annotations": data / "notes.json", "val_images": data, "short_side": SIDE}
    scores = train(recipe(data, tmp_path / "out", init=init, dialect=dialect, **judged), quiet)
    assert scores.images == 2 and 0 <= scores.ap <= 1
    assert sha256(file) == before
    out = tmp_path / "out/keypoint_rcnn.safetensors"
    first, trained = load(file, "detector", dialect), load(out, "detector")
    assert (trained.family, trained.dialect) == (first.family, first.dialect)
    assert trained.config == first.config
    assert trained.metadata["fine_tuned_from"] == file.name
    assert trained.metadata["fine_tuned_from_sha256"] == before
    assert trained.metadata["licence"] == "unknown"
    assert trained.metadata["short_side"] == str(SIDE)
    assert pose3d.load_detector(str(out), device="cpu").short_side == SIDE  # what it was trained on
    assert pose3d.load_detector(str(file), device="cpu", dialect=dialect).short_side == 800
    changed = {
        name
        for name, value in first.tensors.items()
        if not torch.equal(value, trained.tensors[name])
    }
    assert changed and not any(".bn" in n or "downsample.1" in n for n in changed)
    assert {"backbone.body.conv1.weight", "rpn.head.cls_logits.bias"} <= changed
    detector = pose3d.load_detector(str(out), device="cpu", min_score=0.05, short_side=72)
    assert detector.short_side == 72
    [found] = detector([np.full((48, 64, 3), 90, np.uint8)])
    assert found.keypoints.shape == (len(found), 17, 2)


def test_a_compact_detector_goes_on_from_itself(data: Path, tmp_path: Path) -> None:
    file = compact_file(tmp_path / "mine.safetensors", licence="CC0-1.0")
    said: list[str] = []
    train(recipe(data, tmp_path / "out", init=file, rate=1e-3, frozen_blocks=3), said.append)
    assert "mine.safetensors" in said[0] and "CC0-1.0" in said[0]
    first, trained = load(file), load(tmp_path / "out/compact.safetensors")
    assert trained.config == first.config
    for name in ("calibration", "short_side", "licence"):
        assert trained.metadata[name] == first.metadata[name]
    assert json.loads(trained.metadata["recipe"])["init"] == "mine.safetensors"
    apart = {
        n: (v.float() - trained.tensors[n].float()).abs().max() for n, v in first.tensors.items()
    }
    assert max(apart.values()) < 0.02
    changed = {n for n, v in first.tensors.items() if not torch.equal(v.half(), trained.tensors[n])}
    assert "box_head.score.weight" in changed
    assert not any(n.startswith(("body.stem", "body.blocks.2.")) for n in changed)
    assert any(n.startswith("body.blocks.3.") for n in changed)


def test_first_blocks_stay_as_they_are(tmp_path: Path) -> None:
    start = begin(small(tmp_path, "torchvision"))
    freeze(start.network, 2)  # layer1 has one block, layer2 two
    still = {n for n, p in start.network.named_parameters() if not p.requires_grad}
    blocks = {".".join(name.split(".")[2:4]) for name in still}
    assert blocks == {"conv1.weight", "layer1.0", "layer2.0"}
    with pytest.raises(UsageError, match="has 5 blocks"):
        freeze(start.network, 6)
    with pytest.raises(UsageError, match="has 17 blocks"):
        freeze(CompactRCNN(16, 32, 16), 18)


@pytest.mark.skipif(not FIXTURES.exists(), reason="the original programs' files are not here")
@pytest.mark.parametrize("file", ["tiny/d2_model_final.pkl", "xtiny/c2_model_final.pkl"])
def test_the_original_programs_files_can_be_fine_tuned(file: str) -> None:
    start = begin(FIXTURES / file)
    step, batch = keypoint_rcnn.TrainingStep(start.network), person()
    losses = step(**batch)
    sum(losses).backward()
    assert all(loss.isfinite() and loss > 0 for loss in losses)
    stored = {n for n, p in start.network.named_parameters() if p.grad is None}
    upsampling = {f"roi_heads.keypoint_predictor.kps_score.{part}" for part in ("weight", "bias")}
    assert stored == (upsampling if "c2" in file else set())


def test_a_wrong_start_is_one_line(data: Path, tmp_path: Path) -> None:
    (tmp_path / "page.pkl").write_text("<html>404</html>")
    np.savez(tmp_path / "other.npz", **{"fpn.lateral5.weight": np.zeros(3, np.float32)})
    (tmp_path / "broken.npz").write_bytes(b"PK\3\4 and no more")
    cases = {
        "no-such-name": (2, "no detector is called"),
        str(tmp_path / "none.pkl"): (1, "there is no file"),
        "http://example.org/model_final.pkl": (2, "not https"),
        "temporal": (2, "is a lifter"),
        str(tmp_path / "page.pkl"): (1, "web page"),
        str(tmp_path / "other.npz"): (1, "MoveNet"),
        str(tmp_path / "broken.npz"): (1, "MoveNet"),
    }
    common = ["train", "detector", "--annotations", str(data / "notes.json"), "--images", str(data)]
    for init, (code, reason) in cases.items():
        result = CliRunner().invoke(main, [*common, "--out", str(tmp_path / "out"), "--init", init])
        assert result.exit_code == code, (init, result.output)
        assert reason in result.output and "Traceback" not in result.output
    with pytest.raises(UsageError, match="multiple of 32"):
        train(recipe(data, tmp_path / "out", canvas=80, init=small(tmp_path, "caffe2")), quiet)


def test_a_state_of_another_network_is_refused(data: Path, tmp_path: Path) -> None:
    torch.save({"step": 1, "network": {}, "average": {}, "optimizer": {}}, tmp_path / "state.pt")
    with pytest.raises(PoseError, match="another --out"):
        train(recipe(data, tmp_path, init=small(tmp_path, "caffe2")), quiet)


def test_pictures_of_any_size_fit(data: Path) -> None:
    bank = people.load_bank(data / "notes.json", data, torch.device("cpu"))
    assert bank.side == 412
    assert len(bank) == 2
