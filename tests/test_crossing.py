"""Two rendered people who pass in front of each other three times, found by the real detector."""

from pathlib import Path

import numpy as np
import pytest

import pose3d
from pose3d.evaluate.identities import IdentityScores, identity_scores
from pose3d.likeness import overlap
from pose3d.pipeline import detect
from pose3d.sequence import People, Person, Recording
from pose3d.track import Tracker

DATA = Path(__file__).resolve().parents[1] / "data"
VIDEO, TRUTH = DATA / "rendered_crossing.mp4", DATA / "rendered_crossing.truth.npz"
ALIKE = DATA / "rendered_crossing_alike.found.npz"
FIELDS = ("boxes", "scores", "keypoints", "keypoint_scores")
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


def scores_of(people: tuple[Person, ...], true_box: np.ndarray) -> IdentityScores:
    found = []
    for person in people:
        boxes = np.full((true_box.shape[1], 4), np.nan)
        boxes[person.keypoints.frame] = person.keypoints.box
        found.append(boxes)
    return identity_scores(list(true_box), found)


def test_nobody_takes_the_others_identity(
    recording: Recording, truth: dict[str, np.ndarray]
) -> None:
    assert recording.meta["source"]["frames"] == truth["box"].shape[1]
    scores = scores_of(recording.people, truth["box"])
    assert len(recording.people) == 2
    assert scores.switches == 0
    assert scores.idf1 >= 0.95


def test_nobody_does_in_the_same_clothes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the detector found them; without a look at how people walked on, two change places."""

    def tracked() -> tuple[Person, ...]:
        tracker = Tracker()
        with np.load(ALIKE, allow_pickle=False) as found:
            ends = np.cumsum(found["count"])
            parts = (np.split(found[name], ends[:-1]) for name in FIELDS)
            for n, (time, *people) in enumerate(zip(found["time"], *parts, strict=True)):
                tracker.update(n, float(time), People(*people))
        return tracker.finish()

    with np.load(ALIKE, allow_pickle=False) as found:
        true_box = found["true_box"]
    people = tracked()
    assert len(people) == 2
    scores = scores_of(people, true_box)
    assert scores.switches == 0
    assert scores.idf1 >= 0.95
    monkeypatch.setattr("pose3d.track.stitch._taken", lambda *_: False)
    assert scores_of(tracked(), true_box).switches == 2
