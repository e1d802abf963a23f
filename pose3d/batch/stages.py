"""What is done to one input: what there is already, what is made, what gets written."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pose3d import export, pipeline, read2d
from pose3d.batch.inputs import Job
from pose3d.errors import PoseError, UsageError
from pose3d.export.json_file import write_picture as write_json
from pose3d.files import check_writable, replacing, sweep
from pose3d.look import SUFFIXES as SHOWN
from pose3d.look import Look, needs_video
from pose3d.options import WITHOUT_EFFECT, Options
from pose3d.pictures import read_picture, write_picture
from pose3d.progress import Progress
from pose3d.sequence import Recording
from pose3d.show import show

DONE, SKIPPED, FAILED, DIFFERENT = "done", "skipped", "failed", "different"
MAX_META = 64 << 20  # bytes


class MadeOtherwiseError(PoseError):
    """What is there was made with other options, by other weights or of another video."""


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes
    ----------
    status
        ``done``; ``skipped``, as an earlier run did it; ``different``, as an earlier run did it
        otherwise; ``failed``.
    reason
        Why, where it is not done.
    written
        The files.
    frames, people
        Of the video.
    warnings
        What the user should know.
    seconds, shares
        How long it took, and with what.
    """

    status: str = DONE
    reason: str = ""
    written: tuple[Path, ...] = ()
    frames: int = 0
    people: int = 0
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    shares: str = ""


@dataclass(frozen=True)
class Work:
    """A stage with its options: what is done to every job of a batch.

    Attributes
    ----------
    stage
        Such as :func:`infer`.
    options, overwrite
        For the stage.
    models
        A detector or lifter that is loaded already, by these names.
    """

    stage: Callable[..., Outcome]
    options: Options
    overwrite: bool = False
    models: dict[str, Any] = field(default_factory=dict)

    def __call__(self, job: Job, progress: Progress) -> Outcome:
        """Do a job."""
        return self.stage(job, self.options, self.overwrite, progress, **self.models)

    def on(self, device: str) -> "Work":
        """The same on another device."""
        return replace(self, options=replace(self.options, device=device))

    def check_named(self) -> None:
        """Refuse to go to other processes with models that are not named but loaded."""
        if self.models:
            raise UsageError(
                "models that are loaded already stay in one process: name weights instead"
            )

    def fingerprint(self, job: Job) -> str | None:
        """Of all that decides the outputs: file, options, weights; None without the file."""
        if not job.source.is_file():
            return None
        facts: dict[str, Any] = {
            "source": pipeline.stamp_of(job.source),
            "options": {k: v for k, v in asdict(self.options).items() if k not in WITHOUT_EFFECT},
            "detector": pipeline.weight_facts(
                self.options, "detector", self.models.get("detector")
            ),
        }
        if self.stage is infer:
            facts |= {
                "lifting": pipeline.lifting_facts({}, self.options, self.models.get("lifter"))
            }
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()

    def settled(self, job: Job, made: str | None = None) -> Outcome | None:
        """What there is to say where there is nothing to do; None where there is.

        Parameters
        ----------
        job
            What to look at.
        made
            Fingerprint of what an earlier run made, for outputs that hold no facts themselves.
        """
        if self.overwrite or "picture" in job.outputs:
            return None
        try:
            done = self._is_done(job, made)
        except MadeOtherwiseError as error:
            return Outcome(DIFFERENT, str(error))
        except PoseError as error:
            return Outcome(FAILED, str(error))
        if done and job.journal:
            job.journal.unlink(missing_ok=True)  # of a run that was killed at the very end
        return Outcome(SKIPPED) if done else None

    def _is_done(self, job: Job, made: str | None) -> bool:
        path = job.outputs.get("npz") or job.outputs.get("json")
        if path is None:
            if job.missing or not job.source.is_file():
                return False
            if made and made != self.fingerprint(job):
                raise MadeOtherwiseError(
                    f"{job.source} changed since, or was run with other options: --overwrite "
                    "replaces what is there, -o DIR keeps it"
                )
            return True
        if not path.exists():
            return False
        meta = _meta(path)
        detector = self.models.get("detector")
        facts = pipeline.detection_facts(job.source, self.options, detector, meta)
        if self.stage is infer:
            facts |= pipeline.lifting_facts(facts, self.options, self.models.get("lifter"))
        _check(path, meta, facts)
        return not job.missing and (self.stage is detect or "lift" in meta.get("steps", ()))


def infer(
    job: Job, options: Options, overwrite: bool, progress: Progress, **models: Any
) -> Outcome:
    """Video to 3D; goes on from the keypoints of an earlier run if they are there."""

    def facts(meta: dict[str, Any]) -> dict[str, Any]:
        detection = pipeline.detection_facts(job.source, options, models.get("detector"), meta)
        return detection | pipeline.lifting_facts(detection, options, models.get("lifter"))

    def make() -> Recording:
        if "lifter" not in models:
            with progress.stage("load"):
                pipeline.loaded_lifter(options)  # one that does not fit is refused before hours
        return _detected(job, options, progress, models)

    return _run(job, facts, make, options, overwrite, progress, models)


def detect(
    job: Job, options: Options, overwrite: bool, progress: Progress, **models: Any
) -> Outcome:
    """Video to keypoints, or picture."""
    if "picture" in job.outputs:
        return _detect_picture(job, options, overwrite, progress)

    def facts(meta: dict[str, Any]) -> dict[str, Any]:
        return pipeline.detection_facts(job.source, options, models.get("detector"), meta)

    def make() -> Recording:
        return _detected(job, options, progress, models)

    return _run(job, facts, make, None, overwrite, progress, models)


def _detected(job: Job, options: Options, progress: Progress, models: dict[str, Any]) -> Recording:
    chosen = asdict(options) | {k: v for k, v in models.items() if k == "detector"}
    return pipeline.detect(job.source, journal=job.journal, progress=progress, **chosen)


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

    def facts(_meta: dict[str, Any]) -> dict[str, Any]:
        return source.meta | pipeline.lifting_facts(source.meta, options)

    return _run(job, facts, lambda: source, options, overwrite, progress, {})


def render(
    job: Job, video: Path | None, look: Look, overwrite: bool, progress: Progress
) -> Outcome:
    """Recording to what people look at."""
    outputs = job.outputs if overwrite else job.missing
    if not outputs:
        return Outcome(SKIPPED)
    recording = Recording.load(job.source)
    if video and (video / job.inside).is_dir():
        video = video / job.inside
    source = video_of(job.source, recording, video)
    if source is None and any(needs_video(form, look) for form in outputs):
        name = recording.meta.get("source", {}).get("name", "")
        where = video or job.source.parent / name
        raise PoseError(f"{job.source}: its video {where} is not there: say where with --video")
    return _write(recording, source, outputs, progress, look)


def video_of(path: Path, recording: Recording, where: Path | None = None) -> Path | None:
    """The video of a recording: as given, or in a folder; None if not there.

    Where nothing is given it is beside the recording, or, of the size that the recording says, in
    the current folder: recordings of ``infer -o DIR`` lie elsewhere.
    """
    if where and not where.is_dir():
        return where if where.is_file() else None
    source = recording.meta.get("source", {})
    name = Path(str(source.get("name", ""))).name
    beside, here = (where or path.parent) / name, Path(name)
    if beside.is_file():
        return beside
    known = not where and here.is_file() and here.stat().st_size == source.get("bytes")
    return here if known else None


def _detect_picture(job: Job, options: Options, overwrite: bool, progress: Progress) -> Outcome:
    """Picture to keypoints: JSON and a drawn copy."""
    from pose3d.render import draw_people

    picture = read_picture(job.source)
    facts = pipeline.detection_facts(job.source, options)
    if not overwrite and job.outputs["json"].exists():
        earlier = json.loads(job.outputs["json"].read_text("utf-8"))
        _check(job.outputs["json"], earlier["meta"], facts)
    outputs = job.outputs if overwrite else job.missing
    if not outputs:
        return Outcome(SKIPPED)
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
    return Outcome(written=tuple(outputs.values()), frames=1, people=len(people))


def _run(
    job: Job,
    facts: Callable[[dict[str, Any]], dict[str, Any]],
    make: Callable[[], Recording],
    lifting: Options | None,
    overwrite: bool,
    progress: Progress,
    models: dict[str, Any],
) -> Outcome:
    """Make a recording, or take an earlier one made alike; lift it if asked; write what is due."""
    if not overwrite and not job.missing and "npz" not in job.outputs:
        return Outcome(SKIPPED)
    for path in job.outputs.values():
        check_writable(path.parent)
        sweep(path)
    earlier = None if overwrite else _earlier(job.outputs.get("npz"), facts)
    recording = earlier or make()
    outputs = job.outputs if overwrite else job.missing
    if lifting and (not earlier or "lift" not in recording.meta.get("steps", ())):
        chosen = asdict(lifting) | {k: v for k, v in models.items() if k == "lifter"}
        recording = pipeline.lift(recording, progress=progress, **chosen)
        if earlier:
            outputs = job.outputs  # they hold nothing that the new ones lack
    if not outputs:
        return Outcome(SKIPPED)
    outcome = _write(recording, job.source, outputs, progress)
    if job.journal:
        job.journal.unlink(missing_ok=True)
    return outcome


def _earlier(
    path: Path | None, facts: Callable[[dict[str, Any]], dict[str, Any]]
) -> Recording | None:
    """The recording that an earlier run left, if it was made alike."""
    if path is None or not path.exists():
        return None
    recording = Recording.load(path)
    _check(path, recording.meta, facts(recording.meta))
    return recording


def _meta(path: Path) -> dict[str, Any]:
    """The facts of a recording, without its arrays: there may be ten thousand to look at."""
    try:
        if path.suffix == ".json":
            return dict(json.loads(path.read_bytes())["meta"])
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("meta.npy").file_size > MAX_META:
                raise PoseError(f"{path} holds over {MAX_META >> 20} MiB of facts: refused")
        with np.load(path, allow_pickle=False) as arrays:
            meta = json.loads(str(arrays["meta"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, RecursionError):
        return Recording.load(path).meta  # which says what is wrong
    return meta if isinstance(meta, dict) else Recording.load(path).meta


def _check(path: Path, meta: dict[str, Any], facts: dict[str, Any]) -> None:
    """Refuse to take a file for what other facts would have given."""
    if changed := pipeline.differences(meta, facts):
        raise MadeOtherwiseError(
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
        written=tuple(written),
        frames=recording.meta["source"]["frames"],
        people=len(recording),
        warnings=tuple(recording.meta.get("warnings", ())),
    )
