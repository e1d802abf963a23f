"""The whole way with the bundled weights: a rendered clip with its truth, and a real one."""

import sys
from pathlib import Path

import numpy as np
import pytest

import pose3d
from pose3d.evaluate.recordings import evaluate_files

ROOT = Path(__file__).resolve().parents[1]
VIDEO, TRUTH = ROOT / "data" / "rendered_walk.mp4", ROOT / "data" / "rendered_walk.truth.npz"

# By what `benchmarks/walk.py` calls them.
BOUNDS = {
    "path": 4, "tilt": 2, "floor's height": 2, "skate": 2, "lowest sole": 1, "PA-MPJPE": 40,
    "knee": 10, "elbow": 10,
}  # fmt: skip


@pytest.fixture(scope="module")
def walk() -> pose3d.Recording:
    return pose3d.infer(VIDEO, device="cpu")


@pytest.fixture(scope="module")
def flip(tmp_path_factory: pytest.TempPathFactory) -> pose3d.Recording:
    """The clip of `make demo`: a man on a roof who somersaults off it, a woman who walks by."""
    sys.path.insert(0, str(ROOT / "data"))
    from sample_clip import sample_clip

    try:
        clip = sample_clip(ROOT / "demo")
    except OSError as error:
        pytest.skip(f"the real clip cannot be had: {error}")
    return pose3d.infer(clip, device="cpu")


def test_the_rendered_walker_is_one_person_seen_throughout(walk: pose3d.Recording) -> None:
    assert len(walk) == 1
    keypoints = walk.people[0].keypoints
    with np.load(TRUTH, allow_pickle=False) as truth:
        np.testing.assert_allclose(keypoints.time, truth["time"], atol=1e-6)
        distance = np.linalg.norm(keypoints.keypoints - truth["keypoints_2d"], axis=-1)
        height = (truth["box"][:, 3] - truth["box"][:, 1]).mean()
        seen = truth["visibility"] == 2
    assert keypoints.found.mean() > 0.97
    assert np.nanmedian(distance[seen]) < 0.03 * height


def test_the_rendered_walker_in_3d_is_near_the_truth(
    walk: pose3d.Recording, tmp_path: Path
) -> None:
    walk.save(tmp_path / "walk.pose3d.npz")
    errors = evaluate_files(tmp_path / "walk.pose3d.npz", TRUTH)
    assert errors.coverage["person 1"] > 0.97
    assert errors.people["person 1"].pa_mpjpe < 60


def test_the_rendered_walkers_world_is_true(walk: pose3d.Recording) -> None:
    """Path, floor, feet and knees, where the camera and how tall he is are known."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from walk import measured

    with np.load(TRUTH, allow_pickle=False) as arrays:
        truth = {name: arrays[name] for name in arrays.files}
    focal, height = truth["camera_matrix"][0, 0], f"{truth['body_height']:.3f}m"
    found = pose3d.pipeline.lift(walk, device="cpu", focal_length=float(focal), height=height)
    for what, off in measured(found, truth).items():
        [bound] = (b for begin, b in BOUNDS.items() if begin in what)
        assert abs(off) <= bound, what


@pytest.mark.network
def test_the_two_people_of_the_real_clip_are_one_identity_each(flip: pose3d.Recording) -> None:
    """The woman walks from right to left, the man jumps and then falls; each is found."""
    long = [p for p in flip.people if p.keypoints.found.sum() > 30]
    assert len(long) == 2
    woman, man = sorted(long, key=lambda p: -np.nanmax(_x(p)) + np.nanmin(_x(p)))
    assert _found(woman, 60, 170) >= 0.97
    assert _found(man, 0, 150) >= 0.97
    steps = np.diff(_x(woman)[woman.keypoints.found])
    assert np.median(steps) < 0


def _x(person: pose3d.Person) -> np.ndarray:
    return person.keypoints.box[:, 0]


def _found(person: pose3d.Person, first: int, last: int) -> float:
    """Share of the frames `first` to `last` in which the person was found."""
    frames = person.keypoints.frame[person.keypoints.found]
    return ((frames >= first) & (frames <= last)).sum() / (last - first + 1)
