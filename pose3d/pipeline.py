"""The stages in order: video to keypoints to motion."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pose3d.body import parse_heights
from pose3d.camera import choose_camera, lens_metadata
from pose3d.errors import PoseError, UsageError
from pose3d.options import Options, count
from pose3d.progress import Progress
from pose3d.provenance import decisive, detection_facts, lifting_facts, tool, weight_facts
from pose3d.sequence import People, Person, Recording
from pose3d.track import Tracker
from pose3d.watch import Watch

if TYPE_CHECKING:
    from pose3d.journal import Journal
    from pose3d.video import Frame, Video

    Found = Generator[tuple[list[Frame], list[People]]]
    Elsewhere = Callable[[Video, dict[str, Any], Progress], Found]

HEIGHT_OF = "--height says how tall person"  # how a warning begins that lifting anew takes back
T = TypeVar("T")
DetectorLike = Callable[[Sequence[NDArray[np.uint8]]], list[People]]
LifterLike = Callable[..., NDArray[np.float32]]


def infer(
    path: str | PathLike[str], *, progress: Progress | None = None, **options: Any
) -> Recording:
    """Everyone's motion in a video, in 3D.

    Parameters
    ----------
    path
        A video file.
    progress
        Hears how far the run is.
    options
        As in :class:`Options`.

    Returns
    -------
    Recording
        With a :class:`~pose3d.sequence.Pose3D` for every person.

    Raises
    ------
    PoseError
        If the video cannot be read or has fewer than two frames, or weights cannot be had.
    UsageError
        If an option cannot mean anything.

    Examples
    --------
    >>> import pose3d
    >>> recording = pose3d.infer("walk.mp4", people="main")         # doctest: +SKIP
    >>> recording.save("walk.pose3d.npz")                           # doctest: +SKIP
    """
    recording = detect(path, progress=progress, **options)
    return lift(recording, progress=progress, **options)


def detect(
    path: str | PathLike[str],
    *,
    detector: DetectorLike | str | None = None,
    journal: Path | None = None,
    elsewhere: "Elsewhere | None" = None,
    progress: Progress | None = None,
    **options: Any,
) -> Recording:
    """Stage 1: everyone's keypoints in a video, one sequence a person.

    Parameters
    ----------
    path
        A video file.
    detector
        Weights as in :class:`Options`, or a detector that is loaded already.
    journal
        A file to keep what was found so far in, so that a run that is killed can go on; remove it
        once the recording is safe.
    elsewhere
        Finds people in other processes, in place of a detector here; is given the video, what
        decides the answers, and who hears how far it is.
    progress, options
        As for :func:`infer`.
    """
    from pose3d.journal import Journal
    from pose3d.video import Video

    chosen = options_of(detector=detector, **options)
    progress = progress or Progress()
    video = Video(path, start=chosen.start, end=chosen.end)
    with progress.stage("load"):
        facts = detection_facts(Path(path), chosen, detector)
    tracker, watch, watched = Tracker(chosen.min_track), Watch(), "scenes" not in chosen.skip
    frames = 0
    with (
        Journal(journal, decisive(facts)) if journal else nullcontext() as notes,
        closing(
            elsewhere(video, decisive(facts), progress)
            if elsewhere
            else search(video, chosen, notes, progress, detector)
        ) as found,
    ):
        for batch, answers in found:
            with progress.stage("track"):
                for frame, people in zip(batch, answers, strict=True):
                    cut = watched and watch.see(frame, people.boxes)
                    tracker.update(frame.index, frame.time, people, frame, cut)
            frames += len(batch)
    if frames < 2:
        raise PoseError(
            f"{path} has {frames or 'no'} frame{'' if frames else 's'} to use: motion needs two or "
            "more (`pose3d detect` takes pictures)"
        )
    with progress.stage("track"):
        everyone = kept(tracker.finish(), chosen)
    info = video.info
    source = {
        "size": [info.width, info.height],
        "fps": info.fps,
        "rotation": info.rotation,
        "frames": frames,
        "metadata": lens_metadata(path),
    }
    meta = {
        **tool(),
        **facts,
        "source": facts["source"] | source,
        "scenes": [asdict(scene) | {"still": scene.still} for scene in watch.scenes],
        "steps": ["detect", "track"],
        "warnings": list(video.warnings),
    }
    return Recording(meta, everyone)


def search(
    video: "Video",
    options: Options,
    notes: "Journal | None",
    progress: Progress,
    detector: DetectorLike | str | None = None,
) -> "Found":
    """Frames of a video, or of a part of it, with the people that a detector sees in them.

    Parameters
    ----------
    video
        Its frames are read ahead, a chunk at a time.
    options
        As for :func:`detect`.
    notes
        Answers that are known already, and where new ones are kept.
    progress
        Hears how far it is.
    detector
        One that is loaded already.
    """
    from pose3d.memory import Sparing, gauge_of
    from pose3d.video import frames_for, read_ahead

    with progress.stage("load"):
        model = detector if callable(detector) else loaded_detector(options)
    # A detector that looks where people are wants chunks that are the same in every run.
    size = getattr(model, "chunk", None) or options.batch_size
    find_people = Sparing(_follower(model), size, gauge_of(model))
    at_once = getattr(model, "at_once", 1)

    decoder = options.decoder if getattr(model, "takes_planes", False) else "cpu"
    frames_of = frames_for(video, getattr(model, "device", "cpu"), decoder)
    with (
        closing(read_ahead(chunks(frames_of, size), depth=1)) as batches,
        # Later chunks are looked at while the caller goes on with earlier ones.
        ThreadPoolExecutor(at_once, "detect") as threads,
    ):

        def begun(batch: "list[Frame]") -> _Chunk:
            known = notes.recall(batch) if notes else []
            asked = len(known) < len(batch)
            return _Chunk(batch, known, threads.submit(find_people, batch) if asked else None)

        def ended(chunk: _Chunk) -> "tuple[list[Frame], list[People]]":
            count = len(chunk.known)
            with progress.stage("detect"):
                found = chunk.search.result()[count:] if chunk.search else []
                if notes and found:
                    notes.add(chunk.frames[count:], found)
            return chunk.frames, chunk.known + found

        frames = 0
        for chunk in _ahead(map(begun, progress.waiting("decode", batches)), at_once):
            yield ended(chunk)
            frames += len(chunk.frames)
            progress.advance("detect", frames, video.info.frames)


@dataclass(frozen=True)
class _Chunk:
    """Successive frames, people of the first of them that are known, and the search for all."""

    frames: "list[Frame]"
    known: list[People]
    search: "Future[list[People]] | None"


def _ahead(items: Iterable[T], count: int) -> Iterator[T]:
    """The same items, each of which is taken when `count` later ones have been made."""
    line: deque[T] = deque()
    for item in items:
        line.append(item)
        if len(line) > count:
            yield line.popleft()
    yield from line


def lift(
    recording: Recording,
    *,
    lifter: LifterLike | str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Recording:
    """Stage 2: from keypoints over time to joints in space.

    Parameters
    ----------
    recording
        Of :func:`detect`, or one that is lifted already and shall be again.
    lifter
        Weights as in :class:`Options`, or a lifter that is loaded already.
    progress, options
        As for :func:`infer`.
    """
    from pose3d.recipe import Recipe
    from pose3d.world import parse_up

    chosen = options_of(lifter=lifter, **options)
    progress = progress or Progress()
    source = recording.meta.get("source", {})
    if "size" not in source:
        raise PoseError("the recording does not say how large the pictures are: detect again")
    camera = choose_camera(
        tuple(source["size"]),
        fov=chosen.fov,
        focal_length=chosen.focal_length,
        file=chosen.camera,
        metadata=source.get("metadata"),
    )
    heights = parse_heights(chosen.height) if chosen.height else {}
    up = parse_up(chosen.camera_up)
    with progress.stage("load"):
        facts = lifting_facts(recording.meta, chosen, lifter)
        model = _copying(lifter) if callable(lifter) else loaded_lifter(chosen)
    scenes = [(scene["frame"], scene["still"]) for scene in recording.meta.get("scenes", ())]
    recipe = Recipe(model, camera, heights, up, scenes or [(0, True)], chosen.skip)
    with progress.stage("lift"):
        people, found = recipe.follow(
            recording.people, lambda done: progress.advance("lift", done, len(recording))
        )
    before = recording.meta
    steps = [step for step in before["steps"] if step in ("detect", "track")]
    found["warnings"] += _heights_of_nobody(heights, [person.id for person in people])
    said = [
        warning
        for warning in before.get("warnings", [])
        if warning not in found["warnings"] and not warning.startswith(HEIGHT_OF)
    ]
    return recording.with_people(
        people,
        **facts,
        **found | {"steps": steps + found["steps"], "warnings": said + found["warnings"]},
    )


def _heights_of_nobody(heights: dict[int | None, float], people: list[int]) -> list[str]:
    """What to say where a height is of somebody who is not there: numbers are known only now."""
    absent = [str(number) for number in heights if number is not None and number not in people]
    if not absent:
        return []
    return [f"{HEIGHT_OF} {', '.join(absent)} is, who is not there: {_whom_there_is(people)}"]


def _whom_there_is(people: list[int]) -> str:
    """Everyone's numbers in words."""
    if len(people) == 1:
        return f"there is only person {people[0]}"
    return f"there are {', '.join(map(str, people))}" if people else "nobody was found"


def _copying(lifter: LifterLike) -> LifterLike:
    """A stranger's lifter, which may keep the joints that it gives."""
    return lambda *seen: np.array(lifter(*seen), np.float32)


def kept(everyone: tuple[Person, ...], options: Options) -> tuple[Person, ...]:
    """Those that options ask for.

    Raises
    ------
    PoseError
        If there is no person of the id asked for.
    """
    if options.person is None:
        return everyone[: count(options.people)]
    found = tuple(person for person in everyone if person.id == options.person)
    if not found:
        there = _whom_there_is([person.id for person in everyone])
        raise PoseError(f"there is no person {options.person}: {there}")
    return found


def load(path: str | PathLike[str]) -> Recording:
    """The recording in a file ``NAME.pose3d.npz``.

    Raises
    ------
    PoseError
        If the file is missing, damaged, of a newer schema or no recording.
    """
    return Recording.load(path)


def _follower(model: Any) -> "Callable[[Sequence[Frame]], list[People]]":
    """What finds people in successive frames: detectors of others know pictures only."""
    return getattr(model, "follow", None) or (lambda batch: model([f.image for f in batch]))


def chunks(frames: "Iterable[Frame]", size: int) -> "Iterator[list[Frame]]":
    """Frames by `size`, counted from the file's first: where a run starts changes no chunk."""
    for _, chunk in groupby(frames, lambda frame: frame.index // size):
        yield list(chunk)


def options_of(**options: Any) -> Options:
    """Options from keyword arguments; a loaded model is none."""
    unknown = options.keys() - Options.__dataclass_fields__.keys()
    if unknown:
        known = ", ".join(Options.__dataclass_fields__)
        raise UsageError(f"there is no option {min(unknown)!r}: there are {known}")
    return Options(**{name: value for name, value in options.items() if not callable(value)})


def loaded_detector(options: Options) -> DetectorLike:
    """The detector that options name; the last one is kept for the next video."""
    return _detector(
        options.weights("detector"),
        weight_facts(options, "detector", None)["sha256"],
        device=options.device,
        precision=options.precision,
        engine=options.engine,
        short_side=options.short_side,
        min_score=options.min_score,
        max_people=options.max_people,
        dialect=options.dialect_of("detector"),
    )


def loaded_lifter(options: Options) -> LifterLike:
    """The lifter that options name; the last one is kept for the next video."""
    sha256 = weight_facts(options, "lifter", None)["sha256"]
    return _lifter(
        options.weights("lifter"),
        sha256,
        device=options.device,
        dialect=options.dialect_of("lifter"),
    )


@lru_cache(maxsize=1)
def _detector(name: str, _sha256: str | None, **options: Any) -> DetectorLike:
    from pose3d.detect import load_detector

    return load_detector(name, **options)


@lru_cache(maxsize=1)
def _lifter(name: str, _sha256: str | None, **options: Any) -> LifterLike:
    from pose3d.lift import load_lifter

    return load_lifter(name, **options)
