"""Two rendered people who pass in front of each other three times, found by the real detector."""

from pathlib import Path

import numpy as np
import pytest

import pose3d
from pose3d.evaluate.identities import identity_scores
from pose3d.likeness import overlap
from pose3d.pipeline import detect
from pose3d.sequence import Recording

DATA = Path(__file__).resolve().parents[1] / "data"
VIDEO, TRUTH = DATA / "rendered_crossing.mp4", DATA / "rendered_crossing.truth.npz"
SHORT_SIDE = 256  # of the detector's input: the test shall be quick


@pytest.fixture(scope="module")
def truth() -> dict[str, np.ndarray]:
    with np.load(TRUTH, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def recording() -> Recording:
    detector = pose3d.load_detector(device="cpu", short_side=SHORT_SIDE)
    return detect(VIDEO, detector=detector)


def test_the_clip_is_small() -> None:
    assert VIDEO.stat().st_size <= 400_000


def test_they_cross_three_times_and_hide_each_other(truth: dict[str, np.ndarray]) -> None:
    hips = truth["joints_camera"][:, :, 0]
    side = np.sign(hips[0, :, 0] - hips[1, :, 0])
    crossings = np.flatnonzero(side[1:] != side[:-1])
    assert len(crossings) == 3
    in_front = np.sign(hips[1, crossings, 2] - hips[0, crossings, 2])
    assert len(set(in_front)) == 2  # now one is in front, now the other
    assert np.abs(hips[0] - hips[1])[crossings, 2].min() > 0.5
    shown = truth["shown"]
    assert shown.max(0).min() > 0.99  # who is in front is seen whole
    for crossing in crossings:
        assert shown[:, crossing - 5 : crossing + 6].min() < 0.6


def test_the_truth_agrees_with_itself(truth: dict[str, np.ndarray]) -> None:
    box, points, visible = truth["box"], truth["keypoints_2d"], truth["visibility"]
    assert (box[..., :2] >= 0).all() and (box[..., 2:] <= truth["image_size"]).all()
    inside = (points > box[:, :, None, :2] - 2) & (points < box[:, :, None, 2:] + 2)
    assert inside.all()
    hidden = truth["shown"] < 0.5
    assert hidden.sum() > 5
    assert (visible[hidden] == 2).mean() < 0.5 < (visible[~hidden] == 2).mean()
    assert overlap(box[0], box[1]).max() > 0.4


def test_nobody_takes_the_others_identity(
    recording: Recording, truth: dict[str, np.ndarray]
) -> None:
    frames = truth["box"].shape[1]
    assert recording.meta["source"]["frames"] == frames
    found = []
    for person in recording.people:
        boxes = np.full((frames, 4), np.nan)
        boxes[person.keypoints.frame] = person.keypoints.box
        found.append(boxes)
    scores = identity_scores(list(truth["box"]), found)
    assert len(found) == 2
    assert scores.switches == 0
    assert scores.idf1 >= 0.95
