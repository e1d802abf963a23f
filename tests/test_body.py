"""Bodies keep their size over a clip, and poses get no worse for it."""

from pathlib import Path

import numpy as np
import pytest
from imitate import MOTION, TRUTH, detected, lifted, motion, part_of, walker

from pose3d.body import MIRROR_BONES, bone_lengths, scaled, stature, steady
from pose3d.evaluate.lifter import evaluate_lifter
from pose3d.evaluate.poses import pose_errors
from pose3d.evaluate.steadied import Steadied
from pose3d.lift import load_lifter
from pose3d.sequence import Pose3D
from pose3d.skeleton import H36M_PARENTS

AHEAD = np.array([0.0, 0.0, 1.0])


def lengths(joints: np.ndarray) -> np.ndarray:
    return np.linalg.norm(joints[:, 1:] - joints[:, list(H36M_PARENTS[1:])], axis=-1)


def steadied(seed: int = 0, **lifting: float) -> tuple[np.ndarray, np.ndarray]:
    scene = walker()
    joints = lifted(scene, seed, **lifting)
    directions = scene.joints[:, 0] / np.linalg.norm(scene.joints[:, 0], axis=1, keepdims=True)
    return joints, steady(joints, directions, scene.times)


def test_bones_are_constant_and_alike_on_both_sides() -> None:
    before, after = steadied()
    assert np.ptp(lengths(before), axis=0).min() > 5e-3
    found = lengths(after.astype(float))
    assert np.ptp(found, axis=0).max() < 1e-4
    np.testing.assert_allclose(found, found[:, MIRROR_BONES], atol=1e-4)
    np.testing.assert_array_equal(after[:, 0], 0)


@pytest.mark.parametrize("seed", range(4))
def test_poses_get_no_worse(seed: int) -> None:
    truth = walker().joints
    before, after = (pose_errors(joints, truth).pa_mpjpe for joints in steadied(seed))
    assert after < before + 1.2
    assert np.mean([before, after]) > 20


@pytest.mark.skipif(not MOTION.is_dir(), reason="the motion archives are not here")
def test_squats_of_hdm05_get_no_worse() -> None:
    change = []
    for number in (37, 38, 39, 40):
        scene = motion("hdm05.npz", f"HDM_mm_squat1Reps_0{number}_120", (0, 1.4, 4))
        joints = lifted(scene, number)
        after = steady(joints, np.tile(AHEAD, (len(joints), 1)), scene.times)
        before = pose_errors(joints, scene.joints).pa_mpjpe
        change.append(pose_errors(after, scene.joints).pa_mpjpe - before)
    assert np.mean(change) < 1


@pytest.mark.skipif(not MOTION.is_dir(), reason="the motion archives are not here")
def test_what_our_lifter_makes_of_hdm05_gets_no_worse(tmp_path: Path) -> None:
    """`benchmarks/steady.py` measures more of it."""
    lifter = load_lifter("temporal", "cpu")
    archive = part_of("hdm05.npz", 60, tmp_path / "part.npz")
    before, after = (
        evaluate_lifter(model, archive, views=2).all.pa_mpjpe
        for model in (lifter, Steadied(lifter))
    )
    assert before < 80
    assert after < before + 1


def test_a_wavering_scale_is_evened_out() -> None:
    scene = walker()
    joints = scene.joints - scene.joints[:, :1]
    waver = 1 + 0.05 * np.sin(2 * np.pi * scene.times / 4)
    after = steady(joints * waver[:, None, None], np.tile(AHEAD, (240, 1)), scene.times)
    assert pose_errors(after, joints).mpjpe < 12


def test_what_is_missing_stays_missing() -> None:
    scene = walker()
    joints = lifted(scene)
    joints[50:60] = np.nan
    directions = np.full((240, 3), np.nan)
    after = steady(joints, directions, scene.times)
    assert np.isnan(after[50:60]).all()
    assert np.isfinite(np.delete(after, np.s_[50:60], 0)).all()
    nothing = np.full_like(joints, np.nan)
    assert np.isnan(steady(nothing, directions, scene.times)).all()


def test_broken_poses_are_no_error() -> None:
    """All joints in one place, as no lifter should give them."""
    zeros = np.zeros((5, 17, 3), np.float32)
    after = steady(zeros, np.tile(AHEAD, (5, 1)), np.arange(5) / 30)
    assert np.isfinite(after).all()
    pose = Pose3D(zeros)
    assert scaled(pose, 1.8) is pose


def test_stature_is_the_height_without_shoes() -> None:
    with np.load(TRUTH, allow_pickle=False) as truth:
        found = stature(bone_lengths(truth["joints_camera"]))
        assert found == pytest.approx(float(truth["body_height"]), rel=0.02)
    tall = scaled(Pose3D(lifted(walker()), root=np.ones((240, 3), np.float32)), 2.0)
    assert stature(bone_lengths(tall.joints)) == pytest.approx(2.0, rel=1e-3)
    assert tall.root[0, 0] > 1.1


def test_imitations_err_as_lifters_do() -> None:
    """What these tests rest on: 30 to 60 mm, and keypoints off by a few pixels."""
    scene = walker()
    errors = pose_errors(lifted(scene), scene.joints)
    assert 30 < errors.mpjpe < 60
    away = np.linalg.norm(detected(scene).keypoints - scene.pixels, axis=-1)
    assert 1.5 < np.median(away) < 6
