"""From frame to frame: which of the people found now is which of those known.

Every track predicts where its person is now; the Hungarian method gives each track the detection
that looks most like its prediction, by object keypoint similarity (OKS, COCO's measure) and by the
overlap of boxes widened for people who move fast (Yang et al., "Hard to track objects with
irregular motions and similar appearances", WACV 2023). Sure detections choose first; hesitant ones
only continue who was there a moment ago (Zhang et al., "ByteTrack", ECCV 2022). Tracks wait a
second for people who are hidden; what lasts longer is :mod:`pose3d.track.stitch`'s.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.likeness import covered, oks, overlap, widened
from pose3d.sequence import People, Person
from pose3d.skeleton import COCO
from pose3d.track.appearance import BINS_OF_BOTH, colours
from pose3d.track.stitch import Fragment, people_of

MAX_GAP = 1.0  # seconds that a track waits for its person
MIN_SECONDS = 0.5  # on screen; shorter tracks are taken for mistakes
MIN_SIMILARITY = 0.2
HESITANT = 0.5  # score of a detection below which it starts no track
HESITANT_SIMILARITY = 0.35
SAME = 0.85  # similarity of keypoints from which two detections are one person
SAME_BOX = 0.4  # overlap of their boxes, below which they are not
MEMORY = 0.1  # seconds over which velocity is averaged
LONG_MEMORY = 0.6  # seconds over which it is for somebody hidden
LOOK_EVERY = 0.1  # seconds between looks at what people wear
LOOKS = 0.5  # seconds of looks that are added up
CLEAR = 0.1  # share of a box that others may cover while one looks
FIRST = 32  # rows of a track that there is room for at first
GROWTH = 1.125  # times as much when it is full


class Column:
    """An array (T, ...) that grows row by row, and by no more than it needs."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self._array = np.empty((FIRST, *shape), dtype)
        self._count = 0

    def append(self, row: Any) -> None:
        """Add a row at the end."""
        if self._count == len(self._array):
            more = np.empty((int(GROWTH * self._count), *self._array.shape[1:]), self._array.dtype)
            more[: self._count] = self._array
            self._array = more
        self._array[self._count] = row
        self._count += 1

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> NDArray[Any]:
        """All rows (T, ...), not to be kept while it grows."""
        return self._array[: self._count]

    def __getitem__(self, row: int) -> Any:
        return self.rows[row]


@dataclass(eq=False)
class Track:
    """One person so far: a row for every frame in which they were found."""

    scene: int
    frames: Column = field(default_factory=lambda: Column((), np.int64))
    times: Column = field(default_factory=lambda: Column((), np.float64))
    boxes: Column = field(default_factory=lambda: Column((4,), np.float32))
    keypoints: Column = field(default_factory=lambda: Column((len(COCO), 2), np.float32))
    scores: Column = field(default_factory=lambda: Column((len(COCO),), np.float32))
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))  # pixels/second
    look_times: Column = field(default_factory=lambda: Column((), np.float64))
    # Half precision is finer than what clothes differ by from look to look.
    looks: Column = field(default_factory=lambda: Column((BINS_OF_BOTH,), np.float16))
    looked: float = -np.inf

    def add(self, index: int, time: float, people: People, row: int) -> None:
        """Take a person of a frame as this track's."""
        if len(self.times):
            seconds = max(time - self.times[-1], 1e-3)
            moved = people.keypoints[row] - self.keypoints[-1]
            weights = np.minimum(people.keypoint_scores[row], self.scores[-1]) + 1e-3
            seen = (weights @ moved) / weights.sum() / seconds
            keep = np.exp(-seconds / MEMORY)
            self.velocity = keep * self.velocity + (1 - keep) * seen
        self.frames.append(index)
        self.times.append(time)
        self.boxes.append(people.boxes[row])
        self.keypoints.append(people.keypoints[row])
        self.scores.append(people.keypoint_scores[row])

    def moved(self, time: float) -> NDArray[np.float64]:
        """How far (2,) the person should have come since last seen; at most their height."""
        gap = time - self.times[-1]
        velocity = self.velocity
        if gap > MEMORY:
            # Somebody who is being hidden is measured badly at last: their usual pace counts.
            share = np.exp(-(gap - MEMORY) / MEMORY)
            velocity = share * velocity + (1 - share) * self.pace
        shift = velocity * gap
        limit = max(float(self.boxes[-1][3] - self.boxes[-1][1]), 1.0)
        return shift * min(1.0, limit / max(float(np.hypot(*shift)), 1e-9))

    @property
    def pace(self) -> NDArray[np.float64]:
        """Pixels a second (2,) over the last half second or so."""
        first = np.searchsorted(self.times.rows, self.times[-1] - LONG_MEMORY)
        seconds = self.times[-1] - self.times[first]
        if seconds < MEMORY:
            return self.velocity
        middle = self.keypoints[-1].mean(0) - self.keypoints[int(first)].mean(0)
        return np.asarray(middle.astype(float) / seconds)

    def look(self, time: float, histogram: NDArray[np.float32]) -> None:
        """Remember what the person wears now."""
        if not len(self.looks) or time - self.look_times[-1] > LOOKS:
            self.look_times.append(time)
            self.looks.append(histogram)
        else:
            self.looks[-1][:] += histogram.astype(np.float16)

    def fragment(self) -> Fragment:
        """The track, which ends, as arrays."""
        columns = self.frames, self.times, self.boxes, self.keypoints, self.scores
        looks = self.look_times, self.looks
        return Fragment(self.scene, *(column.rows for column in (*columns, *looks)))


class Tracker:
    """Gives people of consecutive frames their identities.

    Parameters
    ----------
    min_seconds
        How long somebody must be seen to count.

    Examples
    --------
    >>> tracker = Tracker()
    >>> tracker.update(0, 0.0, People.nobody())
    >>> tracker.finish()
    ()
    """

    def __init__(self, min_seconds: float = MIN_SECONDS) -> None:
        self.min_seconds = min_seconds
        self._frames, self._times = Column((), np.int64), Column((), np.float64)
        self._live: list[Track] = []
        self._done: list[Fragment] = []
        self._scene = 0

    def update(
        self,
        index: int,
        time: float,
        people: People,
        image: NDArray[np.uint8] | None = None,
        cut: bool = False,
    ) -> None:
        """Take the people of the next frame.

        Parameters
        ----------
        index, time
            The frame's index in the file and its time in seconds; both must rise.
        people
            Whom the detector found.
        image
            The frame (H, W, 3), RGB: what people wear tells them apart after they were hidden.
        cut
            A new scene begins with this frame: no track goes on.
        """
        self._frames.append(index)
        self._times.append(time)
        if cut:
            self._scene += 1
        lost = [t for t in self._live if cut or time - t.times[-1] > MAX_GAP]
        self._done += [track.fragment() for track in lost]
        self._live = [track for track in self._live if track not in lost]

        people = distinct(people)
        sure = np.flatnonzero(people.scores >= HESITANT)
        hesitant = np.flatnonzero(people.scores < HESITANT)
        pairs = match(self._live, people[sure], time, MIN_SIMILARITY)
        pairs = [(n, int(sure[row])) for n, row in pairs]
        taken = {n for n, _ in pairs}
        free = [n for n in range(len(self._live)) if n not in taken]
        more = match([self._live[n] for n in free], people[hesitant], time, HESITANT_SIMILARITY)
        pairs += [(free[n], int(hesitant[row])) for n, row in more]
        for n, row in pairs:
            self._live[n].add(index, time, people, row)
        for row in set(map(int, sure)) - {row for _, row in pairs}:
            self._live.append(Track(self._scene))
            self._live[-1].add(index, time, people, row)
        if image is not None:
            self._look(index, time, image)

    def finish(self) -> tuple[Person, ...]:
        """Everyone who was there long enough; 1 is who is on screen longest and largest.

        Rows run from a person's first to last frame; those where they were not found hold NaN and
        score 0. The tracker forgets everyone.
        """
        fragments = self._done + [track.fragment() for track in self._live]
        self._done, self._live = [], []
        return people_of(fragments, self._frames.rows, self._times.rows, self.min_seconds)

    def _look(self, index: int, time: float, image: NDArray[np.uint8]) -> None:
        """Look at what those wear who are in plain sight."""
        here = [track for track in self._live if track.frames[-1] == index]
        boxes = np.array([track.boxes[-1] for track in here]).reshape(-1, 4)
        for n, track in enumerate(here):
            if time - track.looked < LOOK_EVERY:
                continue
            if covered(boxes[n], np.delete(boxes, n, 0)) > CLEAR:
                continue
            track.looked = time
            histogram = colours(image, track.keypoints[-1], track.scores[-1])
            if histogram is not None:
                track.look(time, histogram)


def distinct(people: People) -> People:
    """People without those that a detector reports twice; the better one stays."""
    if len(people) < 2:
        return people
    near = overlap(people.boxes[:, None], people.boxes[None])
    if (near > SAME_BOX).sum() == len(people):
        return people  # as in most frames
    order = np.argsort(-people.scores, kind="stable")
    alike = oks(people.keypoints, people.keypoint_scores, people.boxes, people.keypoints)
    kept: list[int] = []
    for row in order:
        if not (alike[kept, row] > SAME).any():
            kept.append(int(row))
    return people[np.sort(kept)]


def match(tracks: list[Track], people: People, time: float, least: float) -> list[tuple[int, int]]:
    """Pairs of track and person that belong together, by the Hungarian method."""
    if not tracks or not len(people):
        return []
    from scipy.optimize import linear_sum_assignment

    alike = similarity(tracks, people, time)
    rows, columns = linear_sum_assignment(np.where(alike < least, 0, alike), maximize=True)
    return [
        (int(track), int(row))
        for track, row in zip(rows, columns, strict=True)
        if alike[track, row] >= least
    ]


def similarity(tracks: list[Track], people: People, time: float) -> NDArray[np.float64]:
    """How much everyone looks like each track's person now (N, P): mean of OKS and box overlap."""
    shift = np.stack([track.moved(time) for track in tracks])
    boxes = np.stack([track.boxes[-1] for track in tracks]) + np.tile(shift, 2)
    keypoints = np.stack([track.keypoints[-1] for track in tracks]) + shift[:, None]
    scores = np.stack([track.scores[-1] for track in tracks])
    gaps = np.array([time - track.times[-1] for track in tracks])
    wider = np.minimum(0.2 + gaps, 1.0)[:, None]
    return 0.5 * oks(keypoints, scores, boxes, people.keypoints) + 0.5 * overlap(
        widened(boxes, wider)[:, None], widened(people.boxes[None], wider[..., None])
    )
