"""Many files one after another: what there is to do, what is done already, what gets written."""

import glob
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pose3d import export, pipeline, read2d
from pose3d.errors import PoseError, UsageError
from pose3d.export.json_file import write_picture as write_json
from pose3d.files import check_writable, replacing
from pose3d.look import SUFFIXES as SHOWN
from pose3d.look import Look, needs_video
from pose3d.pictures import read_picture, write_picture
from pose3d.pipeline import Options
from pose3d.progress import Progress
from pose3d.sequence import Recording
from pose3d.show import show

VIDEOS = frozenset(
    [
        ".3gp",
        ".avi",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ts",
        ".webm",
        ".wmv",
    ]
)
PICTURES = frozenset([".bmp", ".jp2", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"])
RECORDINGS = frozenset([".npz"])
OURS = ".pose3d"  # before the suffix of everything that is written here


@dataclass(frozen=True)
class Job:
    """One input and the files that shall come of it, by format."""

    source: Path
    outputs: dict[str, Path]

    @property
    def missing(self) -> dict[str, Path]:
        """Outputs that are not there yet."""
        return {name: path for name, path in self.outputs.items() if not path.exists()}


@dataclass(frozen=True)
class Outcome:
    """What came of a job: whom it found, and the files; none where an earlier run did it all."""

    written: tuple[Path, ...] = ()
    frames: int = 0
    people: int = 0
    warnings: tuple[str, ...] = ()


def expand(inputs: Sequence[str], suffixes: frozenset[str], ours: bool = False) -> list[Path]:
    """Files that arguments stand for: a folder for the files in it, a pattern for what it matches.

    Of folders and patterns, what is written here (``NAME.pose3d.*``) is left out, or with `ours`
    all else. A file that does not exist stays, for whoever opens it to say so.

    Raises
    ------
    PoseError
        If a folder or pattern gives nothing.
    """
    found: list[Path] = []
    for text in inputs:
        path = Path(text)
        if path.is_dir() and not (ours and read2d.is_openpose(path)):
            members = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes)
            nothing = f"{path} holds nothing to work on: no {', '.join(sorted(suffixes))}"
        elif not path.exists() and glob.has_magic(text):
            members = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
            nothing = f"{text} matches no file to work on"
        else:
            found.append(path)
            continue
        members = [p for p in members if p.is_file() and p.stem.endswith(OURS) == ours]
        if not members:
            raise PoseError(nothing)
        found += members
    return list(dict.fromkeys(found))


def plan(sources: Sequence[Path], out: Path | None, suffixes: dict[str, str]) -> list[Job]:
    """A job for every source, its outputs beside it or in `out`.

    Raises
    ------
    UsageError
        If two would write the same file.
    """
    jobs = []
    for source in sources:
        folder, stem = out or source.parent, source.stem.removesuffix(OURS)
        outputs = {name: folder / f"{stem}{suffix}" for name, suffix in suffixes.items()}
        jobs.append(Job(source, outputs))
    writers = Counter(path.absolute() for job in jobs for path in job.outputs.values())
    for path, times in writers.items():
        if times > 1:
            raise UsageError(
                f"{times} of the files given would write {path}: run them apart, with -o"
            )
    return jobs


def infer(job: Job, options: Options, overwrite: bool, progress: Progress) -> Outcome:
    """Video to 3D; goes on from the keypoints of an earlier run if they are there."""

    def facts() -> dict[str, Any]:
        detection = pipeline.detection_facts(job.source, options)
        return detection | pipeline.lifting_facts(detection, options)

    def make() -> Recording:
        with progress.stage("load"):
            pipeline.loaded_lifter(options)  # one that does not fit is refused before hours of work
        return pipeline.detect(job.source, progress=progress, **asdict(options))

    return _run(job, facts, make, options, overwrite, progress)


def detect(job: Job, options: Options, overwrite: bool, progress: Progress) -> Outcome:
    """Video to keypoints."""

    def facts() -> dict[str, Any]:
        return pipeline.detection_facts(job.source, options)

    def make() -> Recording:
        return pipeline.detect(job.source, progress=progress, **asdict(options))

    return _run(job, facts, make, None, overwrite, progress)


def lift(
    job: Job, options: Options, overwrite: bool, progress: Progress, **foreign: Any
) -> Outcome:
    """Keypoints to 3D, added to the recording or written elsewhere.

    `foreign` is what :func:`pose3d.read2d.read` is told about keypoints of another tool.
    """
    if read2d.is_recording(job.source):
        if any(value is not None for value in foreign.values()):
            raise UsageError(f"{job.source} says its rate and size itself")
        source = Recording.load(job.source)
    else:
        source = read2d.read(job.source, **foreign)

    def facts() -> dict[str, Any]:
        return source.meta | pipeline.lifting_facts(source.meta, options)

    return _run(job, facts, lambda: source, options, overwrite, progress)


def render(
    job: Job, video: Path | None, look: Look, overwrite: bool, progress: Progress
) -> Outcome:
    """Recording to what people look at."""
    outputs = job.outputs if overwrite else job.missing
    if not outputs:
        return Outcome()
    recording = Recording.load(job.source)
    source = video_of(job.source, recording, video)
    if source is None and any(needs_video(form, look) for form in outputs):
        name = recording.meta.get("source", {}).get("name", "")
        where = video or job.source.parent / name
        raise PoseError(f"{job.source}: its video {where} is not there: say where with --video")
    return _write(recording, source, outputs, progress, look)


def video_of(path: Path, recording: Recording, where: Path | None = None) -> Path | None:
    """The video of a recording: beside its file, in a folder, or as given; None if not there."""
    if where is None or where.is_dir():
        name = Path(str(recording.meta.get("source", {}).get("name", ""))).name
        where = (where or path.parent) / name
    return where if where.is_file() else None


def detect_picture(job: Job, options: Options, overwrite: bool, progress: Progress) -> Outcome:
    """Picture to keypoints: JSON and a drawn copy."""
    from pose3d.render import draw_people

    picture = read_picture(job.source)
    facts = pipeline.detection_facts(job.source, options)
    if not overwrite and job.outputs["json"].exists():
        earlier = json.loads(job.outputs["json"].read_text("utf-8"))
        _check(job.outputs["json"], earlier["meta"], facts)
    outputs = job.outputs if overwrite else job.missing
    if not outputs:
        return Outcome()
    with progress.stage("load"):
        detector = pipeline.loaded_detector(options)
    with progress.stage("detect"):
        people = detector([picture])[0][: pipeline.count(options.people)]
    facts["source"]["size"] = [picture.shape[1], picture.shape[0]]
    for name, path in outputs.items():
        with replacing(path) as part:
            if name == "json":
                write_json(people, {**pipeline.tool(), **facts}, part)
            else:
                write_picture(draw_people(picture, people), part)
    return Outcome(tuple(outputs.values()), frames=1, people=len(people))


def _run(
    job: Job,
    facts: Callable[[], dict[str, Any]],
    make: Callable[[], Recording],
    lifting: Options | None,
    overwrite: bool,
    progress: Progress,
) -> Outcome:
    """Make a recording, or take an earlier one made alike; lift it if asked; write what is due."""
    if not overwrite and not job.missing and "npz" not in job.outputs:
        return Outcome()
    for path in job.outputs.values():
        check_writable(path.parent)
    earlier = None if overwrite else _earlier(job.outputs.get("npz"), facts)
    recording = earlier or make()
    outputs = job.outputs if overwrite else job.missing
    if lifting and (overwrite or "lift" not in recording.meta.get("steps", ())):
        recording = pipeline.lift(recording, progress=progress, **asdict(lifting))
        if earlier:
            outputs = job.outputs  # they hold nothing that the new ones lack
    return _write(recording, job.source, outputs, progress)


def _earlier(path: Path | None, facts: Callable[[], dict[str, Any]]) -> Recording | None:
    """The recording that an earlier run left, if it was made alike."""
    if path is None or not path.exists():
        return None
    recording = Recording.load(path)
    _check(path, recording.meta, facts())
    return recording


def _check(path: Path, meta: dict[str, Any], facts: dict[str, Any]) -> None:
    """Refuse to take a file for what other facts would have given."""
    if changed := pipeline.differences(meta, facts):
        raise PoseError(
            f"{path} exists and was made otherwise ({'; '.join(changed)}): --overwrite replaces "
            "it, -o DIR keeps it"
        )


def _write(
    recording: Recording,
    video: Path | None,
    outputs: dict[str, Path],
    progress: Progress,
    look: Look | None = None,
) -> Outcome:
    written: list[Path] = []
    for name, path in outputs.items():
        if name in SHOWN:
            with progress.stage("render"), replacing(path) as part:
                show(name, recording, video, part, look or Look(), progress, final=path)
        elif name == "angles.png":
            from pose3d.render.angles import plot_angles

            with progress.stage("render"), replacing(path) as part:
                plot_angles(recording, part)
        else:
            with progress.stage("save"):
                written += export.write(recording, path, form=name)
            continue
        written.append(path)
    return Outcome(
        tuple(written),
        frames=recording.meta["source"]["frames"],
        people=len(recording),
        warnings=tuple(recording.meta.get("warnings", ())),
    )
