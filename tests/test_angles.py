"""Angles are what they are called, on bodies whose angles are known."""

import numpy as np
import pytest
from imitate import TRUTH, person, walker

from pose3d.angles import angles
from pose3d.sequence import Pose3D
from pose3d.skeleton import H36M

FORWARD, UP, RIGHT = np.eye(3)[2], np.eye(3)[1], -np.eye(3)[0]  # somebody who faces the camera


def turn(axis: np.ndarray, degrees: float) -> np.ndarray:
    """Rotation matrix, right-handed."""
    angle = np.radians(degrees)
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def standing() -> dict[str, np.ndarray]:
    """Arms and legs hang, in the world frame, metres."""
    joint = {"Hip": 0.9 * UP}
    joint["Spine"], joint["Thorax"] = joint["Hip"] + 0.25 * UP, joint["Hip"] + 0.5 * UP
    joint["Neck/Nose"], joint["Head"] = joint["Hip"] + 0.6 * UP, joint["Hip"] + 0.7 * UP
    for letter, side in (("R", RIGHT), ("L", -RIGHT)):
        joint[f"{letter}Hip"] = joint["Hip"] + 0.12 * side
        joint[f"{letter}Shoulder"] = joint["Thorax"] + 0.18 * side
        hang(joint, letter, np.eye(3), np.eye(3), np.eye(3), np.eye(3))
    return joint


def hang(joint, letter, thigh, shank, upper, lower) -> None:  # type: ignore[no-untyped-def]
    """Give a side its limbs, each turned from hanging down."""
    joint[f"{letter}Knee"] = joint[f"{letter}Hip"] - thigh @ (0.42 * UP)
    joint[f"{letter}Ankle"] = joint[f"{letter}Knee"] - shank @ (0.4 * UP)
    joint[f"{letter}Elbow"] = joint[f"{letter}Shoulder"] - upper @ (0.28 * UP)
    joint[f"{letter}Wrist"] = joint[f"{letter}Elbow"] - lower @ (0.25 * UP)


def measured(joint: dict[str, np.ndarray], world: bool = True) -> dict[str, float]:
    points = np.stack([joint[name] for name in H36M.names])[None]
    camera = points * [1, -1, -1]
    pose = Pose3D(camera - camera[:, :1], world=points if world else None)
    return {name: float(value[0]) for name, value in angles(pose).items()}


def test_standing_still_is_zero() -> None:
    found = measured(standing())
    for name, value in found.items():
        if ("rotation" in name and "trunk" not in name) or "plane" in name:
            assert np.isnan(value), name
        else:
            assert value == pytest.approx(0, abs=1e-4), name


@pytest.mark.parametrize(("letter", "side"), [("R", "right"), ("L", "left")])
@pytest.mark.parametrize("flexion", [-30, 20, 80])
@pytest.mark.parametrize("abduction", [0, 25])
@pytest.mark.parametrize("rotation", [-20, 0, 15])
def test_a_leg(letter: str, side: str, flexion: int, abduction: int, rotation: int) -> None:
    """Grood and Suntay's sequence: flexion, abduction, rotation inwards; then the knee."""
    out = 1 if letter == "R" else -1
    thigh = turn(RIGHT, flexion) @ turn(FORWARD, -out * abduction) @ turn(UP, out * rotation)
    joint = standing()
    hang(joint, letter, thigh, thigh @ turn(RIGHT, -50), np.eye(3), np.eye(3))
    found = measured(joint)
    assert found[f"{side}_hip_flexion"] == pytest.approx(flexion, abs=0.01)
    assert found[f"{side}_hip_abduction"] == pytest.approx(abduction, abs=0.01)
    assert found[f"{side}_hip_rotation"] == pytest.approx(rotation, abs=0.01)
    assert found[f"{side}_knee_flexion"] == pytest.approx(50, abs=0.01)
    other = "left" if side == "right" else "right"
    assert found[f"{other}_hip_flexion"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(("letter", "side"), [("R", "right"), ("L", "left")])
@pytest.mark.parametrize("rotation", [-40, 0, 60])
def test_an_arm(letter: str, side: str, rotation: int) -> None:
    out = 1 if letter == "R" else -1

    def arm(raise_: np.ndarray) -> dict[str, float]:
        upper = raise_ @ turn(UP, out * rotation)
        joint = standing()
        hang(joint, letter, np.eye(3), np.eye(3), upper, upper @ turn(RIGHT, 70))
        return {n.removeprefix(f"{side}_"): v for n, v in measured(joint).items()}

    hanging = arm(np.eye(3))
    assert hanging["elbow_flexion"] == pytest.approx(70, abs=0.01)
    assert hanging["shoulder_rotation"] == pytest.approx(rotation, abs=0.01)
    ahead = arm(turn(RIGHT, 60))
    assert ahead["shoulder_flexion"] == pytest.approx(60, abs=0.01)
    assert ahead["shoulder_elevation"] == pytest.approx(60, abs=0.01)
    assert ahead["shoulder_plane"] == pytest.approx(90, abs=0.01)
    assert ahead["shoulder_rotation"] == pytest.approx(rotation, abs=0.01)
    aside = arm(turn(FORWARD, -out * 80))
    assert aside["shoulder_abduction"] == pytest.approx(80, abs=0.01)
    assert aside["shoulder_plane"] == pytest.approx(0, abs=0.01)
    assert aside["shoulder_rotation"] == pytest.approx(rotation, abs=0.01)
    overhead = arm(turn(RIGHT, 178))
    assert overhead["shoulder_flexion"] == pytest.approx(178, abs=0.01)
    assert np.isnan(overhead["shoulder_rotation"])


@pytest.mark.parametrize(
    ("name", "axis", "degrees", "sign"),
    [
        ("trunk_flexion", RIGHT, -30, -1),
        ("trunk_bending", FORWARD, 20, 1),
        ("trunk_rotation", UP, 25, 1),
    ],
)
def test_the_trunk(name: str, axis: np.ndarray, degrees: float, sign: int) -> None:
    """Forward, to the right, to the left are positive."""
    joint = standing()
    spine = joint["Spine"].copy()
    for part in ("Thorax", "Neck/Nose", "Head", "LShoulder", "RShoulder"):
        joint[part] = spine + turn(axis, degrees) @ (joint[part] - spine)
    for letter in "LR":
        joint[f"{letter}Elbow"] = joint[f"{letter}Shoulder"] - 0.28 * UP
        joint[f"{letter}Wrist"] = joint[f"{letter}Elbow"] - 0.25 * UP
    found = measured(joint)
    assert found[name] == pytest.approx(sign * degrees, abs=0.01)
    assert found["neck_flexion"] == pytest.approx(0, abs=0.01)
    if name == "trunk_flexion":
        assert found["trunk_lean"] == pytest.approx(30, abs=0.01)
        assert joint["Head"] @ FORWARD > joint["Hip"] @ FORWARD
    if name == "trunk_bending":
        assert found["trunk_side_lean"] == pytest.approx(20, abs=0.01)
        assert joint["Head"] @ RIGHT > joint["Hip"] @ RIGHT


def test_against_the_vertical() -> None:
    joint = {name: turn(UP, 90) @ place for name, place in standing().items()}
    found = measured(joint)
    assert found["pelvis_heading"] == pytest.approx(90, abs=0.01)
    joint = {name: turn(FORWARD, -10) @ place for name, place in standing().items()}
    assert measured(joint)["pelvis_obliquity"] == pytest.approx(-joint_up(joint), abs=0.01)
    assert "pelvis_tilt" not in measured(joint, world=False)


def joint_up(joint: dict[str, np.ndarray]) -> float:
    across = joint["LHip"] - joint["RHip"]
    return float(np.degrees(np.arcsin(across[1] / np.linalg.norm(across))))


def test_missing_joints_are_nan() -> None:
    with np.load(TRUTH) as truth:
        world = truth["joints_world"].copy()
    world[3:6] = np.nan
    world[10, H36M.index("LWrist")] = np.nan
    found = angles(Pose3D(world, world=world))
    for name, value in found.items():
        assert value.shape == (240,)
        assert np.isnan(value[3:6]).all(), name
    assert np.isnan(found["left_elbow_flexion"][10])
    assert np.isfinite(found["left_knee_flexion"][10])


def test_one_frame_of_reference_is_as_good_as_another() -> None:
    """Limb angles do not depend on the world."""
    with np.load(TRUTH) as truth:
        camera, world = truth["joints_camera"], truth["joints_world"]
    a, b = angles(Pose3D(camera)), angles(Pose3D(camera, world=world))
    for name, value in a.items():
        np.testing.assert_allclose(value, b[name], atol=0.2, err_msg=name)


def test_a_walkers_knees_and_elbows() -> None:
    """Walking as it is known: knees reach about 60 degrees; noise of a lifter costs some."""
    scene = walker()
    true = angles(Pose3D(scene.joints))
    assert 45 < true["left_knee_flexion"].max() < 80
    assert true["left_knee_flexion"].min() < 15
    found = angles(person(scene).pose)
    for name in ("knee_flexion", "elbow_flexion"):
        for side in ("left", "right"):
            error = np.abs(found[f"{side}_{name}"] - true[f"{side}_{name}"]).mean()
            assert error < 10, f"{side}_{name}"
