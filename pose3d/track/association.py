"""From frame to frame: which of the people found now is which of those known.

Every track predicts where its person is now; the Hungarian method gives each track the detection
that looks most like its prediction, by object keypoint similarity (OKS, COCO's measure) and by the
overlap of boxes widened for people who move fast (Yang et al., "Hard to track objects with
irregular motions and similar appearances", WACV 2023). Sure detections choose first; hesitant ones
only continue who was there a moment ago (Zhang et al., "ByteTrack", ECCV 2022). Tracks wait a
second for people who are hidden; what lasts longer is :mod:`pose3d.track.stitch`'s.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from math import exp, hypot
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.frame import Frame
from pose3d.likeness import covered, oks, overlap, widened
from pose3d.sequence import People, Person
from pose3d.skeleton import COCO
from pose3d.track.appearance import BINS_OF_BOTH, colours
from pose3d.track.growing import Growing
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


SEEN = np.dtype(
    [
        ("moment", np.int32),
        ("box", np.float32, 4),
        ("keypoints", np.float32, (len(COCO), 2)),
        ("score", np.float32, len(COCO)),
    ]
)
# Half precision is finer than what clothes differ by from look to look.
LOOK = np.dtype([("time", np.float64), ("colours", np.float16, BINS_OF_BOTH)])
MOMENT = np.dtype([("frame", np.int64), ("time", np.float64)])


@dataclass(eq=False)
class Track:
    """One person so far: a row for every frame in which they were found, and how they were last.

    Plain numbers where there are one or two: arrays of two cost a hundred times as much.
    """

    scene: int
    moments: Growing  # everybody's
    rows: Growing = field(default_factory=lambda: Growing(SEEN))
    frame: int = -1
    time: float = -np.inf
    box: NDArray[np.float32] = field(default_factory=lambda: np.zeros(4, np.float32))
    keypoints: NDArray[np.float32] = field(default_factory=lambda: np.zeros((17, 2), np.float32))
    score: NDArray[np.float32] = field(default_factory=lambda: np.zeros(17, np.float32))
    velocity: tuple[float, float] = (0.0, 0.0)  # pixels/second
    looks: Growing = field(default_factory=lambda: Growing(LOOK))
    looked: float = -np.inf

    def add(self, index: int, time: float, people: People, row: int) -> None:
        """Take a person of a frame as this track's."""
        keypoints, score = people.keypoints[row], people.keypoint_scores[row]
        if len(self.rows):
            seconds = max(time - self.time, 1e-3)
            weights = np.minimum(score, self.score) + 1e-3
            x, y = (weights @ (keypoints - self.keypoints) / weights.sum()).tolist()
            keep = exp(-seconds / MEMORY)
            vx, vy = self.velocity
            new = (1 - keep) / seconds
            self.velocity = keep * vx + new * x, keep * vy + new * y
        self.frame, self.time = index, time
        self.box, self.keypoints, self.score = people.boxes[row], keypoints, score
        self.rows.append((len(self.moments) - 1, self.box, keypoints, score))

    def moved(self, time: float) -> tuple[float, float]:
        """How far the person should have come since last seen; at most their height."""
        gap = time - self.time
        x, y = self.velocity
        if gap > MEMORY:
            # Somebody who is being hidden is measured badly at last: their usual pace counts.
            share = exp(-(gap - MEMORY) / MEMORY)
            usual = self.pace
            x, y = (share * v + (1 - share) * u for v, u in zip((x, y), usual, strict=True))
        limit = max(float(self.box[3] - self.box[1]), 1.0)
        shorter = min(1.0, limit / max(hypot(x, y) * gap, 1e-9))
        return x * gap * shorter, y * gap * shorter

    @property
    def pace(self) -> tuple[float, float]:
        """Pixels a second over the last half second or so."""
        first = self.rows[bisect_left(self.rows, self.time - LONG_MEMORY, key=self._time)]
        seconds = self.time - self._time(first)
        if seconds < MEMORY:
            return self.velocity
        x, y = (self.keypoints.mean(0) - first["keypoints"].mean(0)).tolist()
        return x / seconds, y / seconds

    def _time(self, row: Any) -> float:
        """Seconds at which a row was seen."""
        return float(self.moments[row["moment"]]["time"])

    def look(self, time: float, histogram: NDArray[np.float32]) -> None:
        """Remember what the person wears now."""
        if not len(self.looks) or time - self.looks[-1]["time"] > LOOKS:
            self.looks.append((time, histogram))
        else:
            self.looks[-1]["colours"] += histogram.astype(np.float16)

    def fragment(
        self, frames: NDArray[np.int64], times: NDArray[np.float64], start: int = 0
    ) -> Fragment:
        """The track, which ends, as arrays; `frames` and `times` are of moments from `start` on."""
        moments, *seen = self.rows.taken()
        first, stop = int(moments[0]) - start, int(moments[-1]) + 1 - start
        chosen = slice(first, stop) if stop - first == len(moments) else moments - start
        return Fragment(self.scene, frames[chosen], times[chosen], *seen, *self.looks.taken())


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
        self._moments = Growing(MOMENT)
        self._live: list[Track] = []
        self._done: list[Fragment] = []
        self._scene = 0

    def update(
        self,
        index: int,
        time: float,
        people: People,
        picture: Frame | None = None,
        cut: bool = False,
    ) -> None:
        """Take the people of the next frame.

        Parameters
        ----------
        index, time
            The frame's index in the file and its time in seconds; both must rise.
        people
            Whom the detector found.
        picture
            The frame: what people wear tells them apart after they were hidden.
        cut
            A new scene begins with this frame: no track goes on.
        """
        self._moments.append((index, time))
        if cut:
            self._scene += 1
        lost = [track for track in self._live if cut or time - track.time > MAX_GAP]
        if lost:
            for track in lost:
                start = int(track.rows[0]["moment"])
                frames, times = self._moments.fields(start)
                self._done.append(track.fragment(frames, times, start))
            self._live = [track for track in self._live if track not in lost]

        people = distinct(people)
        scores = people.scores.tolist()
        sure = [row for row, score in enumerate(scores) if score >= HESITANT]
        hesitant = [row for row, score in enumerate(scores) if score < HESITANT]
        pairs = match(self._live, people, sure, time, MIN_SIMILARITY)
        if hesitant:
            taken = {track for track, _ in pairs}
            free = [track for track in self._live if track not in taken]
            pairs += match(free, people, hesitant, time, HESITANT_SIMILARITY)
        known = {row for _, row in pairs}
        begun = [(Track(self._scene, self._moments), row) for row in sure if row not in known]
        self._live += [track for track, _ in begun]
        for track, row in pairs + begun:
            track.add(index, time, people, row)
        if picture is not None:
            self._look(index, time, picture)

    def finish(self) -> tuple[Person, ...]:
        """Everyone who was there long enough; 1 is who is on screen longest and largest.

        Rows run from a person's first to last frame; those where they were not found hold NaN and
        score 0. The tracker forgets everyone.
        """
        frames, times = self._moments.taken()
        fragments = self._done + [track.fragment(frames, times) for track in self._live]
        self._done, self._live = [], []
        return people_of(fragments, frames, times, self.min_seconds)

    def _look(self, index: int, time: float, picture: Frame) -> None:
        """Look at what those wear who are in plain sight."""
        here = [track for track in self._live if track.frame == index]
        for track in here:
            if time - track.looked < LOOK_EVERY:
                continue
            others = [other.box for other in here if other is not track]
            if others and covered(track.box, np.array(others)) > CLEAR:
                continue
            track.looked = time
            histogram = colours(picture, track.keypoints, track.score)
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


def match(
    tracks: list[Track], people: People, rows: list[int], time: float, least: float
) -> list[tuple[Track, int]]:
    """Tracks and those of the people, by row, that belong together, by the Hungarian method."""
    if not tracks or not rows:
        return []
    alike = similarity(tracks, people if len(rows) == len(people) else people[rows], time)
    fits = alike >= least
    pairs = [part.tolist() for part in np.nonzero(fits)]
    if any(len(set(part)) < len(part) for part in pairs):  # seldom: somebody has a choice
        from scipy.optimize import linear_sum_assignment

        best = linear_sum_assignment(np.where(fits, alike, 0), maximize=True)
        pairs = [part[fits[best]].tolist() for part in best]
    return [(tracks[n], rows[m]) for n, m in zip(*pairs, strict=True)]


def similarity(tracks: list[Track], people: People, time: float) -> NDArray[np.float64]:
    """How much everyone looks like each track's person now (N, P): mean of OKS and box overlap."""
    shift = np.array([track.moved(time) for track in tracks])
    boxes = np.array([track.box for track in tracks]) + np.concatenate([shift, shift], 1)
    keypoints = np.array([track.keypoints for track in tracks]) + shift[:, None]
    scores = np.array([track.score for track in tracks])
    wider = np.array([[min(0.2 + time - track.time, 1.0)] for track in tracks])
    return 0.5 * oks(keypoints, scores, boxes, people.keypoints) + 0.5 * overlap(
        widened(boxes, wider)[:, None], widened(people.boxes[None], wider[..., None])
    )
