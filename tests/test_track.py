"""People keep their identity."""

from collections.abc import Callable

import numpy as np
import pytest
from conftest import people
from imitate import MOTION, motion

from pose3d.frame import Frame
from pose3d.sequence import People, Person
from pose3d.track import Tracker, oks
from pose3d.track.appearance import colours, difference
from pose3d.track.growing import BLOCK, Growing

FPS = 30
RED, BLUE, GREEN = (200, 30, 30), (30, 40, 180), (30, 150, 40)
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


@pytest.mark.parametrize(("seconds", "identities"), [(0.5, 1), (0.9, 1), (2.5, 1), (3.5, 2)])
def test_a_gap_is_bridged_up_to_three_seconds(seconds: float, identities: int) -> None:
    gone = range(30, 30 + round(seconds * FPS))
    everyone = follow(lambda n: None if n in gone else (200 + 2 * n, 300, 300), frames=190)
    assert len(everyone) == identities
    if identities == 1:
        sequence = everyone[0].keypoints
        np.testing.assert_array_equal(sequence.frame, np.arange(190))
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


def test_a_long_track_is_kept_whole() -> None:
    """Rows are packed on the way; those of a gap between them are still missing."""
    gone = range(700, 715)
    (person,) = follow(
        lambda n: None if n in gone else (200 + n / 4, 300, 300), frames=1300, noise=0
    )
    assert len(person.keypoints) == 1300
    lost = np.isin(np.arange(1300), gone)
    np.testing.assert_array_equal(person.keypoints.found, ~lost)
    np.testing.assert_allclose(xs(person)[~lost], 200 + np.flatnonzero(~lost) / 4, atol=1e-2)


@pytest.mark.parametrize("turn", [(1, -1), (-1, 1)], ids=["upside down", "mirrored"])
def test_turned_pictures_are_followed_alike(turn: tuple[int, int]) -> None:
    """Two who cross, in a video that stands on its head or in a mirror."""
    tracker = Tracker()
    for n in range(90):
        found = people([(100 + 6 * n, 300, 300), (640 - 6 * n, 330, 250)])
        points = (found.keypoints - [400, 300]) * turn + [400, 300]
        boxes = np.concatenate([points.min(1), points.max(1)], 1)
        shown = People(*(a.astype(np.float32) for a in (boxes, found.scores, points)),
                       found.keypoint_scores)  # fmt: skip
        tracker.update(n, n / FPS, shown)
    everyone = tracker.finish()
    assert [len(person.keypoints) for person in everyone] == [90, 90]
    paces = sorted(float(np.median(np.diff(xs(person)))) for person in everyone)
    np.testing.assert_allclose(paces, [-6, 6], atol=0.1)


def test_a_short_clip_still_has_people() -> None:
    assert len(follow(lambda n: (200, 300, 300), frames=4)) == 1


def drawn(figures: list[tuple[float, float, float]], clothes: list[tuple]) -> np.ndarray:
    """A grey room with people whose trunk and thighs have a colour; the last one is in front."""
    image = np.full((480, 800, 3), 120, np.uint8)
    for (x, y, height), colour in zip(figures, clothes, strict=True):
        top, left, right = y - 0.35 * height, x - 0.12 * height, x + 0.12 * height
        image[max(int(top), 0) : int(y + 0.25 * height), max(int(left), 0) : int(right)] = colour
    return image


def watch(
    *paths: Path,
    clothes: list[tuple],
    frames: int,
    images: bool = True,
    cuts: tuple[int, ...] = (),
    min_seconds: float = 0.5,
) -> tuple[Person, ...]:
    """Track people whose front ones hide those behind; the last path is in front."""
    chance = np.random.default_rng(2)
    tracker = Tracker(min_seconds)
    for n in range(frames):
        at = [(path(n), colour) for path, colour in zip(paths, clothes, strict=True)]
        here = [(figure, colour) for figure, colour in at if figure]
        image = drawn([f for f, _ in here], [c for _, c in here])
        found = people([figure for figure, _ in here])
        shake = chance.normal(0, 2, found.keypoints.shape).astype(np.float32)
        keypoints, scores = found.keypoints + shake, found.scores.copy()
        hidden = np.zeros(len(found), bool)
        for behind in range(len(found)):
            for front in range(behind + 1, len(found)):
                apart = abs(here[behind][0][0] - here[front][0][0]) / (0.4 * here[front][0][2])
                if apart < 0.45:
                    hidden[behind] = True
                elif apart < 0.8:  # half hidden: some joints are taken from who is in front
                    keypoints[behind, ::3] = keypoints[front, ::3]
                    scores[behind] = 0.3
        found = People(found.boxes, scores, keypoints, found.keypoint_scores)[~hidden]
        shown = Frame(image, n, n / FPS) if images else None
        tracker.update(n, n / FPS, found[chance.permutation(len(found))], shown, n in cuts)
    return tracker.finish()


def idf1(everyone: tuple[Person, ...], paths: tuple[Path, ...], frames: int) -> float:
    """Share of detections with the right identity (Ristani et al., 2016), within 20 pixels."""
    from scipy.optimize import linear_sum_assignment

    right = np.zeros((len(paths), len(everyone)))
    total = sum(path(n) is not None for path in paths for n in range(frames))
    found = sum(int(person.keypoints.found.sum()) for person in everyone)
    for b, person in enumerate(everyone):
        for frame, x in zip(person.keypoints.frame, xs(person), strict=True):
            for a, path in enumerate(paths):
                figure = path(int(frame))
                right[a, b] += figure is not None and abs(x - figure[0]) < 20
    rows, columns = linear_sum_assignment(-right)
    return 2 * right[rows, columns].sum() / (total + found)


def swing(phase: float, height: float) -> Path:
    return lambda n: (400 + 250 * np.cos(np.pi * n / 90 + phase), 240 + 0.2 * height, height)


@pytest.mark.parametrize("images", [False, True])
def test_three_crossings_with_one_hidden_each_time(images: bool) -> None:
    """Two who pass in front of each other; the one behind is not found for half a second."""
    paths = (swing(0, 220), swing(np.pi, 260))
    everyone = watch(*paths, clothes=[RED, BLUE], frames=270, images=images)
    assert len(everyone) == 2
    assert idf1(everyone, paths, 270) > 0.95


def crossing(clip: str, way: int, distance: float) -> np.ndarray:
    """Keypoints (T, 17, 2) of somebody of the motion archives who walks to and fro three times."""
    scene = motion("cmu.npz", clip, (0.0, 1.4, 0.0), pitch=4)
    points = (scene.keypoints @ scene.rotation)[::2]
    middle = points[:, [5, 6, 11, 12]].mean(1)
    forward = np.arctan2(*(middle[-1] - middle[0])[[0, 2]])
    angle = way * np.pi / 2 - forward
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    points = (points - middle.mean(0) * [1, 0, 1]) @ turn.T - [0, 0, distance]
    seen = np.concatenate([points, points[::-1], points]) @ scene.rotation.T
    return (seen @ scene.intrinsics.T)[..., :2] / seen[..., 2:]


@pytest.mark.skipif(not MOTION.is_dir(), reason="the motion archives are not here")
@pytest.mark.parametrize("seed", range(5))
def test_two_walkers_of_the_archives_cross_three_times(seed: int) -> None:
    """The one in front hides joints of the other, and for half of a crossing all of them."""
    chance = np.random.default_rng(seed)
    front, behind = crossing("cmu_02_01", 1, 4.5), crossing("cmu_07_04", -1, 5.7)
    frames = min(len(front), len(behind))
    tracker, truth, hidden = Tracker(), [], 0
    for n in range(frames):
        points = np.stack([front[n], behind[n]])
        low, high = points.min(1), points.max(1)
        boxes = np.concatenate([low - 0.08 * (high - low), high + 0.08 * (high - low)], 1)
        scores = np.full((2, 17), 0.9)
        trunk = np.linalg.norm(points[1][:, None] - points[0][None, 5:13], axis=-1).min(1)
        lost = trunk < 0.12 * (high[0] - low[0])[1]
        # A detector that cannot see a joint takes it from whoever is there.
        points[1][lost] = 0.4 * points[1][lost] + 0.6 * points[0][lost]
        scores[1][lost] = 0.2
        points += chance.normal(0, 3, points.shape)
        kept = chance.random(2) > 0.03
        kept[1] &= lost.mean() < 0.6
        hidden += lost.mean() >= 0.6
        found = People(
            boxes.astype(np.float32),
            np.array([0.95, 0.9 - 0.6 * lost.mean()], np.float32),
            points.astype(np.float32),
            scores.astype(np.float32),
        )
        order = chance.permutation(np.flatnonzero(kept))
        tracker.update(n, n / 25, found[order])
        truth.append(boxes[:, [0, 2]].mean(1))
    everyone = tracker.finish()
    assert hidden > 10
    assert len(everyone) == 2
    right = np.zeros((2, 2))
    for b, person in enumerate(everyone):
        box = person.keypoints.box
        for frame, x in zip(person.keypoints.frame, box[:, [0, 2]].mean(1), strict=True):
            right[:, b] += np.abs(truth[frame] - x) < 1
    found_rows = sum(int(person.keypoints.found.sum()) for person in everyone)
    both = max(right.trace(), np.fliplr(right).trace())
    assert 2 * both / (2 * frames - hidden + found_rows) > 0.95


def test_clothes_tell_who_turned_round_behind_somebody() -> None:
    """Both turn back where they meet: by motion alone it looks as if they had passed."""

    def bounce(side: int) -> Path:
        return lambda n: (400 + side * (8 + abs(250 * np.cos(np.pi * n / 90))), 290, 250)

    paths = (bounce(-1), bounce(1))
    everyone = watch(*paths, clothes=[GREEN, RED], frames=180)
    assert len(everyone) == 2
    assert idf1(everyone, paths, 180) > 0.95


def test_who_leaves_and_returns_is_known_by_the_clothes() -> None:
    def path(n: int) -> tuple[float, float, float] | None:
        return (
            (300.0 + n, 250, 200) if n < 60 else (600.0 - (n - 300), 250, 200) if n > 300 else None
        )

    assert len(watch(path, clothes=[RED], frames=400)) == 1
    assert len(watch(path, clothes=[RED], frames=400, images=False)) == 2


def test_somebody_else_who_comes_is_somebody_else() -> None:
    first: Path = lambda n: (300 + n, 250, 200) if n < 60 else None  # noqa: E731
    second: Path = lambda n: (400 + n, 250, 200) if n > 90 else None  # noqa: E731
    assert len(watch(first, second, clothes=[RED, BLUE], frames=200)) == 2


def test_a_cut_ends_everyone() -> None:
    path: Path = lambda n: (300, 250, 200)  # noqa: E731
    everyone = watch(path, clothes=[RED], frames=120, cuts=(60,))
    assert [len(person.keypoints) for person in everyone] == [60, 60]


def test_people_of_one_frame_count_only_if_asked_for() -> None:
    path: Path = lambda n: (300, 250, 200) if n == 30 else None  # noqa: E731
    assert watch(path, clothes=[RED], frames=60) == ()
    assert len(watch(path, clothes=[RED], frames=60, min_seconds=0)) == 1


def test_a_person_reported_twice_is_one() -> None:
    twice = lambda n: (300, 250, 200)  # noqa: E731
    close = lambda n: (302, 251, 201)  # noqa: E731
    assert len(follow(twice, close, noise=0.5)) == 1


def test_a_double_that_trembles_apart_is_dropped_in_the_end() -> None:
    one = lambda n: (300 + n, 250, 200)  # noqa: E731
    double = lambda n: (310 + n, 254, 204)  # noqa: E731
    everyone = follow(one, double, noise=3)
    assert len(everyone) == 1


def test_clothes_differ() -> None:
    figure = [(300, 240, 200)]
    found = people(figure)
    worn = [
        colours(Frame(drawn(figure, [c]), 0, 0.0), found.keypoints[0], found.keypoint_scores[0])
        for c in (RED, RED, BLUE)
    ]
    assert difference(worn[0], worn[1]) < 0.1
    assert difference(worn[0], worn[2]) > 0.6
    assert colours(Frame(drawn(figure, [RED]), 0, 0.0), found.keypoints[0], np.zeros(17)) is None
    assert (
        colours(Frame(np.zeros((10, 10, 3), np.uint8), 0, 0.0), found.keypoints[0], np.ones(17))
        is None
    )


def test_eight_people_for_long_are_followed_in_time() -> None:
    """Ten minutes of eight people may take a minute with all that follows; this is a 30th."""
    import time

    paths = [lambda n, k=k: (100 + 90 * k + 20 * np.sin(n / 20), 240, 180 + k) for k in range(8)]
    tracker = Tracker()
    frames = [people([path(n) for path in paths]) for n in range(600)]
    since = time.process_time()
    for n, found in enumerate(frames):
        tracker.update(n, n / FPS, found)
    everyone = tracker.finish()
    assert len(everyone) == 8
    assert time.process_time() - since < 2


def test_rows_grow_over_many_blocks() -> None:
    kind = np.dtype([("n", np.int32), ("place", np.float32, (32, 2))])
    count = 3 * (BLOCK // kind.itemsize) + 5
    rows = Growing(kind)
    for n in range(count):
        rows.append((n, np.full((32, 2), n / 2)))
    assert len(rows) == count
    assert [int(rows[n]["n"]) for n in (0, count // 2, -1)] == [0, count // 2, count - 1]
    rows[-1]["place"] += 1
    for start in (0, 7, count // 2, count - 1):
        numbers, places = rows.fields(start)
        np.testing.assert_array_equal(numbers, np.arange(start, count))
        assert places.shape == (count - start, 32, 2)
    numbers, places = rows.taken()
    np.testing.assert_array_equal(places[:-1, 0, 0], np.arange(count - 1) / 2)
    assert places[-1, 3, 1] == (count - 1) / 2 + 1
    assert len(rows) == 0
    with pytest.raises(IndexError):
        rows[0]


def test_oks_is_cocos() -> None:
    """One for equal poses; a shift by COCO's tolerance gives exp(-1/2)."""
    from pose3d.skeleton import COCO_SIGMAS

    found = people([(0, 0, 100)])
    box, points = found.boxes[0], found.keypoints[0]
    area = 0.53 * 40 * 100
    shifted = points.copy()
    shifted[:, 0] += 2 * COCO_SIGMAS * np.sqrt(area)
    alike = oks(points[None], np.ones((1, 17)), box[None], np.stack([points, shifted]))
    np.testing.assert_allclose(alike, [[1, np.exp(-0.5)]], rtol=1e-3)
