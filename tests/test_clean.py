"""Cleaning takes out what no body does, and nothing that one does."""

from dataclasses import replace

import numpy as np
import pytest
from imitate import MOTION, Scene, detected, motion, walker

from pose3d.clean import SHORT, clean
from pose3d.sequence import Keypoints2D
from pose3d.skeleton import COCO

WRIST, ANKLE = COCO.index("right_wrist"), COCO.index("left_ankle")
needs_motion = pytest.mark.skipif(not MOTION.is_dir(), reason="the motion archives are not here")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return walker()


def exact(scene: Scene, score: float = 0.9) -> Keypoints2D:
    """Keypoints without error."""
    pixels = scene.pixels.astype(np.float32)
    box = np.concatenate([pixels.min(1), pixels.max(1)], 1)
    scores = np.full(pixels.shape[:2], score, np.float32)
    return Keypoints2D(np.arange(len(pixels)), scene.times, box, pixels, scores)


def off(sequence: Keypoints2D, scene: Scene) -> np.ndarray:
    return np.linalg.norm(sequence.keypoints - scene.pixels, axis=-1)


def pairs(*parts: str) -> list[int]:
    return [COCO.index(f"{side}_{part}") for part in parts for side in ("left", "right")]


def test_what_is_right_stays(scene: Scene) -> None:
    assert off(clean(exact(scene)), scene).max() < 3
    assert np.median(off(clean(exact(scene)), scene)) < 0.3


def test_trembling_is_less(scene: Scene) -> None:
    chance = np.random.default_rng(0)
    noisy = exact(scene)
    shake = chance.normal(0, 3, noisy.keypoints.shape).astype(np.float32)
    noisy = replace(noisy, keypoints=noisy.keypoints + shake)
    trunk = pairs("shoulder", "hip")
    before, after = off(noisy, scene)[:, trunk].mean(), off(clean(noisy), scene)[:, trunk].mean()
    assert after < 0.85 * before


def test_a_doubtful_joint_follows_its_neighbours(scene: Scene) -> None:
    noisy = exact(scene)
    keypoints, score = noisy.keypoints.copy(), noisy.score.copy()
    keypoints[100, ANKLE] += 20
    score[100, ANKLE] = 0.05
    away = off(clean(replace(noisy, keypoints=keypoints, score=score)), scene)
    assert away[100, ANKLE] < 8


@pytest.mark.parametrize("frames", [1, 2])
def test_a_leap_away_and_back_is_taken_out(scene: Scene, frames: int) -> None:
    noisy = exact(scene)
    keypoints = noisy.keypoints.copy()
    keypoints[100 : 100 + frames, WRIST] += [150, -90]
    away = off(clean(replace(noisy, keypoints=keypoints)), scene)
    assert away[95:110, WRIST].max() < 10


def test_left_and_right_exchanged_for_a_moment_are_put_back(scene: Scene) -> None:
    noisy = exact(scene)
    keypoints = noisy.keypoints.copy()
    legs = pairs("hip", "knee", "ankle")
    apart = np.linalg.norm(keypoints[:, legs[::2]] - keypoints[:, legs[1::2]], axis=-1).mean(1)
    start = int(np.argmax(np.minimum(apart[:-6], apart[6:])))
    rows = slice(start, start + 6)
    keypoints[rows] = keypoints[rows][:, COCO.mirror]
    flipped = replace(noisy, keypoints=keypoints)
    assert off(flipped, scene)[rows, legs].mean() > 15
    assert off(clean(flipped), scene)[rows, legs].max() < 6


def test_crossing_legs_are_not_taken_for_flips(scene: Scene) -> None:
    noisy = detected(scene, level=0.1)
    np.testing.assert_allclose(clean(noisy).keypoints, noisy.keypoints, atol=25)
    assert np.median(off(clean(noisy), scene)) <= np.median(off(noisy, scene)) * 1.02


def test_short_gaps_are_filled_and_long_ones_stay(scene: Scene) -> None:
    noisy = exact(scene)
    keypoints, score = noisy.keypoints.copy(), noisy.score.copy()
    for rows in (slice(50, 54), slice(120, 150)):
        keypoints[rows, WRIST], score[rows, WRIST] = np.nan, 0
    found = clean(replace(noisy, keypoints=keypoints, score=score))
    assert off(found, scene)[50:54, WRIST].max() < 12
    assert (found.score[50:54, WRIST] > 0).all()
    assert (found.score[50:54, WRIST] < 0.6).all()
    assert np.isnan(found.keypoints[120:150, WRIST]).all()
    assert (found.score[120:150, WRIST] == 0).all()
    assert SHORT * 30 > 4


@needs_motion
@pytest.mark.parametrize("every", [1, 2])
def test_a_punch_keeps_its_speed(every: int) -> None:
    """The wrist's peak speeds in space, from the keypoints at their true depth, lose under 5 %."""
    whole = motion("cmu.npz", "cmu_14_02", (0, 1.4, 4))
    rows = slice(0, None, every)
    joints, keypoints = whole.joints[rows], whole.keypoints[rows]
    scene = Scene(whole.times[rows], joints, keypoints, whole.intrinsics, whole.rotation)
    found = clean(exact(scene, score=0.8))
    depth = scene.keypoints[..., 2:]
    homogeneous = np.concatenate([found.keypoints, np.ones_like(depth)], -1)
    space = depth * (homogeneous @ np.linalg.inv(scene.intrinsics).T)
    for wrist in (9, 10):
        true, kept = (
            np.linalg.norm(np.diff(points[:, wrist], axis=0), axis=1) / np.diff(scene.times)
            for points in (scene.keypoints, space)
        )
        peaks = np.argsort(true)[-20:]
        assert true[peaks].min() > 4
        assert kept[peaks].mean() > 0.95 * true[peaks].mean()
        assert (kept[peaks] / true[peaks]).min() > 0.9


def test_uneven_times_and_little_data(scene: Scene) -> None:
    noisy = exact(scene)
    two = replace(noisy, **{name: value[:2] for name, value in vars(noisy).items()})
    assert clean(two).keypoints.shape == (2, 17, 2)
    nothing = replace(
        noisy, keypoints=np.full_like(noisy.keypoints, np.nan), score=np.zeros_like(noisy.score)
    )
    assert np.isnan(clean(nothing).keypoints).all()
    kept = np.sort(np.random.default_rng(0).choice(len(noisy), 150, replace=False))
    uneven = replace(noisy, **{name: value[kept] for name, value in vars(noisy).items()})
    away = np.linalg.norm(clean(uneven).keypoints - scene.pixels[kept], axis=-1)
    assert np.nanmax(away) < 6


def test_what_is_given_is_not_changed(scene: Scene) -> None:
    noisy = detected(scene)
    before = noisy.keypoints.copy()
    clean(noisy)
    np.testing.assert_array_equal(noisy.keypoints, before)
