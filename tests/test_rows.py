"""Long sequences are worked on in parts: the same comes out, and memory does not grow."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from imitate import detected, lifted, walker
from numpy.typing import NDArray

from pose3d import body, clean, rows
from pose3d.camera import Camera, choose_camera
from pose3d.lift import lifter, load_lifter
from pose3d.recipe import Recipe
from pose3d.rows import Computed, chunks, windows
from pose3d.sequence import Keypoints2D, Person
from pose3d.world import contact, feet, legs, path

FOCAL = 1120.0  # of the rendered clip
FPS = 30
MARGINS = {
    "pose3d.body.MARGIN": body.MARGIN,
    "pose3d.clean.MARGIN": clean.MARGIN,
    "pose3d.world.contact.MARGIN": contact.MARGIN,
    "pose3d.world.feet.MARGIN": feet.MARGIN,
    "pose3d.world.legs.NEAR": legs.NEAR,
    "pose3d.world.path.MARGIN": path.MARGIN,
}


def test_all_rows_are_a_core_once_and_see_around_them() -> None:
    times = np.arange(5000) / 30
    seen = list(windows(times, 10.0))
    assert [row for window in seen for row in range(5000)[window.core]] == list(range(5000))
    for window in seen:
        around = times[window.around]
        assert around[0] == max(times[window.core.start] - 10, 0)
        assert around[-1] == min(times[window.core.stop - 1] + 10, times[-1])
        assert (times[window.around][window.inner] == times[window.core]).all()
    assert list(chunks(0)) == list(windows(times[:0], 10.0)) == []


def test_a_hole_is_seen_across() -> None:
    """Nothing is measured for a minute: both its ends matter to what is inside."""
    times = np.arange(5000) / 30
    telling = (times < 50) | (times > 110)
    inside = next(w for w in windows(times, 5.0, telling) if times[w.core.start] > 60)
    assert times[inside.around.start] < 46
    assert times[inside.around.stop - 1] > 114


def test_rows_are_worked_out_from_any_start() -> None:
    squares = Computed(lambda some: np.arange(some.start, some.stop) ** 2)
    np.testing.assert_array_equal(squares.part(slice(3, 9))[slice(1, 3)], [16, 25])


@pytest.mark.parametrize("skip", [(), ("clean", "feet")])
def test_the_rendered_walk_in_parts_is_the_same(
    monkeypatch: pytest.MonkeyPatch, skip: tuple[str, ...]
) -> None:
    """Margins are as long as the clip: what is tested is that parts fit together."""
    someone = Person(1, detected(walker()))
    camera = choose_camera((1280, 720), focal_length=FOCAL)
    bent = Camera(camera.matrix, np.array([-0.1, 0.02, 0, 0, 0]), camera.size, "file")
    (whole,), facts = Recipe(load_lifter("temporal", "cpu"), bent, skip=skip).follow((someone,))
    monkeypatch.setattr(rows, "WINDOW", 37)
    monkeypatch.setattr(lifter, "CHUNK", 50)
    (parts,), same = Recipe(load_lifter("temporal", "cpu"), bent, skip=skip).follow((someone,))
    assert whole.pose is not None and parts.pose is not None
    turned, alike = (np.array(found["world"][0]["rotation"]) for found in (facts, same))
    np.testing.assert_allclose(alike, turned, atol=1e-6)
    for name, value in vars(whole.pose).items():
        np.testing.assert_allclose(vars(parts.pose)[name], value, atol=2e-5, err_msg=name)


def walking(minutes: float) -> tuple[Person, Callable[..., NDArray[np.float32]]]:
    """Someone who walks there and back for so long, and what lifts them."""
    scene = walker()
    seen, joints = detected(scene), lifted(scene)
    turn = np.concatenate([np.arange(len(joints)), np.arange(len(joints))[::-1]])
    at = np.resize(turn, round(minutes * 60 * FPS))
    frame = np.arange(len(at))
    known = seen.box[at], seen.keypoints[at], seen.score[at]
    return Person(1, Keypoints2D(frame, frame / FPS, *known)), lambda *_: joints[at]


def test_margins_are_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute solved in parts and at once differ by less than a millimetre."""
    someone, lift = walking(1)
    camera = choose_camera((1280, 720), focal_length=FOCAL)
    (whole,), _ = Recipe(lift, camera).follow((someone,))
    for name, seconds in MARGINS.items():
        monkeypatch.setattr(name, seconds / 2)
    monkeypatch.setattr(rows, "WINDOW", 400)
    (parts,), _ = Recipe(lift, camera).follow((someone,))
    assert whole.pose is not None and parts.pose is not None
    np.testing.assert_allclose(parts.pose.joints, whole.pose.joints, atol=1e-3)
    np.testing.assert_allclose(parts.pose.world, whole.pose.world, atol=1e-3)
    np.testing.assert_array_equal(parts.pose.contact, whole.pose.contact)


def beyond(minutes: float) -> float:
    """Most memory, in bytes, that stage 2 takes beyond one person's keypoints and pose."""
    someone, lift = walking(minutes)
    camera = choose_camera((1280, 720), focal_length=FOCAL)
    tracemalloc.start(1)
    try:
        (moved,), _ = Recipe(lift, camera).follow((someone,))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most - sum(array.nbytes for array in vars(moved.pose).values())


def test_memory_beyond_keypoints_and_poses_is_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one person takes for a while is a fraction of the 640 bytes that a frame of them holds.

    It was 1900 when everything was worked on at once; the others take none at that time.
    """
    monkeypatch.setattr(rows, "WINDOW", 256)  # that is full in both
    for name, seconds in MARGINS.items():
        monkeypatch.setattr(name, seconds / 5)
    beyond(0.1)  # imports
    short, long = beyond(1), beyond(2)
    assert (long - short) / (60 * FPS) < 250
