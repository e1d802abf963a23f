"""The stages in order: video to keypoints to motion."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pose3d import __version__
from pose3d.errors import PoseError, UsageError
from pose3d.progress import Progress
from pose3d.sequence import SCHEMA, People, Person, Pose3D, Recording
from pose3d.track import Tracker
from pose3d.weights import default, find, sha256

T = TypeVar("T")
DetectorLike = Callable[[Sequence[NDArray[np.uint8]]], list[People]]
LifterLike = Callable[..., NDArray[np.float32]]

# Options that change where and how fast, but not what comes out.
WITHOUT_EFFECT = ("device", "batch_size")


@dataclass(frozen=True)
class Options:
    """What decides how a video is treated.

    Attributes
    ----------
    detector, lifter
        Weights by name, URL or file; None for the default ones.
    dialect
        How weights of a file are to be run that does not say it, such as ``detectron2-d1``.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
    precision
        Of the detector: ``auto`` (half on a GPU, single on a CPU), ``fp32``, ``fp16``, ``bf16``.
    batch_size
        Frames that the detector sees at once.
    start, end
        Seconds of the video to use; None for all.
    people
        Whom to keep: ``all``, ``main`` (who is on screen longest and largest) or a number.
    min_score
        Of a detected person, in [0, 1].
    max_people
        At most so many in one frame.
    """

    detector: str | None = None
    lifter: str | None = None
    dialect: str | None = None
    device: str = "auto"
    precision: str = "auto"
    batch_size: int = 8
    start: float | None = None
    end: float | None = None
    people: str | int = "all"
    min_score: float = 0.2
    max_people: int = 20

    def __post_init__(self) -> None:
        count(self.people)
        if self.batch_size < 1:
            raise UsageError(f"a batch of {self.batch_size} frames is none: give 1 or more")
        if self.end is not None and self.end <= (self.start or 0):
            raise UsageError(f"nothing lies between {self.start or 0} s and {self.end} s")

    def weights(self, kind: str) -> str:
        """Name, URL or file of the ``detector`` or ``lifter``."""
        return str(getattr(self, kind) or default(kind))  # type: ignore[arg-type]

    def dialect_of(self, kind: str) -> str | None:
        """The dialect, if it is one of a ``detector`` or ``lifter``; only VideoPose3D's lift."""
        lifts = (self.dialect or "").startswith("videopose3d")
        return self.dialect if lifts == (kind == "lifter") else None


def count(people: str | int) -> int | None:
    """How many people an option like ``main`` or 2 keeps; None for all.

    Raises
    ------
    UsageError
        If it is neither ``all``, ``main`` nor a number above 0.
    """
    named = {"all": None, "main": 1}
    if people in named:
        return named[str(people)]
    if str(people).isdecimal() and int(people) > 0:
        return int(people)
    raise UsageError(f"people can be all, main or a number above 0, not {people!r}")


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
    progress, options
        As for :func:`infer`.
    """
    from pose3d.video import Video, read_ahead

    chosen = _options(detector=detector, **options)
    progress = progress or Progress()
    video = Video(path, start=chosen.start, end=chosen.end)
    with progress.stage("load"):
        facts = detection_facts(Path(path), chosen, detector)
        model = detector if callable(detector) else loaded_detector(chosen)
    tracker = Tracker()
    frames = 0
    with closing(read_ahead(batched(video, chosen.batch_size), depth=2)) as batches:
        for batch in progress.waiting("decode", batches):
            with progress.stage("detect"):
                answers = model([frame.image for frame in batch])
            with progress.stage("track"):
                for frame, people in zip(batch, answers, strict=True):
                    tracker.update(frame.index, frame.time, people)
            frames += len(batch)
            progress.advance("detect", frames, video.info.frames)
    if frames < 2:
        raise PoseError(
            f"{path} has {frames or 'no'} frame{'' if frames else 's'} to use: motion needs two or "
            "more (`pose3d detect` takes pictures)"
        )
    with progress.stage("track"):
        everyone = tracker.finish()[: count(chosen.people)]
    info = video.info
    source = {
        "size": [info.width, info.height],
        "fps": info.fps,
        "rotation": info.rotation,
        "frames": frames,
    }
    meta = {
        **tool(),
        **facts,
        "source": facts["source"] | source,
        "steps": ["detect", "track"],
        "warnings": list(video.warnings),
    }
    return Recording(meta, everyone)


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
    from pose3d.lift import default_intrinsics

    chosen = _options(lifter=lifter, **options)
    progress = progress or Progress()
    with progress.stage("load"):
        facts = lifting_facts(recording.meta, chosen, lifter)
        model = lifter if callable(lifter) else loaded_lifter(chosen)
    width, height = recording.meta["source"]["size"]
    intrinsics = default_intrinsics((width, height))
    people: list[Person] = []
    with progress.stage("lift"):
        for person in recording.people:
            keypoints = person.keypoints
            joints = model(
                keypoints.keypoints, keypoints.score, keypoints.time, (width, height), intrinsics
            )
            people.append(replace(person, pose=Pose3D(joints)))
            progress.advance("lift", len(people), len(recording))
    camera = {
        "K": intrinsics.tolist(),
        "distortion": None,
        "size": [width, height],
        "assumed": True,
    }
    return recording.with_people(
        tuple(people), **facts, camera=camera, steps=["detect", "track", "lift"]
    )


def load(path: str | PathLike[str]) -> Recording:
    """The recording in a file ``NAME.pose3d.npz``.

    Raises
    ------
    PoseError
        If the file is missing, damaged, of a newer schema or no recording.
    """
    return Recording.load(path)


def tool() -> dict[str, Any]:
    """The part of `meta` that says who made the file."""
    return {"schema": SCHEMA, "tool": {"name": "pose3d", "version": __version__}}


def detection_facts(path: Path, options: Options, detector: Any = None) -> dict[str, Any]:
    """The part of `meta` that decides what stage 1 gives: video, options, weights."""
    if not path.is_file():
        raise PoseError(f"{path}: no such file")
    values = asdict(options)
    return {
        "source": {"name": path.name, "sha256": sha256(path)},
        "options": {name: value for name, value in values.items() if name != "lifter"},
        "weights": {"detector": _weight_facts(options, "detector", detector)},
    }


def lifting_facts(meta: dict[str, Any], options: Options, lifter: Any = None) -> dict[str, Any]:
    """The parts of `meta` that lifting adds to."""
    weights = {"lifter": _weight_facts(options, "lifter", lifter)}
    return {
        "options": {**meta.get("options", {}), "lifter": options.lifter},
        "weights": {**meta.get("weights", {}), **weights},
    }


def differences(meta: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    """What of `facts` is otherwise in a file's `meta`, in words; nothing where results are equal.

    Device and batch size make no difference; weights are compared by their SHA-256.
    """
    found = []
    if meta.get("source", {}).get("sha256") != facts["source"]["sha256"]:
        found.append("another video")
    before = meta.get("options", {})
    for name, value in facts["options"].items():
        if name not in (*WITHOUT_EFFECT, "detector", "lifter") and before.get(name) != value:
            found.append(f"{name} {before.get(name)}, now {value}")
    weights = meta.get("weights", {})
    for kind, now in facts["weights"].items():
        if kind == "lifter" and "lift" not in meta.get("steps", ()):
            continue  # it is yet to be used
        then = weights.get(kind) or {"name": "none", "sha256": None}
        if then["sha256"] != now["sha256"]:
            same = then["name"] == now["name"]
            found.append(f"{kind} {then['name']}, now {'newer' if same else now['name']}")
    return found


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items; the last may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _options(**options: Any) -> Options:
    """Options from keyword arguments; a loaded model is none."""
    unknown = options.keys() - Options.__dataclass_fields__.keys()
    if unknown:
        known = ", ".join(Options.__dataclass_fields__)
        raise UsageError(f"there is no option {min(unknown)!r}: there are {known}")
    return Options(**{name: value for name, value in options.items() if not callable(value)})


def _weight_facts(options: Options, kind: str, model: Any) -> dict[str, str | None]:
    """Name and SHA-256 of the weights; a model that came loaded has only its class."""
    if callable(model):
        return {"name": type(model).__name__, "sha256": None}
    name = options.weights(kind)
    return {"name": name, "sha256": sha256(find(name, kind=kind))}  # type: ignore[arg-type]


def loaded_detector(options: Options) -> DetectorLike:
    """The detector that options name; the last one is kept for the next video."""
    return _detector(
        options.weights("detector"),
        _weight_facts(options, "detector", None)["sha256"],
        device=options.device,
        precision=options.precision,
        min_score=options.min_score,
        max_people=options.max_people,
        dialect=options.dialect_of("detector"),
    )


def loaded_lifter(options: Options) -> LifterLike:
    """The lifter that options name; the last one is kept for the next video."""
    sha256 = _weight_facts(options, "lifter", None)["sha256"]
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
