"""Who is who over time: people of single frames become one sequence each.

Every track predicts where its person is now, at constant velocity; the Hungarian method gives each
track the detection that looks most like its prediction, by object keypoint similarity (OKS, COCO's
measure) and by the overlap of boxes widened for people who move fast (Yang et al., "Hard to track
objects with irregular motions and similar appearances", WACV 2023). Tracks wait a second for
people who are hidden.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pose3d.sequence import Keypoints2D, People, Person
from pose3d.skeleton import COCO_SIGMAS

MAX_GAP = 1.0  # seconds that a track waits for its person
MIN_SECONDS = 0.4  # on screen; shorter tracks are taken for mistakes
MIN_SIMILARITY = 0.2
MIN_NEW_SCORE = 0.35  # of a detection that starts a track
MEMORY = 0.1  # seconds over which velocity is averaged


@dataclass(eq=False)
class Track:
    """One person so far: a row for every frame in which they were found."""

    frames: list[int]
    times: list[float]
    boxes: list[NDArray[np.float32]]
    keypoints: list[NDArray[np.float32]]
    scores: list[NDArray[np.float32]]
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))  # pixels/second

    def add(self, index: int, time: float, people: People, row: int) -> None:
        """Take a person of a frame as this track's."""
        if self.times:
            seconds = max(time - self.times[-1], 1e-3)
            moved = people.keypoints[row] - self.keypoints[-1]
            weights = np.minimum(people.keypoint_scores[row], self.scores[-1]) + 1e-3
            seen = np.average(moved, axis=0, weights=weights) / seconds
            keep = np.exp(-seconds / MEMORY)
            self.velocity = keep * self.velocity + (1 - keep) * seen
        self.frames.append(index)
        self.times.append(time)
        self.boxes.append(people.boxes[row])
        self.keypoints.append(people.keypoints[row])
        self.scores.append(people.keypoint_scores[row])

    def moved(self, time: float) -> NDArray[np.float64]:
        """How far (2,) the person should have come since last seen; at most half their height."""
        shift = self.velocity * (time - self.times[-1])
        limit = 0.5 * max(self.boxes[-1][3] - self.boxes[-1][1], 1.0)
        return shift * min(1.0, limit / max(float(np.linalg.norm(shift)), 1e-9))

    @property
    def presence(self) -> float:
        """How long and how large the person is on screen: box heights summed over frames."""
        boxes = np.stack(self.boxes)
        return float((boxes[:, 3] - boxes[:, 1]).sum())


class Tracker:
    """Gives people of consecutive frames their identities.

    Examples
    --------
    >>> tracker = Tracker()
    >>> tracker.update(0, 0.0, People.nobody())
    >>> tracker.finish()
    ()
    """

    def __init__(self) -> None:
        self._frames: list[int] = []
        self._times: list[float] = []
        self._live: list[Track] = []
        self._done: list[Track] = []

    def update(self, index: int, time: float, people: People) -> None:
        """Take the people of the next frame.

        Parameters
        ----------
        index, time
            The frame's index in the file and its time in seconds; both must rise.
        people
            Whom the detector found.
        """
        self._frames.append(index)
        self._times.append(time)
        lost = [track for track in self._live if time - track.times[-1] > MAX_GAP]
        self._done += lost
        self._live = [track for track in self._live if track not in lost]

        pairs = match(self._live, people, time)
        for track, row in pairs:
            self._live[track].add(index, time, people, row)
        for row in set(range(len(people))) - {row for _, row in pairs}:
            if people.scores[row] >= MIN_NEW_SCORE:
                self._live.append(Track([], [], [], [], []))
                self._live[-1].add(index, time, people, row)

    def finish(self) -> tuple[Person, ...]:
        """Everyone who was there long enough; 1 is who is on screen longest and largest.

        Rows run from a person's first to last frame; those where they were not found hold NaN and
        score 0.
        """
        tracks = self._done + self._live
        frames, times = np.array(self._frames, np.int64), np.array(self._times)
        step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        needed = min(round(MIN_SECONDS / step), len(frames) / 2)
        tracks = [track for track in tracks if len(track.frames) >= needed]
        tracks.sort(key=lambda track: -track.presence)
        return tuple(
            Person(n, _sequence(track, frames, times)) for n, track in enumerate(tracks, 1)
        )


def match(tracks: list[Track], people: People, time: float) -> list[tuple[int, int]]:
    """Pairs of track and person that belong together, by the Hungarian method."""
    if not tracks or not len(people):
        return []
    from scipy.optimize import linear_sum_assignment

    alike = np.stack([similarity(track, people, time) for track in tracks])
    rows, columns = linear_sum_assignment(np.where(alike < MIN_SIMILARITY, 0, alike), maximize=True)
    return [
        (int(track), int(row))
        for track, row in zip(rows, columns, strict=True)
        if alike[track, row] >= MIN_SIMILARITY
    ]


def similarity(track: Track, people: People, time: float) -> NDArray[np.float64]:
    """How much everyone (P,) looks like the track's person now: mean of OKS and box overlap."""
    shift = track.moved(time)
    box = track.boxes[-1] + np.tile(shift, 2)
    wider = 0.2 + (time - track.times[-1])
    return 0.5 * oks(
        track.keypoints[-1] + shift, track.scores[-1], box, people.keypoints
    ) + 0.5 * overlap(widened(box[None], wider), widened(people.boxes, wider))


def oks(
    keypoints: NDArray[np.floating],
    scores: NDArray[np.floating],
    box: NDArray[np.floating],
    others: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Object keypoint similarity (P,) of keypoints (17, 2) and others' (P, 17, 2).

    As in the COCO keypoint evaluation, each keypoint weighted by its score; a person's area is
    taken as 0.53 of the box, the mean in COCO.
    """
    area = 0.53 * max(float((box[2] - box[0]) * (box[3] - box[1])), 1.0)
    squared = ((others - keypoints) ** 2).sum(-1)
    alike = np.exp(-squared / (2 * area * (2 * COCO_SIGMAS) ** 2))
    return np.average(alike, axis=1, weights=scores + 1e-6)


def widened(boxes: NDArray[np.floating], share: float) -> NDArray[np.floating]:
    """Boxes (P, 4) grown by a share of their size on every side."""
    margin = share * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], 1)


def overlap(box: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union (P,) of one box (1, 4) and others (P, 4)."""
    shared = np.minimum(box[:, 2:], others[:, 2:]) - np.maximum(box[:, :2], others[:, :2])
    intersection = shared.clip(0).prod(1)
    union = (box[:, 2:] - box[:, :2]).prod(1) + (others[:, 2:] - others[:, :2]).prod(1)
    return intersection / np.maximum(union - intersection, 1e-9)


def _sequence(track: Track, frames: NDArray[np.int64], times: NDArray[np.float64]) -> Keypoints2D:
    """A track's rows from its first frame to its last, gaps filled with NaN and score 0."""
    first, last = np.searchsorted(frames, [track.frames[0], track.frames[-1]])
    frames, times = frames[first : last + 1], times[first : last + 1]
    rows = np.searchsorted(frames, track.frames)
    box = np.full((len(frames), 4), np.nan, np.float32)
    keypoints = np.full((len(frames), 17, 2), np.nan, np.float32)
    score = np.zeros((len(frames), 17), np.float32)
    box[rows], keypoints[rows], score[rows] = track.boxes, track.keypoints, track.scores
    return Keypoints2D(frames, times, box, keypoints, score)
