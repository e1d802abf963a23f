"""What is done to one input: what there is already, what is made, what gets written."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from pose3d import pipeline, provenance, read2d
from pose3d.batch.derived import check_made, outdated
from pose3d.batch.drawing import write
from pose3d.batch.inputs import Job, folder_from
from pose3d.batch.outcome import SKIPPED, Outcome, check_alike, facts_now, meta_of
from pose3d.composed import without_composed
from pose3d.errors import UsageError
from pose3d.export.json_file import write_picture as write_json
from pose3d.files import check_writable, replacing, sweep
from pose3d.journal import forget
from pose3d.options import Options
from pose3d.pictures import read_picture, write_picture
from pose3d.progress import Progress
from pose3d.sequence import Recording

Helpers = Callable[[Job, Options, Progress], Recording]
"""Who does stage 1 of a job in other processes."""


def infer(
    job: Job,
    options: Options,
    overwrite: bool,
    progress: Progress,
    helpers: Helpers | None = None,
    **models: Any,
) -> Outcome:
    """Video to 3D; goes on from the keypoints of an earlier run if they are there."""

    def make() -> Recording:
        if "lifter" not in models:
            with progress.stage("load"):
                pipeline.loaded_lifter(options)  # one that does not fit is refused before hours
        return _detected(job, options, progress, helpers, models)

    facts = partial(facts_now, job.source, options, models, True)
    return _run(job, facts, make, options, overwrite, progress, models)


def detect(
    job: Job,
    options: Options,
    overwrite: bool,
    progress: Progress,
    helpers: Helpers | None = None,
    **models: Any,
) -> Outcome:
    """Video to keypoints, or picture."""
    if "picture" in job.outputs:
        return _detect_picture(job, options, overwrite, progress)

    def make() -> Recording:
        return _detected(job, options, progress, helpers, models)

    facts = partial(facts_now, job.source, options, models, False)
    return _run(job, facts, make, None, overwrite, progress, models)


def _detected(
    job: Job,
    options: Options,
    progress: Progress,
    helpers: Helpers | None,
    models: dict[str, Any],
) -> Recording:
    if helpers:
        recording = helpers(job, options, progress)
    else:
        chosen = asdict(options) | {k: v for k, v in models.items() if k == "detector"}
        recording = pipeline.detect(job.source, journal=job.journal, progress=progress, **chosen)
    return _lying(recording, job.folder)


def _lying(recording: Recording, folder: str | None) -> Recording:
    """A recording that says in which folder its video lies, seen from its own, if not there."""
    source = {k: v for k, v in recording.meta["source"].items() if k != "folder"}
    source |= {"folder": folder} if folder else {}
    return recording.with_people(recording.people, source=source)


def _moved(recording: Recording, job: Job) -> Recording:
    """A recording as it is to be written by a job, from where it is."""
    source = recording.meta.get("source")
    if "npz" not in job.outputs or not source:
        return recording
    film = job.source.parent / source.get("folder", "")
    return _lying(recording, folder_from(job.outputs["npz"].parent, film))


def lift(
    job: Job, options: Options, overwrite: bool, progress: Progress, **foreign: Any
) -> Outcome:
    """Keypoints to 3D, added to the recording or written elsewhere.

    `foreign` is what :func:`pose3d.read2d.read` is told about keypoints of another tool.
    """
    if read2d.is_recording(job.source):
        if any(value is not None for value in foreign.values()):
            raise UsageError(f"{job.source} says its rate and size itself")
        source = _moved(Recording.load(job.source), job)
    else:
        source = read2d.read(job.source, **foreign)

    def facts(_meta: dict[str, Any]) -> dict[str, Any]:
        return source.meta | provenance.lifting_facts(source.meta, options)

    return _run(job, facts, lambda: source, options, overwrite, progress, {})


def _detect_picture(job: Job, options: Options, overwrite: bool, progress: Progress) -> Outcome:
    """Picture to keypoints: JSON and a drawn copy."""
    from pose3d.render import draw_people

    picture = read_picture(job.source)
    facts = provenance.detection_facts(job.source, options)
    if not overwrite and job.outputs["json"].exists():
        check_alike(job.outputs["json"], meta_of(job.outputs["json"]), facts)
    # Without the facts of its JSON, nothing tells what made a drawn copy.
    outputs = job.outputs if overwrite or "json" in job.missing else job.missing
    if not outputs:
        return Outcome(SKIPPED)
    with progress.stage("load"):
        detector = pipeline.loaded_detector(options)
    with progress.stage("detect"):
        people = without_composed(detector([picture])[0])[: pipeline.count(options.people)]
    facts["source"]["size"] = [picture.shape[1], picture.shape[0]]
    for name, path in outputs.items():
        with replacing(path) as part:
            if name == "json":
                write_json(people, {**provenance.tool(), **facts}, part)
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
    for path in job.outputs.values():
        check_writable(path.parent)
        sweep(path)
    earlier = None if overwrite else _earlier(job, facts)
    recording = earlier or make()
    outputs = job.outputs if overwrite else job.missing
    if earlier and "npz" in job.outputs:
        outputs = outputs | outdated(job, facts(recording.meta))
    if lifting and (not earlier or "lift" not in recording.meta.get("steps", ())):
        chosen = asdict(lifting) | {k: v for k, v in models.items() if k == "lifter"}
        recording = pipeline.lift(recording, progress=progress, **chosen)
        if earlier and "npz" in job.outputs:
            outputs = job.outputs  # they hold nothing that the new ones lack
    outcome = write(recording, job.source, outputs, progress) if outputs else Outcome(SKIPPED)
    if job.journal:
        forget(job.journal)
    if "npz" not in job.outputs:
        there = job.outputs.keys() - outputs.keys()
        check_made({form: job.outputs[form] for form in there}, recording)
    return outcome


def _earlier(job: Job, facts: Callable[[dict[str, Any]], dict[str, Any]]) -> Recording | None:
    """The recording that an earlier run left, if it was made alike.

    Raises
    ------
    MadeOtherwiseError
        If it was not, and is to be written.
    """
    path = job.recording
    if path is None or not path.exists():
        return None
    recording = Recording.load(path)
    if "npz" in job.outputs:
        check_alike(path, recording.meta, facts(recording.meta))
    elif provenance.differences(recording.meta, facts(recording.meta)):
        return None
    return recording
