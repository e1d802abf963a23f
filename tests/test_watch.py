"""Cuts and moving cameras are seen; moving people and light are neither."""

import time

import cv2
import numpy as np
import pytest

from pose3d.frame import Frame
from pose3d.watch import Watch

NOBODY = np.zeros((0, 4))
NOISE = np.random.default_rng(0).normal(0, 3, (480, 640, 3)).astype(np.int16)


def room(seed: int, size: tuple[int, int] = (700, 900)) -> np.ndarray:
    """A picture full of corners."""
    chance = np.random.default_rng(seed)
    picture = np.full((*size, 3), chance.integers(60, 180, 3), np.uint8)
    for _ in range(80):
        x, y = chance.integers(0, size[1]), chance.integers(0, size[0])
        w, h = chance.integers(20, 160, 2)
        colour = tuple(int(c) for c in chance.integers(0, 255, 3))
        cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
    return picture


def view(picture: np.ndarray, x: float = 100, y: float = 100, person: int | None = None):  # type: ignore[no-untyped-def]
    """A noisy part of it, maybe with a person, and the person's box."""
    shift = np.array([[1, 0, -x], [0, 1, -y]], float)
    frame = cv2.warpAffine(picture, shift, (640, 480))
    boxes = NOBODY
    if person is not None:
        frame[100:460, person : person + 150] = (30, 200, 60)
        boxes = np.array([[person, 100, person + 150, 460.0]])
    roll = int(37 * x + 11 * y + 5 * (person or 0))
    return cv2.add(frame, np.roll(NOISE, roll, 0), dtype=cv2.CV_8U), boxes


def watch(views) -> tuple[Watch, list[int]]:  # type: ignore[no-untyped-def]
    seen, cuts = Watch(), []
    for n, (frame, boxes) in enumerate(views):
        if seen.see(Frame(frame, n, n / 30), boxes):
            cuts.append(n)
    return seen, cuts


def test_a_still_camera_is_still_whoever_walks_by() -> None:
    picture = room(0)
    seen, cuts = watch(view(picture, person=(8 * n) % 600) for n in range(60))
    assert cuts == []
    assert [scene.still for scene in seen.scenes] == [True]


@pytest.mark.parametrize("pace", [0.4, 3.0, 12.0])
def test_a_pan_is_seen_and_is_no_cut(pace: float) -> None:
    picture = room(1, (700, 1500))
    seen, cuts = watch(view(picture, x=20 + pace * n, person=250) for n in range(60))
    assert cuts == []
    assert not seen.scenes[0].still
    assert seen.scenes[0].motion == pytest.approx(pace * 57 / 640, rel=0.2)


def test_trembling_hands_within_a_pixel_are_still() -> None:
    chance = np.random.default_rng(0)
    picture = room(2)
    seen, _ = watch(view(picture, *(100 + chance.normal(0, 0.7, 2))) for _ in range(60))
    assert seen.scenes[0].still


def test_cuts_are_seen_where_they_are() -> None:
    views = [view(room(3 + n // 20), person=100 + n) for n in range(60)]
    seen, cuts = watch(views)
    assert cuts == [20, 40]
    assert [scene.frame for scene in seen.scenes] == [0, 20, 40]
    assert all(scene.still for scene in seen.scenes)


def test_a_flash_and_fading_light_are_no_cuts() -> None:
    picture = room(7)
    views = []
    for n in range(60):
        frame, boxes = view(picture)
        light = 1.6 if n == 30 else 1 - n / 120
        views.append((np.clip(frame * light, 0, 255).astype(np.uint8), boxes))
    seen, cuts = watch(views)
    assert cuts == []
    assert seen.scenes[0].still


def test_blank_and_tiny_frames_are_no_error() -> None:
    seen, cuts = watch((np.zeros((480, 640, 3), np.uint8), NOBODY) for _ in range(10))
    assert cuts == []
    assert seen.scenes[0].still
    watch((np.zeros((8, 6, 3), np.uint8), np.array([[-3.0, -3, 9, 9]])) for _ in range(10))


def test_it_is_cheap() -> None:
    frame = cv2.resize(room(8), (1920, 1080))
    seen = Watch()
    since = time.process_time()
    for n in range(60):
        seen.see(Frame(frame, n, n / 30), NOBODY)
    assert (time.process_time() - since) / 60 < 0.01
