"""People walk on a floor, in metres, on feet that stand still."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from imitate import MOTION, TRUTH, Scene, lifted, motion, person, walker
from numpy.typing import NDArray

from pose3d.body import bone_lengths, scaled, stature, steady
from pose3d.errors import UsageError
from pose3d.sequence import Person, Pose3D
from pose3d.skeleton import COCO, H36M
from pose3d.world import parse_up, root_path, rotation_to_world, to_world
from pose3d.world.contact import Stance
from pose3d.world.feet import planted_path
from pose3d.world.frame import SOLE
from pose3d.world.ground import level_up, posture_up, supports, tilted
from pose3d.world.legs import bent, with_feet_at
from pose3d.world.path import Evidence

UP = np.array([0.0, 1.0, 0.0])
needs_motion = pytest.mark.skipif(not MOTION.is_dir(), reason="the motion archives are not here")


def rays_of(scene: Scene, someone: Person) -> NDArray[np.float64]:
    matrix = scene.intrinsics
    focal = matrix[[0, 1], [0, 1]]
    return (someone.keypoints.keypoints.astype(float) - matrix[:2, 2]) / focal


def prepared(scene: Scene, seed: int = 0, number: int = 1, **lifting: float) -> Person:
    """Someone lifted, scaled to their true height and with steady bones."""
    someone = person(scene, seed, number, **lifting)
    height = stature(bone_lengths(scene.joints))
    pose = scaled(someone.pose, height)
    path, _ = root_path(pose.joints, rays_of(scene, someone), someone.keypoints.score, scene.times)
    directions = path / np.linalg.norm(path, axis=1, keepdims=True)
    steadied = Pose3D(steady(pose.joints, directions, scene.times))
    return replace(someone, pose=scaled(steadied, height))


def placed_by(
    someone: tuple[Person, ...], rays: list[NDArray[np.float64]], **options: Any
) -> tuple[tuple[Person, ...], dict[str, Any]]:
    """People in the world, and its facts."""
    people = list(someone)
    sights = [
        partial(lambda *both: both, each, person.keypoints.score)
        for each, person in zip(rays, people, strict=True)
    ]
    facts = to_world(people, sights, **options)
    return tuple(people), facts


def true_world(scene: Scene) -> NDArray[np.float64]:
    """True joints with y up, in which the camera looks along -z."""
    return scene.joints @ rotation_to_world(scene.rotation @ UP).T


def skating(someone: Person) -> NDArray[np.float64]:
    """Metres a second that ankles slide within stances."""
    ankles, contact = someone.pose.world[:, [6, 3]].astype(float), someone.pose.contact
    both = contact[1:] & contact[:-1]
    seconds = np.diff(someone.keypoints.time)[:, None]
    return (np.linalg.norm(np.diff(ankles, axis=0), axis=-1) / seconds)[both]


@pytest.fixture(scope="module")
def walk() -> tuple[Scene, Person, dict]:
    scene = walker()
    someone = prepared(scene)
    (placed,), facts = placed_by((someone,), [rays_of(scene, someone)], known_heights=(1,))
    return scene, placed, facts


def test_the_hip_is_found_where_all_is_exact() -> None:
    scene = walker()
    joints = scene.joints - scene.joints[:, :1]
    # COCO keypoints that lie in the joints themselves.
    from pose3d.skeleton import SHARED_JOINTS

    points = np.full((len(joints), 17, 3), np.nan)
    for joint, keypoint in SHARED_JOINTS:
        points[:, keypoint] = scene.joints[:, joint]
    rays = points[..., :2] / points[..., 2:]
    scores = np.where(np.isnan(rays[..., 0]), 0, 0.9)
    path, _ = root_path(joints, rays, scores, scene.times)
    away = np.abs(path - scene.joints[:, 0])
    assert away[:, :2].max() < 0.03
    assert np.median(away[:, 2]) < 0.02
    assert away[:, 2].max() < 0.1  # the price of a path that does not tremble in depth


def test_gaps_stay_gaps_and_do_not_disturb(walk: tuple[Scene, Person, dict]) -> None:
    scene, _, _ = walk
    someone = prepared(scene)
    joints = someone.pose.joints.copy()
    joints[100:130] = np.nan
    rays, scores = rays_of(scene, someone), someone.keypoints.score.copy()
    rays[110:120], scores[110:120] = np.nan, 0
    path, _ = root_path(joints, rays, scores, scene.times)
    assert np.isnan(path[100:130]).all()
    assert np.isfinite(np.delete(path, np.s_[100:130], 0)).all()
    (placed,), _ = placed_by((replace(someone, pose=Pose3D(joints)),), [rays])
    assert np.isnan(placed.pose.world[100:130]).all()
    assert not placed.pose.contact[100:130].any()
    assert np.isfinite(np.delete(placed.pose.world, np.s_[100:130], 0)).all()


def test_the_floor_is_level_and_where_the_feet_are(walk: tuple[Scene, Person, dict]) -> None:
    scene, placed, facts = walk
    tilt = np.degrees(np.arccos(np.array(facts["rotation"])[1] @ scene.rotation @ UP))
    assert tilt < 2
    assert len(facts["supports"]) == 1
    assert facts["supports"][0]["height"] == 0
    with np.load(TRUTH) as truth:
        hip = truth["root_world"][:, 1]
    assert abs(np.mean(placed.pose.world[:, 0, 1] - hip)) < 0.02


def test_the_walk_is_as_long_as_it_was(walk: tuple[Scene, Person, dict]) -> None:
    scene, placed, _ = walk
    true = true_world(scene)[:, 0]
    away = (placed.pose.world[:, 0] - (true - true[0]))[:, [0, 2]]
    length = np.linalg.norm(np.diff(true[:, [0, 2]], axis=0), axis=1).sum()
    assert length > 7
    assert np.linalg.norm(away[-1] - away[0]) < 0.04 * length
    assert np.linalg.norm(away, axis=1).max() < 0.08 * length


def test_standing_feet_do_not_skate_or_sink(walk: tuple[Scene, Person, dict]) -> None:
    _, placed, _ = walk
    assert 0.3 < placed.pose.contact.mean() < 0.8
    assert skating(placed).max() < 0.02
    sole = SOLE * stature(bone_lengths(placed.pose.joints))
    assert placed.pose.world[:, [3, 6], 1].min() - sole > -0.01


def test_without_the_lock_feet_skate(walk: tuple[Scene, Person, dict]) -> None:
    scene, _, _ = walk
    someone = prepared(scene)
    before = someone.pose.joints.copy()
    (placed,), _ = placed_by((someone,), [rays_of(scene, someone)], lock_feet=False)
    assert skating(placed).mean() > 0.05
    np.testing.assert_allclose(placed.pose.joints, before, atol=1e-5)


def test_locking_keeps_bones_and_the_frames_agree(walk: tuple[Scene, Person, dict]) -> None:
    _, placed, facts = walk
    pose = placed.pose
    rotation, translation = np.array(facts["rotation"]), np.array(facts["translation"])
    camera = (pose.joints + pose.root[:, None]).astype(float)
    np.testing.assert_allclose(camera @ rotation.T + translation, pose.world, atol=1e-4)
    thigh = np.linalg.norm(pose.world[:, 1] - pose.world[:, 2], axis=1)
    assert np.ptp(thigh) < 1e-3
    np.testing.assert_allclose(pose.world[0, 0, [0, 2]], 0, atol=1e-6)


def test_contacts_are_the_true_ones(walk: tuple[Scene, Person, dict]) -> None:
    _, placed, _ = walk
    with np.load(TRUTH) as truth:
        true = truth["contact"]
    found = placed.pose.contact
    assert (found & true).sum() / found.sum() > 0.9
    assert (found & true).sum() / true.sum() > 0.5


def on_a_roof(height: float) -> Scene:
    """Jumping jacks on a roof, a jump down, a walk on the ground."""
    above = motion("cmu.npz", "cmu_14_06", (0, 1.6, 8))
    below = motion("cmu.npz", "cmu_16_17", (0, 1.6, 8))
    up = above.rotation @ UP
    first, last = 150, 216
    shift = height - 0.5 * 9.81 * np.maximum(np.arange(100) / 50 - 0.2, 0) ** 2
    fall = int(np.argmax(shift < 0))

    def joined(name: str) -> NDArray[np.float64]:
        a, b = getattr(above, name), getattr(below, name)
        b = b + (above.joints[first + fall, :1] - below.joints[0, :1]) * [1, 0, 1]
        high = np.concatenate([np.full(first, height), shift[:fall]])
        return np.concatenate([a[: first + fall] + high[:, None, None] * up, b[:last]])

    joints, keypoints = joined("joints"), joined("keypoints")
    times = np.arange(len(joints)) / 50
    return Scene(times, joints, keypoints, above.intrinsics, above.rotation)


@needs_motion
def test_somebody_on_a_roof_stands_on_a_second_support() -> None:
    scene = on_a_roof(2.5)
    someone = prepared(scene, tilt=0.0)
    (placed,), facts = placed_by((someone,), [rays_of(scene, someone)], known_heights=(1,))
    assert len(facts["supports"]) == 2
    assert facts["supports"][1]["height"] == pytest.approx(2.5, abs=0.3)
    world = placed.pose.world
    assert world[:150, [3, 6], 1].min() > 1.9
    ground = world[-150:, [3, 6], 1]
    assert ground.min() > 0.05
    assert np.median(ground.min(1)) < 0.12


@needs_motion
def test_a_jump_does_not_disappear() -> None:
    scene = motion("cmu.npz", "cmu_16_01", (0, 1.4, 6))
    someone = prepared(scene, tilt=0.0)
    (placed,), _ = placed_by((someone,), [rays_of(scene, someone)], known_heights=(1,))
    true = true_world(scene)[:, 0, 1]
    found = placed.pose.world[:, 0, 1]
    assert np.ptp(true) > 0.3
    assert np.ptp(found) == pytest.approx(np.ptp(true), abs=0.08)
    top = np.argmax(true)
    assert not placed.pose.contact[top].any()


def test_two_people_stand_on_one_floor() -> None:
    """Who is taken for 8 % too tall would stand below it; the shared floor says so."""
    scene = walker()
    one, other = prepared(scene, 0, 1), prepared(scene, 1, 2)
    tall = replace(other, pose=scaled(other.pose, 1.08 * stature(bone_lengths(other.pose.joints))))
    rays = [rays_of(scene, one), rays_of(scene, other)]
    (a, b), facts = placed_by((one, tall), rays, known_heights=(1,))
    assert facts["sizes"]["1"] == 1
    assert facts["sizes"]["2"] == pytest.approx(1 / 1.08, abs=0.045)
    for someone in (a, b):
        ankles = someone.pose.world[:, [6, 3], 1]
        assert np.ptp(ankles[someone.pose.contact]) < 0.01


def test_a_moving_camera_gives_no_contacts() -> None:
    scene = walker()
    someone = prepared(scene)
    (placed,), facts = placed_by((someone,), [rays_of(scene, someone)], still_camera=False)
    assert placed.pose.contact is None
    assert np.isfinite(placed.pose.world).all()
    assert facts["supports"] == []


def test_up_can_be_given() -> None:
    scene = walker()
    someone = prepared(scene)
    up = scene.rotation @ UP
    _, facts = placed_by((someone,), [rays_of(scene, someone)], camera_up=up)
    np.testing.assert_allclose(facts["rotation"], rotation_to_world(up), atol=1e-9)
    _, facts = placed_by((someone,), [rays_of(scene, someone)], camera_up="image")
    np.testing.assert_allclose(facts["rotation"], np.diag([1, -1, -1]), atol=1e-9)
    np.testing.assert_allclose(parse_up("0,-2,0"), [0, -1, 0])
    assert isinstance(parse_up("auto"), str)
    for wrong in ("up", "0,0,0", "1,2", "1,2,nan"):
        with pytest.raises(UsageError, match="X,Y,Z"):
            parse_up(wrong)


def test_an_upside_down_video_has_its_floor_at_the_top() -> None:
    scene = walker()
    over = np.diag([-1.0, -1, 1])
    joints, keypoints, rotation = scene.joints @ over, scene.keypoints @ over, over @ scene.rotation
    turned = Scene(scene.times, joints, keypoints, scene.intrinsics, rotation)
    someone = prepared(turned)
    (placed,), _ = placed_by((someone,), [rays_of(turned, someone)])
    assert (placed.pose.world[:, 10, 1] > 1.3).all()


def test_a_mirrored_video_has_the_same_floor() -> None:
    """Left is then right, and somebody who walks away to the left walks away to the right."""
    scene = walker()
    mirror = np.array([-1.0, 1, 1])
    joints = (scene.joints * mirror)[:, H36M.mirror]
    keypoints = (scene.keypoints * mirror)[:, COCO.mirror]
    rotation = mirror[:, None] * scene.rotation * mirror
    turned = Scene(scene.times, joints, keypoints, scene.intrinsics, rotation)
    someone = prepared(turned)
    (placed,), facts = placed_by((someone,), [rays_of(turned, someone)], known_heights=(1,))
    tilt = np.degrees(np.arccos(np.array(facts["rotation"])[1] @ rotation @ UP))
    assert tilt < 2
    true = true_world(turned)[:, 0]
    away = np.linalg.norm((placed.pose.world[:, 0] - (true - true[0]))[:, [0, 2]], axis=1)
    assert away.max() < 0.08 * 8
    assert skating(placed).max() < 0.02


def standing_legs(frames: int, leap: int) -> NDArray[np.float64]:
    """Straight legs (T, 2, 3, 3) of somebody who stands, and from frame `leap` on a metre ahead."""
    legs = np.zeros((frames, 2, 3, 3))
    legs[:, :, 0, 1], legs[:, :, 1, 1], legs[:, :, 2, 1] = 0.9, 0.5, 0.1
    legs[:, 0, :, 0], legs[:, 1, :, 0] = -0.1, 0.1
    legs[:, :, 1, 2] = 0.02
    legs[leap:, ..., 2] += 1
    return legs


def test_a_stance_ends_where_the_leg_no_longer_reaches() -> None:
    """Every frame still marked has its foot in place, however long it was said to stand."""
    legs = standing_legs(60, leap=40)
    times = np.arange(60) / 30
    place = legs[0, 0, 2]
    stance = Stance(0, 0, slice(10, 45), place, 1.2)
    parts, (kept,) = with_feet_at(legs, times, [stance], place[None], 0.0)
    moved = np.concatenate([part for _, part in parts])
    assert 10 <= kept.rows.start < 15
    assert 30 < kept.rows.stop < 44
    np.testing.assert_allclose(
        moved[kept.rows, 0, 2], np.tile(place, (60, 1))[kept.rows], atol=2e-5
    )
    for a, b in ((0, 1), (1, 2)):
        before, after = (np.linalg.norm(x[:, :, a] - x[:, :, b], axis=-1) for x in (legs, moved))
        np.testing.assert_allclose(after, before, atol=1e-9)


def test_long_paths_are_solved_in_parts_that_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk there and back for minutes, and a foot that stands from one part into the next."""
    scene = walker()
    rows = np.concatenate([np.arange(240), np.arange(240)[::-1]] * 3)
    joints, times = scene.joints[rows], np.arange(len(rows)) / 30
    ankles = joints[:, [6, 3]] - joints[:, :1]
    precise = np.tile(np.eye(3) / 0.1**2, (len(rows), 1, 1))
    chance = np.random.default_rng(0)
    seen = joints[:, 0] + chance.normal(0, 0.1, (len(rows), 3))
    evidence = Evidence(precise, seen / 0.1**2)
    stances = [
        Stance(0, n % 2, slice(n * 30, n * 30 + 25), joints[n * 30, 6 - 3 * (n % 2)], 0.8)
        for n in range(len(rows) // 30)
    ]
    stances[22] = replace(stances[22], rows=slice(660, 760))
    heights = np.array([stance.place[1] for stance in stances])
    calm = np.eye(3) / 10**2
    whole, places = planted_path(evidence, ankles, times, stances, heights, calm)
    monkeypatch.setattr("pose3d.rows.WINDOW", 700)
    parts, parted = planted_path(evidence, ankles, times, stances, heights, calm)
    np.testing.assert_allclose(parts, whole, atol=1e-3)
    np.testing.assert_allclose(parted, places, atol=1e-3)
    assert np.abs(np.diff(parts - whole, axis=0)).max() < 1e-4


def test_nobody_and_the_unlifted_are_passed_on() -> None:
    assert placed_by((), [])[0] == ()
    scene = walker()
    unlifted = replace(prepared(scene), pose=None)
    assert placed_by((unlifted,), [rays_of(scene, unlifted)])[0] == (unlifted,)


def test_a_pose_without_keypoints_has_no_place_but_stays() -> None:
    scene = walker()
    someone = prepared(scene)
    nothing = np.full((240, 17, 2), np.nan)
    keypoints = replace(someone.keypoints, score=np.zeros((240, 17), np.float32))
    before = someone.pose.joints.copy()
    (placed,), _ = placed_by((replace(someone, keypoints=keypoints),), [nothing])
    assert np.isnan(placed.pose.root).all()
    np.testing.assert_allclose(placed.pose.joints, before, atol=1e-6)


def test_one_frame_is_no_error() -> None:
    scene = walker()
    short = Scene(
        scene.times[:1], scene.joints[:1], scene.keypoints[:1], scene.intrinsics, scene.rotation
    )
    someone = Person(1, person(scene).keypoints, Pose3D(lifted(scene)))
    row = slice(0, 1)
    keypoints = replace(
        someone.keypoints,
        **{k: getattr(someone.keypoints, k)[row] for k in vars(someone.keypoints)},
    )
    alone = Person(1, keypoints, Pose3D(someone.pose.joints[row]))
    (placed,), _ = placed_by((alone,), [rays_of(short, alone)])
    assert np.isfinite(placed.pose.world).all()


def test_level_up_finds_a_slope_that_posture_missed() -> None:
    chance = np.random.default_rng(0)
    up = tilted(np.array([0.0, -1, 0]), np.array([5.0, 0.0]))
    places = chance.uniform([-2, 0, 4], [2, 0, 9], (40, 3))
    places -= np.outer((places @ up) + 1.3, up)
    places += chance.normal(0, 0.02, places.shape)
    found = level_up([places], [np.ones(40)], np.array([0.0, -1, 0]), 4.0)
    assert np.degrees(np.arccos(found @ up)) < 1


def test_supports_are_the_piles() -> None:
    chance = np.random.default_rng(0)
    heights = np.concatenate([chance.normal(0, 0.02, 20), chance.normal(1.2, 0.02, 10), [0.6, -2]])
    seconds = np.concatenate([np.full(30, 0.5), [0.1, 0.1]])
    floor, box = supports(heights, seconds)
    assert floor.height == pytest.approx(0, abs=0.02)
    assert box.height == pytest.approx(1.2, abs=0.02)
    assert box.seconds == pytest.approx(5)


def test_posture_without_anyone_is_the_picture() -> None:
    up, error = posture_up([])
    np.testing.assert_array_equal(up, [0, -1, 0])
    assert error > 10


def test_legs_bend_without_stretching() -> None:
    leg = np.array([[[0, 1.0, 0], [0.0, 0.5, 0.02], [0, 0.0, 0]]])
    forward = np.array([[0.0, 0, 0.2]])
    knee, ankle = bent(leg, np.array([[0.1, 0.2, 0.1]]), forward)
    np.testing.assert_allclose(ankle, [[0.1, 0.2, 0.1]], atol=1e-9)
    assert knee[0, 2] > 0.1
    for old, new in (
        (leg[0, 1] - leg[0, 0], knee - leg[:, 0]),
        (leg[0, 2] - leg[0, 1], ankle - knee),
    ):
        assert np.linalg.norm(new) == pytest.approx(np.linalg.norm(old))
    _, far = bent(leg, np.array([[0.0, -1.0, 0]]), forward)
    assert far[0, 1] == pytest.approx(0, abs=0.01)
