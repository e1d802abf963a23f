"""Keypoints and a lifter's joints become motion in a world, step by step."""

from dataclasses import replace

import numpy as np
import pytest
from imitate import MOTION, Scene, detected, lifted, motion, walker
from numpy.typing import NDArray

from pose3d import pipeline, provenance
from pose3d.body import parse_height, parse_heights
from pose3d.errors import UsageError
from pose3d.sequence import Keypoints2D, Person, Recording

FOCAL = 1120.0  # of the rendered clip


@pytest.fixture(scope="module")
def scene() -> Scene:
    return walker()


def recorded(scene: Scene, **meta: object) -> Recording:
    facts = {
        "source": {"name": "walk.mp4", "sha256": "0" * 64, "size": [1280, 720], "frames": 240},
        "options": {"people": "all"},
        "weights": {},
        "steps": ["detect", "track"],
        "warnings": ["it rains"],
    }
    return Recording(facts | meta, (Person(1, detected(scene)),))


class Imitation:
    """A lifter that knows what is to be seen."""

    def __init__(self, scene: Scene) -> None:
        self.joints = lifted(scene)
        self.heard: list[NDArray[np.float64]] = []

    def __call__(self, keypoints, scores, times, size, intrinsics):  # type: ignore[no-untyped-def]
        self.heard += [keypoints, intrinsics]
        return self.joints[: len(keypoints)].copy()


def test_all_steps_run_and_are_recorded(scene: Scene) -> None:
    recording = pipeline.lift(
        recorded(scene), lifter=Imitation(scene), focal_length=FOCAL, height="1.755m"
    )
    meta = recording.meta
    everything = ["scenes", "clean", "lift", "steady", "world", "feet"]
    assert meta["steps"] == ["detect", "track", *everything]
    assert meta["options"]["height"] == "1.755m"
    assert meta["camera"]["K"][0][0] == FOCAL
    assert not meta["camera"]["assumed"]
    (world,) = meta["world"]
    assert world["supports"][0]["height"] == 0
    assert meta["warnings"] == ["it rains"]
    (person,) = recording.people
    np.testing.assert_array_equal(person.keypoints.keypoints, detected(scene).keypoints)
    pose = person.pose
    assert pose.root.dtype == pose.world.dtype == np.float32
    assert pose.contact.dtype == bool
    head = pose.world[:, 10, 1]
    assert np.median(head) == pytest.approx(1.6, abs=0.06)


@pytest.mark.parametrize(
    ("skip", "steps"),
    [
        (("clean",), ["scenes", "lift", "steady", "world", "feet"]),
        (("steady", "feet"), ["scenes", "clean", "lift", "world"]),
        (("scenes", "world"), ["clean", "lift", "steady"]),
        (("scenes", "clean", "steady", "world", "feet"), ["lift"]),
    ],
)
def test_steps_can_be_left_out(scene: Scene, skip: tuple[str, ...], steps: list[str]) -> None:
    lifter = Imitation(scene)
    recording = pipeline.lift(recorded(scene), lifter=lifter, skip=skip)
    assert recording.meta["steps"] == ["detect", "track", *steps]
    pose = recording.people[0].pose
    assert (pose.world is None) == ("world" in skip)
    heard = lifter.heard[0]
    assert np.array_equal(heard, detected(scene).keypoints) == ("clean" in skip)
    thigh = np.linalg.norm(pose.joints[:, 1] - pose.joints[:, 2], axis=1)
    assert (np.ptp(thigh) < 1e-3) == ("steady" not in skip)
    if len(skip) == 5:
        np.testing.assert_array_equal(pose.joints, lifter.joints)


def test_bones_are_steady_at_little_cost_in_the_picture(scene: Scene) -> None:
    from pose3d.body import steady
    from pose3d.camera import Camera
    from pose3d.world import root_path

    keypoints, joints = detected(scene), lifted(scene)
    camera = Camera(scene.intrinsics, np.zeros(0), (1280, 720), "file")
    rays = camera.rays(keypoints.keypoints)

    def seen(joints: NDArray[np.floating]) -> tuple[NDArray, NDArray]:
        root, _ = root_path(joints, rays, keypoints.score, scene.times)
        return camera.project(joints + root[:, None]), root

    before, root = seen(joints)
    after, _ = seen(steady(joints, root / np.linalg.norm(root, axis=1)[:, None], scene.times))
    change = np.linalg.norm(after - before, axis=-1) * 1080 / 720
    assert np.median(change) < 2


def test_a_lens_is_straightened_before_lifting(scene: Scene, tmp_path) -> None:  # type: ignore[no-untyped-def]
    import json

    path = tmp_path / "lens.json"
    table = {"K": scene.intrinsics.tolist(), "distortion": [-0.3, 0.1, 0, 0]}
    path.write_text(json.dumps(table))
    lifter = Imitation(scene)
    recording = pipeline.lift(recorded(scene), lifter=lifter, camera=str(path), skip=("clean",))
    as_detected = detected(scene).keypoints
    assert np.nanmax(np.abs(lifter.heard[0] - as_detected)) > 3
    np.testing.assert_array_equal(recording.people[0].keypoints.keypoints, as_detected)
    assert recording.meta["options"]["camera"].startswith("lens.json ")
    before = recording.meta
    path.write_text(json.dumps(table | {"distortion": [-0.2, 0.1, 0, 0]}))
    facts = before | provenance.lifting_facts(before, pipeline.Options(camera=str(path)), lifter)
    assert any("camera" in change for change in provenance.differences(before, facts))


def test_a_moving_camera_is_warned_about(scene: Scene) -> None:
    moving = [{"frame": 0, "motion": 0.2, "still": False}]
    seen = recorded(scene, scenes=moving)
    still = pipeline.lift(seen, lifter=Imitation(scene), skip=("scenes",))
    assert still.meta["world"][0]["still"]
    assert not any("camera" in warning for warning in still.meta["warnings"])
    recording = pipeline.lift(seen, lifter=Imitation(scene))
    assert "camera moves" in recording.meta["warnings"][-1]
    assert recording.people[0].pose.contact is None
    again = pipeline.lift(recording, lifter=Imitation(scene))
    assert again.meta["warnings"] == recording.meta["warnings"]


def cut_at(sequence: Keypoints2D, start: int, stop: int) -> Keypoints2D:
    rows = slice(start, stop)
    return replace(sequence, **{name: value[rows] for name, value in vars(sequence).items()})


def test_each_scene_has_its_world(scene: Scene) -> None:
    scenes = [{"frame": 0, "still": True}, {"frame": 120, "still": True}]
    whole = detected(scene)
    people = (Person(1, cut_at(whole, 0, 120)), Person(2, cut_at(whole, 120, 240)))
    recording = replace(recorded(scene, scenes=scenes), people=people)
    result = pipeline.lift(recording, lifter=Imitation(scene), focal_length=FOCAL)
    assert [world["frame"] for world in result.meta["world"]] == [0, 120]
    assert "cuts between 2 scenes" in result.meta["warnings"][-1]
    for person in result.people:
        np.testing.assert_allclose(person.pose.world[0, 0, [0, 2]], 0, atol=1e-6)


@pytest.mark.skipif(not MOTION.is_dir(), reason="the motion archives are not here")
def test_a_boxers_punches_are_as_fast_in_the_world() -> None:
    """What follows the lifter takes no speed from the wrists either."""
    whole = motion("cmu.npz", "cmu_14_02", (0, 1.4, 4))
    rows = slice(400, 1000)
    joints, keypoints = whole.joints[rows], whole.keypoints[rows]
    scene = Scene(whole.times[:600], joints, keypoints, whole.intrinsics, whole.rotation)
    relative = (joints - joints[:, :1]).astype(np.float32)
    recording = pipeline.lift(recorded(scene), lifter=lambda *_: relative, focal_length=1100)
    world = recording.people[0].pose.world.astype(float)
    for wrist in (13, 16):
        true, found = (
            np.linalg.norm(np.diff(path[:, wrist], axis=0), axis=1) * 50 for path in (joints, world)
        )
        peaks = np.argsort(true)[-20:]
        assert true[peaks].mean() > 4
        assert found[peaks].mean() > 0.95 * true[peaks].mean()


def test_heights_are_read_as_people_write_them() -> None:
    for text in ("1.78m", "178cm", "1.78", "178", "1780 mm", " 1.78 M", "178.0"):
        assert parse_height(text) == 1.78
    assert parse_heights("1=1.78m,2=165cm") == pytest.approx({1: 1.78, 2: 1.65})
    assert parse_heights("1.7m") == {None: 1.7}
    for wrong in ("tall", "", "5m", "0.1", "-1.8m", "nan", "one=1.8m", "1=tall"):
        with pytest.raises(UsageError):
            parse_heights(wrong)


def test_a_height_of_nobody_is_said(scene: Scene) -> None:
    def lifted_with(recording: Recording, height: str) -> Recording:
        return pipeline.lift(recording, lifter=Imitation(scene), skip=("world",), height=height)

    wrong = lifted_with(recorded(scene), "7=1.8m,1=1.7m")
    says = "--height says how tall person 7 is, who is not there: there is only person 1"
    assert wrong.meta["warnings"] == ["it rains", says]
    assert lifted_with(wrong, "1=1.7m").meta["warnings"] == ["it rains"]
    nobody = replace(recorded(scene), people=())
    assert lifted_with(nobody, "1.7m").meta["warnings"] == ["it rains"]
    assert "nobody was found" in lifted_with(nobody, "1=1.7m").meta["warnings"][-1]


def test_a_given_height_sets_the_size(scene: Scene) -> None:
    def depth(height: str) -> float:
        recording = pipeline.lift(
            recorded(scene), lifter=Imitation(scene), focal_length=FOCAL, height=height
        )
        return float(np.median(recording.people[0].pose.root[:, 2]))

    assert depth("2m") / depth("1m") == pytest.approx(2, abs=0.1)
    assert depth("1.755m") == pytest.approx(np.median(scene.joints[:, 0, 2]), rel=0.05)
