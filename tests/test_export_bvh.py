"""BVH, read by two libraries that have nothing to do with the writer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from performers import performance, wavering, world_of

from pose3d import export
from pose3d.errors import PoseError
from pose3d.export import rig
from pose3d.export.space import JOINTS

bvhio = pytest.importorskip("bvhio", reason="bvhio is not installed")
pybvh = pytest.importorskip("pybvh", reason="pybvh is not installed")

MILLIMETRE = 1e-3


def by_pybvh(path: Path) -> tuple[NDArray[np.float64], float]:
    """(T, 17, 3) places and seconds a frame; of bones that keep their length."""
    file = pybvh.read_bvh_file(str(path))
    index = [file.node_index[name] for name in JOINTS]
    return np.asarray(file.node_positions())[:, index], file.frame_time


def by_bvhio(path: Path) -> NDArray[np.float64]:
    """(T, 17, 3) places."""
    root = bvhio.readAsHierarchy(str(path))
    nodes = {joint.Name: joint for joint, _, _ in root.layout()}
    first, last = root.getKeyframeRange()
    places = []
    for frame in range(first, last + 1):
        root.loadPose(frame, recursive=True)
        places.append([list(nodes[name].PositionWorld) for name in JOINTS])
    return np.array(places)


def test_bvh_comes_back(tmp_path: Path) -> None:
    recording = performance(60)
    files = export.write(recording, tmp_path / "walk.bvh")
    assert [file.name for file in files] == ["walk.bvh", "walk.2.bvh"]
    for n, file in enumerate(files):
        joints, step = by_pybvh(file)
        assert step == pytest.approx(1001 / 30000, abs=1e-12)
        world, first = world_of(recording, n), recording.people[n].keypoints.frame[0]
        known = np.isfinite(world[:, 0, 0])
        # Frames count from when the first person is there, for everyone.
        np.testing.assert_allclose(joints[first:][known], world[known], atol=MILLIMETRE, rtol=0)
        np.testing.assert_allclose(by_bvhio(file), joints, atol=MILLIMETRE, rtol=0)


def test_a_single_frame(tmp_path: Path) -> None:
    recording = performance(1)
    recording = recording.with_people(recording.people[:1])
    (file,) = export.write(recording, tmp_path / "moment.bvh")
    joints, _ = by_pybvh(file)
    np.testing.assert_allclose(joints, world_of(recording, 0), atol=MILLIMETRE, rtol=0)


def test_whoever_is_missing_keeps_the_last_pose(tmp_path: Path) -> None:
    recording = performance(30)
    _, file = export.write(recording, tmp_path / "walk.bvh")
    joints, _ = by_pybvh(file)
    world = world_of(recording, 1)
    assert len(joints) == 30
    for frame in range(10):  # not there yet
        np.testing.assert_allclose(joints[frame], world[0], atol=MILLIMETRE)
    for frame in range(15, 19):  # lost
        np.testing.assert_allclose(joints[frame], world[4], atol=MILLIMETRE)


def test_bones_that_change_their_length_come_back(tmp_path: Path) -> None:
    recording = wavering(performance(20))
    file, _ = export.write(recording, tmp_path / "walk.bvh")
    assert "CHANNELS 6" in file.read_text().partition("JOINT")[2]
    np.testing.assert_allclose(by_bvhio(file), world_of(recording, 0), atol=MILLIMETRE, rtol=0)


def test_rest_is_a_t(tmp_path: Path) -> None:
    file, _ = export.write(performance(5), tmp_path / "walk.bvh")
    rest = pybvh.read_bvh_file(str(file))
    index = [rest.node_index[name] for name in JOINTS]
    place = dict(zip(JOINTS, np.asarray(rest.rest_pose_positions())[index], strict=True))
    up = place["Head"] - place["Hip"]
    assert up[1] > 0.4
    np.testing.assert_allclose(up[[0, 2]], 0, atol=1e-6)
    for side, sign in (("L", 1), ("R", -1)):
        arm = place[f"{side}Wrist"] - place[f"{side}Shoulder"]
        assert sign * arm[0] > 0.4
        np.testing.assert_allclose(arm[1:], 0, atol=1e-6)
        leg = place[f"{side}Ankle"] - place[f"{side}Hip"]
        assert leg[1] < -0.6
        np.testing.assert_allclose(leg[[0, 2]], 0, atol=1e-6)


@pytest.mark.parametrize(("unit", "size"), [("cm", 100), ("mm", 1000)])
def test_other_units(unit: str, size: float, tmp_path: Path) -> None:
    recording = performance(5)
    file, _ = export.write(recording, tmp_path / "walk.bvh", unit=unit)
    joints, _ = by_pybvh(file)
    np.testing.assert_allclose(joints / size, world_of(recording, 0), atol=MILLIMETRE, rtol=0)


def test_nothing_turns_that_does_not_move() -> None:
    """Of all turns that bring the bones there, a limb's is the one with the least angle."""
    joints = world_of(performance(60), 0)
    turns = rig.solve(joints)
    number = {node.name: n for n, node in enumerate(rig.NODES)}
    for name in ("RHip", "RKnee", "LElbow", "LShoulder", "Neck", "Waist"):
        n = number[name]
        (child,) = rig.CHILDREN[n]
        # No part of the turn is about the bone itself at rest.
        twist = rig.NODES[child].rest @ turns.turns[n, 1:]
        np.testing.assert_allclose(twist, 0, atol=1e-12)
    knee = np.degrees(2 * np.arccos(np.clip(np.abs(turns.turns[number["RKnee"], 0]), 0, 1)))
    thigh, shank = joints[:, 2] - joints[:, 1], joints[:, 3] - joints[:, 2]
    size = np.linalg.norm(thigh, axis=1) * np.linalg.norm(shank, axis=1)
    bent = np.degrees(np.arccos((thigh * shank).sum(1) / size))
    np.testing.assert_allclose(knee, bent, atol=1e-3)


def test_turns_survive_everything_that_points_the_other_way() -> None:
    rest = np.zeros((1, 17, 3))
    plain = {node.joint: node for node in rig.NODES if node.rest.any()}
    for joint, node in sorted(plain.items(), key=lambda item: rig.NODES.index(item[1])):
        rest[:, joint] = rest[:, rig.NODES[node.parent].joint] - 0.3 * node.rest
    for joints in (rest, -rest, rest[..., [2, 0, 1]], rest * 0):
        turns = rig.solve(joints)
        assert np.isfinite(turns.turns).all()
        np.testing.assert_allclose(np.linalg.norm(turns.turns, axis=1), 1, atol=1e-9)


def test_angles_do_not_leap(tmp_path: Path) -> None:
    file, _ = export.write(performance(115), tmp_path / "walk.bvh")
    rows = np.array([row.split() for row in file.read_text().split("\n")[-116:-1]], float)
    assert np.abs(np.diff(rows[:, 3:], axis=0)).max() < 90


def test_somebody_without_any_pose_has_no_file(tmp_path: Path) -> None:
    recording = performance(5)
    lost = recording.people[1]
    assert lost.pose is not None
    nothing = replace(lost.pose, world=np.full((4, 17, 3), np.nan, np.float32))
    recording = recording.with_people((recording.people[0], replace(lost, pose=nothing)))
    assert export.write(recording, tmp_path / "walk.bvh") == (tmp_path / "walk.bvh",)
    alone = recording.with_people(recording.people[1:])
    with pytest.raises(PoseError, match="nobody has a pose"):
        export.write(alone, tmp_path / "nobody.bvh")
    assert not (tmp_path / "nobody.bvh").exists()
