"""People keep their identity."""

from collections.abc import Callable

import numpy as np
import pytest
from conftest import people

from pose3d.sequence import People, Person
from pose3d.track import Tracker, oks

FPS = 30
Path = Callable[[int], tuple[float, float, float] | None]


def follow(
    *paths: Path, frames: int = 90, noise: float = 2.0, times: np.ndarray | None = None
) -> tuple[Person, ...]:
    """Track people on paths; the detector names them in any order and trembles."""
    chance = np.random.default_rng(1)
    tracker = Tracker()
    for n in range(frames):
        found = people([figure for path in paths if (figure := path(n))])
        shake = chance.normal(0, noise, found.keypoints.shape).astype(np.float32)
        found = People(found.boxes, found.scores, found.keypoints + shake, found.keypoint_scores)
        order = chance.permutation(len(found))
        tracker.update(n, n / FPS if times is None else times[n], found[order])
    return tracker.finish()


def centre(person: Person) -> np.ndarray:
    return person.keypoints.keypoints.mean((1, 2))


def xs(person: Person) -> np.ndarray:
    return person.keypoints.keypoints[..., 0].mean(1)


def test_crossing_people_keep_their_ids() -> None:
    everyone = follow(lambda n: (100 + 6 * n, 300, 300), lambda n: (640 - 6 * n, 330, 250))
    assert [person.id for person in everyone] == [1, 2]
    assert [len(person.keypoints) for person in everyone] == [90, 90]
    n = np.arange(90)
    np.testing.assert_allclose(xs(everyone[0]), 100 + 6 * n, atol=5)
    np.testing.assert_allclose(xs(everyone[1]), 640 - 6 * n, atol=5)


@pytest.mark.parametrize(("seconds", "identities"), [(0.5, 1), (0.9, 1), (1.5, 2)])
def test_a_gap_is_bridged_up_to_a_second(seconds: float, identities: int) -> None:
    gone = range(30, 30 + round(seconds * FPS))
    everyone = follow(lambda n: None if n in gone else (200 + 2 * n, 300, 300), frames=110)
    assert len(everyone) == identities
    if identities == 1:
        sequence = everyone[0].keypoints
        np.testing.assert_array_equal(sequence.frame, np.arange(110))
        lost = np.isin(sequence.frame, gone)
        np.testing.assert_array_equal(sequence.found, ~lost)
        assert np.isnan(sequence.keypoints[lost]).all()
        assert (sequence.score[lost] == 0).all()
        assert not np.isnan(sequence.keypoints[~lost]).any()


def test_somebody_far_away_is_somebody_else() -> None:
    everyone = follow(lambda n: (200, 300, 200) if n < 40 else (1500, 300, 200))
    assert [len(person.keypoints) for person in everyone] == [50, 40]


def test_a_fast_person_is_followed() -> None:
    """Half their own width a frame, after a start from rest."""
    everyone = follow(lambda n: (200 + 30 * max(n - 30, 0), 300, 200))
    assert [len(person.keypoints) for person in everyone] == [90]


def test_flickers_are_dropped_and_the_one_longest_on_screen_is_first() -> None:
    everyone = follow(
        lambda n: (900, 300, 100) if n in (20, 21, 22) else None,
        lambda n: (200, 300, 300) if 30 <= n < 60 else None,
        lambda n: (600, 300, 200),
    )
    assert [len(person.keypoints) for person in everyone] == [90, 30]


def test_a_hesitant_detection_starts_nobody_but_continues_somebody() -> None:
    tracker = Tracker()
    for n in range(60):
        sure = n < 30
        tracker.update(n, n / FPS, people([(200, 300, 300)], score=0.9 if sure else 0.25))
    assert [len(person.keypoints) for person in tracker.finish()] == [60]
    tracker = Tracker()
    for n in range(60):
        tracker.update(n, n / FPS, people([(200, 300, 300)], score=0.25))
    assert tracker.finish() == ()


def test_uneven_times_are_kept() -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.1, 90))
    (person,) = follow(lambda n: (200 + 200 * times[n], 300, 300), times=times)
    np.testing.assert_array_equal(person.keypoints.time, times)


def test_a_short_clip_still_has_people() -> None:
    assert len(follow(lambda n: (200, 300, 300), frames=4)) == 1


def test_oks_is_cocos() -> None:
    """One for equal poses; a shift by COCO's tolerance gives exp(-1/2)."""
    from pose3d.skeleton import COCO_SIGMAS

    found = people([(0, 0, 100)])
    box, points = found.boxes[0], found.keypoints[0]
    area = 0.53 * 40 * 100
    shifted = points.copy()
    shifted[:, 0] += 2 * COCO_SIGMAS * np.sqrt(area)
    alike = oks(points, np.ones(17), box, np.stack([points, shifted]))
    np.testing.assert_allclose(alike, [1, np.exp(-0.5)], rtol=1e-3)
