"""Keypoints in the formats of other 2D tools, read as those read them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from performers import SIZE, performance

from pose3d import export
from pose3d.errors import PoseError
from pose3d.skeleton import COCO

BODY_25 = {  # places of some points, by OpenPose's documentation
    "nose": 0, "right_shoulder": 2, "left_wrist": 7, "left_hip": 12, "right_ankle": 11,
    "right_eye": 15, "left_ear": 18,
}  # fmt: skip


def test_openpose_comes_back(tmp_path: Path) -> None:
    recording = performance(30)
    folder = tmp_path / "walk.openpose"
    assert export.write(recording, folder) == (folder,)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"walk_{n:012d}_keypoints.json" for n in range(30)]
    frames = [json.loads((folder / name).read_text()) for name in names]
    for person in recording.people:
        keypoints = person.keypoints
        for row, frame in enumerate(keypoints.frame):
            people = {p["person_id"][0]: p for p in frames[frame]["people"]}
            assert (person.id in people) == keypoints.found[row]
            if not keypoints.found[row]:
                continue
            points = np.reshape(people[person.id]["pose_keypoints_2d"], (25, 3))
            for ours, theirs in BODY_25.items():
                at = COCO.index(ours)
                np.testing.assert_allclose(
                    points[theirs, :2], keypoints.keypoints[row, at], atol=0.001
                )
                assert points[theirs, 2] == pytest.approx(keypoints.score[row, at], abs=1e-4)
            neck = keypoints.keypoints[row, 5:7].mean(0)
            np.testing.assert_allclose(points[1, :2], neck, atol=0.001)
            assert (points[19:] == 0).all()


def test_openpose_replaces_only_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "walk.openpose"
    export.write(performance(9), folder)
    export.write(performance(4), folder)
    assert len(list(folder.iterdir())) == 4
    (folder / "thesis.docx").write_text("years of work")
    with pytest.raises(PoseError, match="other files"):
        export.write(performance(9), folder)
    assert (folder / "thesis.docx").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["walk.openpose"]


def test_coco_comes_back(tmp_path: Path) -> None:
    recording = performance(30)
    export.write(recording, tmp_path / "walk.coco.json")
    entries: list[dict[str, Any]] = json.loads((tmp_path / "walk.coco.json").read_text())
    assert len(entries) == sum(int(p.keypoints.found.sum()) for p in recording.people)
    for person in recording.people:
        own = {e["image_id"]: e for e in entries if e["track_id"] == person.id}
        keypoints = person.keypoints
        assert sorted(own) == keypoints.frame[keypoints.found].tolist()
        for row in np.flatnonzero(keypoints.found):
            entry = own[keypoints.frame[row]]
            assert entry["category_id"] == 1
            points = np.reshape(entry["keypoints"], (17, 3))
            np.testing.assert_allclose(points[:, :2], keypoints.keypoints[row], atol=0.001)
            np.testing.assert_allclose(points[:, 2], keypoints.score[row], atol=1e-4)
            x, y, width, height = entry["bbox"]
            box = [x, y, x + width, y + height]
            np.testing.assert_allclose(box, keypoints.box[row], atol=0.002)


def test_videopose3d_comes_back(tmp_path: Path) -> None:
    recording = performance(30)
    path = tmp_path / "walk.videopose3d.npz"
    export.write(recording, path)
    with np.load(path, allow_pickle=True) as file:  # as VideoPose3D does
        metadata, positions = file["metadata"].item(), file["positions_2d"].item()
    assert metadata["layout_name"] == "coco"
    assert metadata["num_joints"] == 17
    assert metadata["keypoints_symmetry"] == [list(COCO.left), list(COCO.right)]
    video = metadata["video_metadata"]["walk.mp4"]
    assert (video["w"], video["h"]) == SIZE
    assert list(positions["walk.mp4"]) == ["custom", "custom 2"]
    for person, cameras in zip(recording.people, positions["walk.mp4"].values(), strict=True):
        (points,) = cameras
        assert points.dtype == np.float32
        known = person.keypoints.found
        np.testing.assert_array_equal(points[known], person.keypoints.keypoints[known])
        assert np.isfinite(points).all()
    assert video["first_frame"] == {"custom": 0, "custom 2": 10}
