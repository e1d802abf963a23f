"""The training script: two processes and one, interrupted and not, go the same way."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pose3d.train import augment, people
from pose3d.train.detector import Recipe, train

RUN = """
import os, sys
from pathlib import Path
import torch
from pose3d.train.detector import Recipe, train
torch.set_num_threads(1)
folder, out = Path(sys.argv[1]), Path(sys.argv[2])
log = print if os.environ.get("RANK", "0") == "0" else (lambda text: None)
train(Recipe(folder / "notes.json", folder, out, steps=2, batch=2, canvas=64, report=1,
             device="cpu", warmup=1000), log)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six noisy pictures with one person each."""
    folder = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(0)
    images, notes = [], []
    for n in range(6):
        cv2.imwrite(str(folder / f"{n}.png"), rng.integers(0, 255, (60, 80, 3), np.uint8))
        images.append({"id": n, "file_name": f"{n}.png", "width": 80, "height": 60})
        points = np.column_stack([rng.uniform(20, 60, (17, 2)) * [1, 0.7], np.full(17, 2)])
        notes.append(
            {"id": n + 1, "image_id": n, "category_id": 1, "iscrowd": 0, "num_keypoints": 17,
             "bbox": [15, 10, 50, 40], "area": 1000.0, "keypoints": points.ravel().tolist()}
        )  # fmt: skip
    (folder / "notes.json").write_text(
        json.dumps({"images": images, "annotations": notes, "categories": [{"id": 1}]})
    )
    return folder


def losses_of(text: str) -> list[list[float]]:
    lines = [line for line in text.splitlines() if "objectness" in line]
    return [[float(x) for x in re.findall(r"[a-z] (\d+\.\d+)", line)] for line in lines]


def test_two_processes_get_the_losses_of_one(data: Path, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    one = subprocess.run(
        [sys.executable, script, data, tmp_path / "one"],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    two = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone",
         script, data, tmp_path / "two"],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    alone, split = np.array(losses_of(one.stdout)), np.array(losses_of(two.stdout))
    assert alone.shape == (2, 5)
    # The second step shows that gradients were shared: it follows from the first update.
    np.testing.assert_allclose(split, alone, rtol=2e-3)


def test_a_resumed_run_equals_an_uninterrupted_one(data: Path, tmp_path: Path) -> None:
    recipe = {
        "annotations": data / "notes.json",
        "images": data,
        "batch": 2,
        "canvas": 64,
        "device": "cpu",
        "steps": 2,
    }
    quiet = lambda text: None  # noqa: E731
    train(Recipe(out=tmp_path / "whole", **recipe), quiet)
    train(Recipe(out=tmp_path / "parts", stop_after=0, **recipe), quiet)
    assert torch.load(tmp_path / "parts" / "state.pt", weights_only=True)["step"] == 1
    train(Recipe(out=tmp_path / "parts", **recipe), quiet)
    whole, parts = (
        torch.load(tmp_path / name / "state.pt", weights_only=True)["network"]
        for name in ("whole", "parts")
    )
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


def test_augmented_keypoints_stay_on_what_they_mark(tmp_path: Path) -> None:
    """A red dot is marked as the nose: it is under the nose however the picture is turned."""
    picture = np.full((100, 100, 3), 90, np.uint8)
    cv2.rectangle(picture, (35, 25), (45, 35), (0, 0, 255), -1)  # BGR, centre (40.5, 30.5)
    cv2.imwrite(str(tmp_path / "0.png"), picture)
    points = np.zeros((17, 3))
    points[:3] = [40.5, 30.5, 2], [60, 60, 2], [30, 70, 2]
    note = {
        "id": 1,
        "image_id": 0,
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": 3,
        "bbox": [10, 10, 80, 80],
        "area": 3000.0,
        "keypoints": points.ravel().tolist(),
    }
    image = {"id": 0, "file_name": "0.png", "width": 100, "height": 100}
    (tmp_path / "notes.json").write_text(json.dumps({"images": [image], "annotations": [note]}))
    bank = people.load_bank(tmp_path / "notes.json", tmp_path, torch.device("cpu"))
    u = torch.rand(16, augment.DRAWS, generator=torch.Generator().manual_seed(1))
    batch = augment.draw_batch(bank, torch.zeros(16, 4, dtype=torch.long), u, 128)
    seen = 0
    redness = batch.pictures[:, 0] - batch.pictures[:, 1:].mean(1)
    for n in range(16):
        if redness[n].max() < 30:
            continue  # recoloured to grey
        for person in range(batch.boxes.shape[1]):
            nose = batch.keypoints[n, person, 0]
            if batch.boxes[n, person].isnan().any() or nose.isnan().any():
                continue
            x, y = nose.long().tolist()
            seen += 1
            patch = redness[n, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            assert patch.max() > 0.3 * redness[n].max()
    assert seen > 10
