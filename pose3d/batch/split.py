"""One long video in several processes: each finds people in a part of it at a time.

A part begins and ends where the detector's chunks do, and its frames are sought exactly, so the
answers are those of a run in one piece; a worker keeps them in a journal of the part. This process
reads the whole video meanwhile and follows its people with these answers as if it had found them
itself. What tracking and the watch for cuts look at in a picture depends on all that came before,
so workers could only send every picture, made small; to decode them once more is simpler, and on a
CPU takes a thirtieth of the network's time. On GPUs it is what limits how many are of use.

A frame that a part decoded otherwise than this process (as files do that cannot be entered in the
middle) is noticed by its checksum; then the video is done in one piece after all.
"""

import logging
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, field
from math import ceil, lcm
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pose3d import pipeline
from pose3d.batch.inputs import Job
from pose3d.batch.outcome import FAILED, Outcome
from pose3d.batch.run import Listener
from pose3d.batch.seats import Seat
from pose3d.batch.work import Work
from pose3d.batch.workers import Crew
from pose3d.errors import PoseError
from pose3d.journal import Journal, OtherFramesError, parts_of
from pose3d.options import Options
from pose3d.progress import Progress
from pose3d.sequence import People, Recording
from pose3d.video import SAME_TIME, Frame, NoFrameError, Video, frames_for, read_ahead

if TYPE_CHECKING:
    from pose3d.pipeline import Found

CHUNK = 16  # frames; a multiple of the chunks of all detectors that have some
PARTS = 4  # a worker: some take longer than others, and following begins with the first
LEAST, MOST = 64, 4096  # frames of a part
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part(Job):
    """A part of a video.

    Attributes
    ----------
    first
        Index of its first frame.
    start, end
        Seconds, as of :class:`~pose3d.video.Video`.
    facts
        What decides the answers.
    """

    first: int = 0
    start: float | None = None
    end: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The video's name and where in it the part begins."""
        return f"{self.source} from frame {self.first}"

    @property
    def notes(self) -> Path:
        """Its journal."""
        assert self.journal is not None
        return self.journal


class WholeError(Exception):
    """A video that cannot be split; the message says why."""


@dataclass(frozen=True)
class Helpers:
    """Detects a video's people with several workers.

    Attributes
    ----------
    places
        Of the workers.
    logs
        What their logs are called, but for the worker's name and suffix.
    """

    places: Sequence[Seat]
    logs: Path | None = None

    def __call__(self, job: Job, options: Options, progress: Progress) -> Recording:
        """Stage 1 of a job, equal to that in one piece."""

        def found(video: Video, facts: dict[str, Any], heard: Progress) -> "Found":
            return self._found(job, options, video, facts, heard)

        chosen = asdict(options)
        try:
            return pipeline.detect(job.source, elsewhere=found, progress=progress, **chosen)
        except (WholeError, OtherFramesError) as error:
            _log.warning("%s is not split over several workers: %s", job.source, error)
        return pipeline.detect(job.source, journal=job.journal, progress=progress, **chosen)

    def _found(
        self,
        job: Job,
        options: Options,
        video: Video,
        facts: dict[str, Any],
        progress: Progress,
    ) -> "Found":
        size = lcm(CHUNK, options.batch_size)
        with progress.stage("decode"):
            parts = cut(job, video, facts, size, len(self.places))
        if len(parts) < 2:
            raise WholeError("it is too short, or says too little of its frames' times")
        work, tally = Work(search, options), _Tally(progress, video.info.frames)
        frames = frames_for(video, self.places[0].device)
        with (
            Crew(parts, work, tally, self.places, self.logs) as crew,
            closing(_Answers(crew, parts)) as answers,
            closing(read_ahead(pipeline.chunks(frames, CHUNK), depth=1)) as batches,
        ):
            for batch in progress.waiting("decode", batches):
                with progress.stage("detect"):
                    found = answers.of(batch)
                yield batch, found


class _Answers:
    """What a crew found, in the order of the frames."""

    def __init__(self, crew: Crew, parts: Sequence[Part]) -> None:
        self._crew = crew
        self._parts = parts
        self._firsts = [part.first for part in parts]
        self._ended: set[str] = set()
        self._part: Part | None = None
        self._open = ExitStack()

    def of(self, batch: list[Frame]) -> list[People]:
        """People of frames that lie in one part; waits for it.

        Raises
        ------
        PoseError
            If it has failed.
        WholeError
            If it lacks some of the frames.
        """
        self._hear(0)
        part = self._parts[max(bisect_right(self._firsts, batch[0].index) - 1, 0)]
        if part is not self._part:
            while part.name not in self._ended:
                self._hear(None)
            self._open.close()
            self._notes = self._open.enter_context(Journal(part.notes, part.facts, exact=True))
            self._part = part
        answers = self._notes.recall(batch)
        if len(answers) < len(batch):
            raise WholeError(f"frames are missing from {batch[len(answers)].index} on")
        return answers

    def _hear(self, patience: float | None) -> None:
        """Let those who are done begin with another part."""
        for part, outcome in self._crew.ended(patience):
            if outcome.status == FAILED:
                raise PoseError(outcome.reason)
            self._ended.add(part.name)

    def close(self) -> None:
        """Close the last part's journal."""
        self._open.close()


def cut(job: Job, video: Video, facts: dict[str, Any], size: int, workers: int) -> list[Part]:
    """A video's parts in order; none where it cannot be cut.

    Parameters
    ----------
    job
        Whose source is to be cut.
    video
        The same, or a range of it.
    facts
        What decides the answers.
    size
        Every part but the first begins at an index that is a multiple of this one.
    workers
        How many share the parts.
    """
    folder = job.journal and parts_of(job.journal)
    times = video.times()
    inside = np.flatnonzero((times >= video.start - SAME_TIME) & (times < video.end - SAME_TIME))
    if not folder or not len(inside):
        return []
    length = min(max(ceil(len(inside) / (PARTS * workers)), LEAST), MOST)
    at = edges(times, int(inside[0]), int(inside[-1]), ceil(length / size) * size)
    starts = [video.start, *(float(times[edge]) for edge in at)]
    ends = [*starts[1:], video.end]
    parts = []
    for first, start, end in zip([int(inside[0]), *at], starts, ends, strict=True):
        parts.append(
            Part(
                job.source,
                {},
                journal=folder / f"{first:09}-{length}",
                first=first,
                start=start,
                end=None if end == float("inf") else end,
                facts=facts | {"part": [first, start, end]},
            )
        )
    return parts


def edges(times: NDArray[np.float64], first: int, last: int, length: int) -> list[int]:
    """Multiples of `length` between two indices, at which a frame has a time of its own."""
    multiples = range((first // length + 1) * length, last + 1, length)
    return [n for n in multiples if times[n] > times[n - 1]]


def search(job: Job, options: Options, _overwrite: bool, progress: Progress) -> Outcome:
    """Find people in a part of a video, for its journal: what a worker does."""
    assert isinstance(job, Part)
    video = Video(job.source, job.start, job.end)
    frames = 0
    with (
        Journal(job.notes, job.facts) as notes,
        closing(pipeline.search(video, options, notes, progress)) as found,
        suppress(NoFrameError),  # all of it may be damaged, which is no reason to fail
    ):
        for batch, _ in found:
            frames += len(batch)
        notes.flush()
    return Outcome(frames=frames)


class _Tally(Listener):
    """Adds up how far the parts of a video are."""

    def __init__(self, progress: Progress, frames: int | None) -> None:
        self.progress = progress
        self.frames = frames
        self.done: dict[str, int] = {}

    def started(self, job: Job, place: str = "") -> Progress:
        """Begin with a part, or once more."""
        _log.info("started %s on %s", job.name, place)
        self.done[job.name] = 0
        return _Share(self, job.name)


class _Share(Progress):
    """Hears how far a part is."""

    def __init__(self, tally: _Tally, name: str) -> None:
        super().__init__()
        self._tally = tally
        self._name = name

    def advance(self, stage: str, done: int, total: int | None = None) -> None:  # noqa: ARG002
        """Pass it on as so many frames of the whole."""
        tally = self._tally
        tally.done[self._name] = done
        tally.progress.advance(stage, sum(tally.done.values()), tally.frames)
