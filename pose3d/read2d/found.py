"""What a file of another tool holds, and how it becomes a recording."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d import limits
from pose3d.errors import PoseError
from pose3d.read2d.joints import to_coco
from pose3d.sequence import Keypoints2D, People, Person

IDLE = 10.0  # seconds without anybody, after which no track is waited for any more


@dataclass(frozen=True)
class Seen:
    """One person in one frame: `points` (K, 2) pixels and `scores` (K,) of the joints' set.

    `person` is the number that the file gives, `box` x0, y0, x1, y1.
    """

    frame: int
    points: NDArray[np.floating]
    scores: NDArray[np.floating]
    person: int | None = None
    box: tuple[float, ...] | None = None
    score: float | None = None


@dataclass(frozen=True)
class Found:
    """All that a file says.

    Attributes
    ----------
    form
        Name of the format.
    names
        Of the joints.
    seen
        Everyone in every frame.
    frames
        How many there are, if it is known; with those in which nobody is.
    size, fps
        Of the video, if the file says.
    times
        Seconds of frames, if the file says.
    """

    form: str
    names: tuple[str, ...]
    seen: list[Seen]
    frames: int | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    times: dict[int, float] = field(default_factory=dict)


def people_of(found: Found, path: Path, fps: float) -> tuple[tuple[Person, ...], int]:
    """Everyone, the most and largest seen first, and how many frames there are.

    Raises
    ------
    PoseError
        If frames are too many, or there are fewer than two.
    """
    if not found.seen:
        raise PoseError(f"{path} holds no people")
    frames = np.array([each.frame for each in found.seen])
    count = max(found.frames or 0, int(frames.max()) + 1)
    if frames.min() < 0 or count > limits.FRAMES:
        raise PoseError(
            f"{path} holds frames from {frames.min()} to {frames.max()}: these are no frames of "
            "one video in a row"
        )
    if count < 2:
        raise PoseError(f"{path} holds one frame: motion needs two or more")
    points = np.stack([each.points for each in found.seen]).astype(float)
    scores = np.stack([each.scores for each in found.seen]).astype(float)
    place, score = to_coco(points, scores, found.names)
    box = _boxes(place, [each.box for each in found.seen])
    whole = [each.score for each in found.seen]
    certain = np.array(
        [
            np.clip(s, 0, 1) if s is not None else row[row > 0].mean() if row.any() else 0.0
            for s, row in zip(whole, score, strict=True)
        ],
        np.float32,
    )
    some = np.flatnonzero(np.isfinite(box[:, 0]))
    times = _times(found, count, fps, path)
    everyone = People(box, certain, place, score)
    ids = [each.person for each in found.seen]
    # Tools that do not follow people give all of them the same number.
    once = len(set(zip(frames.tolist(), ids, strict=True))) == len(ids)
    if once and None not in ids:
        numbers = np.array(ids)[some]
        if _rows(frames[some], numbers) > limits.rows(len(some)):
            raise PoseError(
                f"{path} holds people who are hardly ever there: their numbers, or those of the "
                "frames, cannot be right"
            )
        return _by_number(everyone[some], frames[some], numbers, times), count
    return _tracked(everyone[some], frames[some], times), count


def _boxes(
    place: NDArray[np.float32], given: list[tuple[float, ...] | None]
) -> NDArray[np.float32]:
    """(N, 4): what the file says, else around the keypoints; NaN where there are none.

    None is empty, as overlaps are shares of them.
    """
    box = np.full((len(place), 4), np.nan, np.float32)
    some = np.isfinite(place[..., 0]).any(1)
    box[some, :2], box[some, 2:] = np.nanmin(place[some], 1), np.nanmax(place[some], 1)
    for n in np.flatnonzero(some):
        own = given[n]
        if own and max(map(abs, own)) < limits.SIDE and own[0] < own[2] and own[1] < own[3]:
            box[n] = own
    box[:, 2:] = np.maximum(box[:, 2:], box[:, :2] + 1)
    return box


def _times(found: Found, count: int, fps: float, path: Path) -> NDArray[np.float64]:
    times = np.arange(count) / fps
    if found.times:
        known = np.array(sorted(found.times))
        values = np.array([found.times[n] for n in known.tolist()])
        if not (np.isfinite(values).all() and (np.diff(values) > 0).all()):
            raise PoseError(f"{path} holds times that do not rise from frame to frame")
        frames = np.arange(count)
        times = np.interp(frames, known, values)
        times += (frames - np.clip(frames, known[0], known[-1])) / fps
        times -= min(times[0], 0)
    if not np.isfinite(times).all() or np.ptp(times) > limits.HOURS * 3600:
        raise PoseError(f"{path} lasts {np.ptp(times) / 3600:.4g} hours: that is no video")
    return times


def _rows(frames: NDArray[Any], ids: NDArray[Any]) -> int:
    """How many rows people have together, from everyone's first frame to the last."""
    names, place = np.unique(ids, return_inverse=True)
    first, last = np.full(len(names), limits.FRAMES), np.zeros(len(names), np.int64)
    np.minimum.at(first, place, frames)
    np.maximum.at(last, place, frames)
    return int((last - first + 1).sum())


def _by_number(
    everyone: People, frames: NDArray[Any], ids: NDArray[Any], times: NDArray[np.float64]
) -> tuple[Person, ...]:
    found = []
    for number in np.unique(ids):
        rows = np.flatnonzero(ids == number)
        rows = rows[np.argsort(frames[rows], kind="stable")]
        height = everyone.boxes[rows, 3] - everyone.boxes[rows, 1]
        found.append((float(height.sum()), rows))
    found.sort(key=lambda item: -item[0])
    people = []
    for n, (_, rows) in enumerate(found, 1):
        frame = np.arange(frames[rows[0]], frames[rows[-1]] + 1)
        box = np.full((len(frame), 4), np.nan, np.float32)
        points = np.full((len(frame), 17, 2), np.nan, np.float32)
        score = np.zeros((len(frame), 17), np.float32)
        at = frames[rows] - frame[0]
        box[at], points[at] = everyone.boxes[rows], everyone.keypoints[rows]
        score[at] = everyone.keypoint_scores[rows]
        people.append(Person(n, Keypoints2D(frame, times[frame], box, points, score)))
    return tuple(people)


def _tracked(
    everyone: People, frames: NDArray[Any], times: NDArray[np.float64]
) -> tuple[Person, ...]:
    """Identities by motion, for files that have none.

    The tracker wants a place for every keypoint, as detectors give it: those that are missing are
    in the middle of the box meanwhile.
    """
    from pose3d.track import Tracker

    middle = (everyone.boxes[:, None, :2] + everyone.boxes[:, None, 2:]) / 2
    whole = np.where(np.isnan(everyone.keypoints), middle, everyone.keypoints)
    everyone = replace(everyone, keypoints=whole)

    order = np.argsort(frames, kind="stable")
    starts = np.searchsorted(frames[order], np.arange(len(times) + 1))
    tracker, seen = Tracker(), -np.inf
    for n, time in enumerate(times.tolist()):
        rows = order[starts[n] : starts[n + 1]][: limits.PEOPLE_A_FRAME]
        if len(rows):
            seen = time
        elif time - seen > IDLE:
            continue
        rows = rows[np.argsort(-everyone.scores[rows], kind="stable")]
        tracker.update(n, time, everyone[rows])
    return tuple(
        replace(person, keypoints=_without_missing(person.keypoints)) for person in tracker.finish()
    )


def _without_missing(seen: Keypoints2D) -> Keypoints2D:
    return replace(seen, keypoints=np.where(seen.score[..., None] > 0, seen.keypoints, np.nan))
