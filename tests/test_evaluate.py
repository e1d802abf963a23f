"""The measures, against cases whose answers are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.spatial.transform import Rotation

from pose3d.cli import main
from pose3d.errors import PoseError
from pose3d.evaluate.poses import pose_errors
from pose3d.evaluate.recordings import evaluate_files
from pose3d.sequence import Keypoints2D, Person, Pose3D, Recording

DATA = Path(__file__).resolve().parents[1] / "data"
TRUTH, CROSSING = DATA / "rendered_walk.truth.npz", DATA / "rendered_crossing.truth.npz"


@pytest.fixture
def walk() -> np.ndarray:
    with np.load(TRUTH, allow_pickle=False) as file:
        return file["joints_camera"].astype(float)


def test_a_moved_root_is_no_error(walk: np.ndarray) -> None:
    errors = pose_errors(walk + np.array([1, 2, 3]), walk, np.arange(len(walk)) / 30)
    assert max(errors.mpjpe, errors.pa_mpjpe, errors.n_mpjpe, errors.mpjve) < 1e-6


def test_scale_is_forgiven_by_n_and_pa_alone(walk: np.ndarray) -> None:
    errors = pose_errors(1.1 * walk, walk)
    size = np.linalg.norm(walk - walk[:, :1], axis=-1).mean()
    assert errors.mpjpe == pytest.approx(100 * size)
    assert errors.n_mpjpe < 1e-6 and errors.pa_mpjpe < 1e-6
    assert np.isnan(errors.mpjve)


def test_rotation_is_forgiven_by_pa_alone(walk: np.ndarray) -> None:
    turned = walk @ Rotation.from_euler("y", 90, degrees=True).as_matrix().T
    errors = pose_errors(turned, walk)
    assert errors.mpjpe > 100 and errors.n_mpjpe > 100 and errors.pa_mpjpe < 1e-6


def test_a_mirror_image_is_not_forgiven(walk: np.ndarray) -> None:
    assert pose_errors(walk * [-1, 1, 1], walk).pa_mpjpe > 20


def test_one_joint_off_is_a_seventeenth(walk: np.ndarray) -> None:
    wrong = walk.copy()
    wrong[:, 16] += [0, 0, 0.17]
    errors = pose_errors(wrong, walk)
    assert errors.mpjpe == pytest.approx(10)
    assert errors.per_joint[16] == pytest.approx(170)


def test_velocity_skips_frames_without_a_pose(walk: np.ndarray) -> None:
    time, wrong = np.arange(len(walk)) / 25, walk.copy()
    wrong[:, 1:] += 0.002 * np.arange(len(walk))[:, None, None] * [1, 0, 0]  # 50 mm/s
    wrong[10:20] = np.nan
    errors = pose_errors(wrong, walk, time)
    assert errors.frames == len(walk) - 10
    assert errors.mpjve == pytest.approx(50 * 16 / 17)


def test_files_are_matched_by_person_and_time(recording: Recording, tmp_path: Path) -> None:
    truth, wrong = tmp_path / "truth.npz", tmp_path / "wrong.npz"
    recording.save(truth)
    people = [
        replace(p, pose=replace(p.pose, joints=p.pose.joints + 0.1)) for p in recording.people
    ]
    recording.with_people(tuple(reversed(people))).save(wrong)
    errors = evaluate_files(wrong, truth)
    assert set(errors.people) == {"person 1", "person 2"}
    assert all(e.mpjpe < 0.1 for e in errors.people.values())
    assert errors.people["person 1"].frames > errors.people["person 2"].frames


def test_a_recording_that_was_not_lifted_is_named(recording: Recording, tmp_path: Path) -> None:
    flat = recording.with_people(tuple(replace(p, pose=None) for p in recording.people))
    flat.save(tmp_path / "flat.npz")
    with pytest.raises(PoseError, match="pose3d lift"):
        evaluate_files(tmp_path / "flat.npz", TRUTH)


@pytest.fixture
def crossing(tmp_path: Path) -> Path:
    """The truth of two people as a recording, the first off by 100 mm at the head, numbered 2."""
    with np.load(CROSSING, allow_pickle=False) as truth:
        everyone = []
        for n, joints in enumerate(truth["joints_camera"]):
            seen = Keypoints2D(
                np.arange(len(joints)), truth["time"], truth["box"][n], truth["keypoints_2d"][n],
                np.ones((len(joints), 17), np.float32),
            )  # fmt: skip
            moved = joints.copy()
            moved[:, 10, 0] += 0.1 * (n == 0)
            everyone.append(Person(2 - n, seen, Pose3D(moved - moved[:, :1])))
    Recording({}, tuple(everyone)).save(tmp_path / "crossing.pose3d.npz")
    return tmp_path / "crossing.pose3d.npz"


def test_several_people_have_a_row_each_and_a_mean(crossing: Path) -> None:
    errors = evaluate_files(crossing, CROSSING)
    assert errors.ids == {"person 1": 2, "person 2": 1}
    assert errors.coverage == {"person 1": 1.0, "person 2": 1.0}
    found = [errors.people[who].mpjpe for who in ("person 1", "person 2")]
    assert found == pytest.approx([100 / 17, 0], abs=1e-3)
    assert errors.mean.mpjpe == pytest.approx(50 / 17, abs=1e-3)
    assert errors.mean.per_joint[10] == pytest.approx(50, abs=1e-3)
    assert errors.mean.frames == 2 * errors.people["person 1"].frames
    result = CliRunner().invoke(main, ["evaluate", "poses", str(crossing), str(CROSSING)])
    assert result.exit_code == 0, result.output
    rows = {line[:12].strip(): line[12:].split() for line in result.stdout.splitlines()}
    assert rows["person 1"][1:3] == ["100%", "5.9"]
    assert rows["mean"][1] == "2.9"
    assert "person 1 of the truth is 2 of the recording" in result.stdout


def test_nobody_is_taken_for_two(crossing: Path, tmp_path: Path) -> None:
    recording = Recording.load(crossing)
    first, second = recording.people
    recording.with_people((second,)).save(tmp_path / "one.npz")
    errors = evaluate_files(tmp_path / "one.npz", CROSSING)
    assert errors.ids == {"person 2": 1}
    assert errors.coverage == {"person 1": 0.0, "person 2": 1.0}
    arguments = ["evaluate", "poses", str(tmp_path / "one.npz"), str(CROSSING)]
    assert "person 1 of the truth was not found" in CliRunner().invoke(main, arguments).stdout
    recording.with_people((first, second, replace(first, id=7))).save(tmp_path / "three.npz")
    errors = evaluate_files(tmp_path / "three.npz", CROSSING)
    assert len(errors.ids) == 2 and len(errors.extra) == 1


def test_a_truth_of_odd_shapes_is_named(crossing: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", time=np.arange(3.0), joints_camera=np.zeros((2, 4, 17, 3)))
    result = CliRunner().invoke(main, ["evaluate", "poses", str(crossing), f"{tmp_path}/odd.npz"])
    assert result.exit_code == 1
    assert "odd.npz is no file of joints (joints of shape (2, 4, 17, 3)" in result.stderr
    (tmp_path / "walk.json").write_text('{"meta": {}, "keypoint_names": [], "people": []}')
    result = CliRunner().invoke(main, ["evaluate", "poses", f"{tmp_path}/walk.json", str(CROSSING)])
    assert result.exit_code == 2
    assert "give a recording" in result.stderr
