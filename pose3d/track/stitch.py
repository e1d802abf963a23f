"""Whole people out of fragments of tracks, with the whole video in view.

Tracks break where people are hidden for long, leave, or turn over in the air, and two who cross
may take each other's place. With everything seen: who appears twice at once is dropped; two tracks
that met and parted are exchanged where their clothes say so; and an end and a beginning are joined
where distance, size and clothes allow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pose3d.likeness import oks, overlap
from pose3d.rows import chunks
from pose3d.sequence import Keypoints2D, Person
from pose3d.track.appearance import difference

JOIN_SECONDS = 3.0  # that somebody may be unseen, by motion alone
RETURN_SECONDS = 120.0  # for somebody in the same clothes
SPEED = 1.5  # heights a second that somebody unseen may move otherwise than they did
ROOM = 0.35  # heights that they may be off at once
GROWTH = 0.3  # by how much a size may change, as a logarithm
UNLIKE = 0.5  # difference of clothes from which it is somebody else
ALIKE = 0.25  # up to which it may be the same after long
CLEARER = 0.1  # by how much an exchange must fit better
BESIDE = 0.5  # seconds before and after a meeting in which one looks where people go
LOST = 0.12  # seconds unseen, from where somebody was hidden
SMOOTHER = 0.1  # heights that people must go on straighter if they are exchanged
AROUND = 2.0  # seconds before and after a meeting that are compared
TOGETHER = 0.5  # median similarity from which two tracks are one person
MEETING = 0.3  # overlap of boxes from which two people meet

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fragment:
    """One person for a while: a row for every frame in which they were found.

    Attributes
    ----------
    scene
        Number of the scene, between two cuts.
    frames, times, boxes, keypoints, scores
        (T,), (T,), (T, 4), (T, 17, 2), (T, 17).
    look_times, looks
        (L,) and (L, 144): colour histograms, added up over half a second or so.
    """

    scene: int
    frames: NDArray[np.int64]
    times: Array
    boxes: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    look_times: Array
    looks: NDArray[np.float16]

    def __getitem__(self, rows: NDArray[np.bool_]) -> "Fragment":
        times = self.times[rows]
        inside = np.zeros(len(self.looks), bool)
        if len(times):
            inside = (self.look_times >= times[0] - 1e-9) & (self.look_times <= times[-1] + 1e-9)
        return Fragment(
            self.scene,
            self.frames[rows],
            times,
            self.boxes[rows],
            self.keypoints[rows],
            self.scores[rows],
            self.look_times[inside],
            self.looks[inside],
        )

    def joined(self, other: "Fragment") -> "Fragment":
        """Both in one; the other is later and the same person."""
        names = ("frames", "times", "boxes", "keypoints", "scores", "look_times", "looks")
        return Fragment(
            self.scene, *(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names)
        )

    @property
    def heights(self) -> Array:
        """Of the boxes (T,), pixels."""
        return np.maximum(self.boxes[:, 3] - self.boxes[:, 1], 1.0).astype(float)

    @property
    def presence(self) -> float:
        """How long and how large the person is on screen: box heights summed over frames."""
        return float(self.heights.sum())

    def wear(self, start: float = -np.inf, end: float = np.inf) -> NDArray[np.float32] | None:
        """Histogram (144,) of the looks from `start` to `end` seconds, None without any."""
        chosen = (self.look_times >= start) & (self.look_times <= end)
        return self.looks[chosen].sum(0, dtype=np.float32) if chosen.any() else None


def people_of(
    fragments: list[Fragment],
    frames: NDArray[np.int64],
    times: Array,
    min_seconds: float,
) -> tuple[Person, ...]:
    """Everyone, numbered by how long and how large they are on screen.

    Parameters
    ----------
    fragments
        Tracks as they were made from frame to frame; the list is worked off.
    frames, times
        (N,) of all frames of the video.
    min_seconds
        That somebody must be seen, or half the video if that is shorter.
    """
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    fragments[:] = stitched(parted(exchanged(without_doubles(fragments))))
    needed = min(round(min_seconds / step), len(frames) / 2)
    fragments[:] = [fragment for fragment in fragments if len(fragment.frames) >= needed]
    fragments.sort(key=lambda fragment: -fragment.presence)
    fragments.reverse()
    people: list[Person] = []
    while fragments:  # memory holds nobody twice
        people.append(Person(len(people) + 1, _sequence(fragments.pop(), frames, times)))
    return tuple(people)


def without_doubles(fragments: list[Fragment]) -> list[Fragment]:
    """Fragments without those that follow somebody who is followed already."""
    gone: set[int] = set()
    for a, b in _simultaneous(fragments):
        if a in gone or b in gone:
            continue
        one, other = fragments[a], fragments[b]
        _, at, there = np.intersect1d(
            one.frames, other.frames, assume_unique=True, return_indices=True
        )
        if len(at) < 0.5 * min(len(one.frames), len(other.frames)):
            continue
        some = np.linspace(0, len(at) - 1, min(len(at), 50)).astype(int)
        alike = [
            oks(one.keypoints[[i]], one.scores[[i]], one.boxes[[i]], other.keypoints[[j]])[0, 0]
            for i, j in zip(at[some], there[some], strict=True)
        ]
        if np.median(alike) > TOGETHER:
            gone.add(a if one.presence < other.presence else b)
    return [fragment for n, fragment in enumerate(fragments) if n not in gone]


def exchanged(fragments: list[Fragment]) -> list[Fragment]:
    """Fragments in which people who took each other's place when they met have it back.

    Clothes tell; where they are alike and one was hidden, so does who goes on as before.
    """
    result = list(fragments)
    for a, b in _simultaneous(fragments):
        for start, end in _meetings(result[a], result[b]):
            if _taken(result[a], result[b], start, end):
                middle = (start + end) / 2
                early = [result[n][result[n].times <= middle] for n in (a, b)]
                late = [result[n][result[n].times > middle] for n in (a, b)]
                result[a], result[b] = early[0].joined(late[1]), early[1].joined(late[0])
    return result


def _taken(one: Fragment, other: Fragment, start: float, end: float) -> bool:
    """Whether two who met from `start` to `end` seconds took each other's place."""
    before = [part.wear(start - AROUND, start) for part in (one, other)]
    after = [part.wear(end, end + AROUND) for part in (one, other)]
    if not any(wear is None for wear in (*before, *after)):
        straight, crossed = (
            difference(before[0], after[first]) + difference(before[1], after[1 - first])  # type: ignore[arg-type]
            for first in (0, 1)
        )
        if abs(straight - crossed) > 2 * CLEARER:
            return crossed < straight
    if not (_hidden(one, start, end) or _hidden(other, start, end)):
        return False
    courses = [
        [_course(part, *span) for part in (one, other)]
        for span in ((start - BESIDE, start), (end, end + BESIDE))
    ]
    if any(course is None for pair in courses for course in pair):
        return False
    height = float(np.median([one.heights.mean(), other.heights.mean()]))
    apart = [
        np.mean(
            [
                np.linalg.norm(courses[0][n](time) - courses[1][n ^ first](time))  # type: ignore[misc]
                for n in (0, 1)
                for time in (start, end)
            ]
        )
        for first in (0, 1)
    ]
    return bool(apart[1] < apart[0] - SMOOTHER * height)


def _hidden(part: Fragment, start: float, end: float) -> bool:
    """Whether somebody is lost for a moment of a meeting."""
    near = part.times[(part.times > start - LOST) & (part.times < end + LOST)]
    return len(near) < 2 or bool(np.diff(near).max() > LOST)


def _course(part: Fragment, start: float, end: float) -> Callable[[float], Array] | None:
    """Where somebody is at a time (2,) if they walk as between `start` and `end`; None unknown."""
    rows = (part.times >= start) & (part.times <= end)
    if rows.sum() < 3:
        return None
    times, middles = part.times[rows], part.keypoints[rows].mean(1).astype(float)
    centre, middle = times.mean(), middles.mean(0)
    away = times - centre
    pace = away @ (middles - middle) / max(float(away @ away), 1e-9)
    return lambda time: middle + pace * (time - centre)


def parted(fragments: list[Fragment]) -> list[Fragment]:
    """Fragments, cut where they passed from one person to another whom that one met."""
    moments: list[list[tuple[float, float]]] = [[] for _ in fragments]
    for a, b in _simultaneous(fragments):
        spans = _meetings(fragments[a], fragments[b])
        moments[a] += spans
        moments[b] += spans
    result = []
    for n, fragment in enumerate(fragments):
        for start, end in sorted(moments[n]):
            before = fragment.wear(start - AROUND, start)
            after = fragment.wear(end, end + AROUND)
            if before is None or after is None or difference(before, after) < UNLIKE:
                continue
            middle = (start + end) / 2
            result.append(fragment[fragment.times <= middle])
            fragment = fragment[fragment.times > middle]
        result.append(fragment)
    return [fragment for fragment in result if len(fragment.frames)]


def stitched(fragments: list[Fragment]) -> list[Fragment]:
    """Fragments of the same person joined, the best fits first."""
    parts = sorted(fragments, key=lambda fragment: fragment.times[0])
    while len(parts) > 1:
        fits = np.zeros((len(parts), len(parts)))
        for a, one in enumerate(parts):
            for b in range(len(parts)):
                if parts[b].times[0] > one.times[-1]:
                    fits[a, b] = fit(one, parts[b])
        if not fits.any():
            break
        from scipy.optimize import linear_sum_assignment

        pairs = linear_sum_assignment(fits, maximize=True)
        follows = {int(a): int(b) for a, b in zip(*pairs, strict=True) if fits[a, b] > 0}
        begins = set(range(len(parts))) - set(follows.values())
        chains = []
        for n in sorted(begins):
            chain = parts[n]
            while n in follows:
                n = follows[n]
                chain = chain.joined(parts[n])
            chains.append(chain)
        parts = chains
    return parts


def fit(one: Fragment, other: Fragment) -> float:
    """How well a later fragment continues one, from 0 (not at all) to 1."""
    gap = float(other.times[0] - one.times[-1])
    if one.scene != other.scene or gap > RETURN_SECONDS:
        return 0.0
    unlike = _unlike(one, other)
    if unlike > UNLIKE:
        return 0.0
    height = float(np.median(one.heights[-5:]))
    growth = abs(np.log(float(np.median(other.heights[:5])) / height))
    if gap <= JOIN_SECONDS:
        there = _middle(one, -1) + _pace(one, -1) * gap
        back = _middle(other, 0) - _pace(other, 0) * gap
        plain = np.linalg.norm(_middle(other, 0) - _middle(one, -1))
        off = min(
            float(np.linalg.norm(_middle(other, 0) - there)),
            float(np.linalg.norm(_middle(one, -1) - back)),
            float(plain),
        )
        near = 1 - off / height / (ROOM + SPEED * gap)
        size = 1 - growth / (GROWTH * (1 + gap))
        motion = min(near, size)
        if motion > 0:
            return motion * (1 - (0.5 if np.isnan(unlike) else unlike))
    return 0.5 * (ALIKE - unlike) if unlike < ALIKE and _apart(one, other) else 0.0


def _apart(one: Fragment, other: Fragment) -> bool:
    """Whether both are long enough to have been looked at well."""
    return len(one.looks) >= 2 and len(other.looks) >= 2


def _unlike(one: Fragment, other: Fragment) -> float:
    """Difference of what the people of two fragments wear where they could be one; NaN unknown."""
    before = one.wear(one.times[-1] - 2 * AROUND)
    after = other.wear(end=other.times[0] + 2 * AROUND)
    if before is None or after is None:
        return float("nan")
    return difference(before, after)


def _middle(fragment: Fragment, row: int) -> Array:
    return fragment.keypoints[row].mean(0).astype(float)


def _pace(fragment: Fragment, row: int) -> Array:
    """Pixels a second (2,) over the half second at one end."""
    times = fragment.times
    near = np.flatnonzero(np.abs(times - times[row]) < 0.5)
    if len(near) < 3:
        return np.zeros(2)
    middles = fragment.keypoints[near].mean(1).astype(float)
    centred = times[near] - times[near].mean()
    return (centred @ (middles - middles.mean(0))) / max(float(centred @ centred), 1e-9)


def _simultaneous(fragments: list[Fragment]) -> list[tuple[int, int]]:
    """Pairs of fragments that share time."""
    return [
        (a, b)
        for a, b in combinations(range(len(fragments)), 2)
        if fragments[a].times[0] <= fragments[b].times[-1]
        and fragments[b].times[0] <= fragments[a].times[-1]
    ]


def _meetings(one: Fragment, other: Fragment) -> list[tuple[float, float]]:
    """Spans of time, start and end, in which two people overlap in the picture."""
    start = max(one.times[0], other.times[0])
    end = min(one.times[-1], other.times[-1])
    rows = np.unique(np.concatenate([one.times, other.times]))
    rows = rows[(rows >= start) & (rows <= end)]
    if not len(rows):
        return []
    near = [
        overlap(*(_boxes_at(rows[some], part) for part in (one, other))) > MEETING
        for some in chunks(len(rows))
    ]
    meet = rows[np.concatenate(near)]
    if not len(meet):
        return []
    groups = np.split(meet, np.flatnonzero(np.diff(meet) > AROUND / 2) + 1)
    return [(float(group[0]), float(group[-1])) for group in groups]


def _boxes_at(times: Array, part: Fragment) -> Array:
    """Where somebody's box is (N, 4), between what was found."""
    return np.stack([np.interp(times, part.times, side) for side in part.boxes.T], 1)


def _sequence(part: Fragment, frames: NDArray[np.int64], times: Array) -> Keypoints2D:
    """A fragment's rows from its first frame to its last, gaps filled with NaN and score 0."""
    first, last = np.searchsorted(frames, part.frames[[0, -1]])
    frames, times = frames[first : last + 1], times[first : last + 1]
    if len(frames) == len(part.frames):
        seen = part.boxes, part.keypoints, part.scores
        return Keypoints2D(frames, times, *(np.ascontiguousarray(array) for array in seen))
    rows = np.searchsorted(frames, part.frames)
    box = np.full((len(frames), 4), np.nan, np.float32)
    keypoints = np.full((len(frames), 17, 2), np.nan, np.float32)
    score = np.zeros((len(frames), 17), np.float32)
    box[rows], keypoints[rows], score[rows] = part.boxes, part.keypoints, part.scores
    return Keypoints2D(frames, times, box, keypoints, score)
