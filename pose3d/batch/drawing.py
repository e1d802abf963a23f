"""Recordings to files: those of other programs, and what people look at."""

import os
from dataclasses import replace
from pathlib import Path

from pose3d.batch.derived import check_exported, check_shown
from pose3d.batch.inputs import Job
from pose3d.batch.outcome import DONE, SKIPPED, Outcome
from pose3d.errors import PoseError
from pose3d.export import write as write_as
from pose3d.export.settings import Settings
from pose3d.files import replacing
from pose3d.look import SUFFIXES as SHOWN
from pose3d.look import Look, needs_video
from pose3d.progress import Progress
from pose3d.sequence import Recording
from pose3d.show import show, sign


def render(
    job: Job, video: Path | None, look: Look, overwrite: bool, progress: Progress
) -> Outcome:
    """Recording to what people look at.

    Raises
    ------
    MadeOtherwiseError
        If something is there that looks otherwise.
    PoseError
        If something needs the video and that is not there; what does not is written before.
    """
    recording = Recording.load(job.source)
    if video and (video / job.inside).is_dir():
        video = video / job.inside
    source = video_of(job.source, recording, video)
    outputs = job.outputs if overwrite else job.missing
    for form in job.outputs.keys() - outputs.keys():
        check_shown(job.outputs[form], form, recording, source is not None, look)
    if not outputs:
        return Outcome(SKIPPED)
    without = [form for form in outputs if source is None and needs_video(form, look)]
    drawn = {form: path for form, path in outputs.items() if form not in without}
    outcome = write(recording, source, drawn, progress, look)
    if kept := [path.name for form, path in job.outputs.items() if form not in outputs]:
        said = f"finished before, and left as they are: {', '.join(kept)}"
        outcome = replace(outcome, warnings=(*outcome.warnings, said))
    if source is not None:
        return outcome
    missing = no_video(job.source, recording, video)
    if without:
        wrote = f"wrote {', '.join(map(str, drawn.values()))}; " if drawn else ""
        raise PoseError(f"{job.source}: {wrote}no {' and no '.join(without)}, as {missing}")
    pages = [f"{drawn['html']} shows no video, as {missing}"] if "html" in drawn else []
    return replace(outcome, warnings=(*outcome.warnings, *pages))


def export(job: Job, settings: Settings, overwrite: bool) -> Outcome:
    """Recording to the file of another program.

    Raises
    ------
    MadeOtherwiseError
        If something is there that has other content.
    """
    recording = Recording.load(job.source)
    written: list[Path] = []
    for form, path in job.outputs.items():
        if path.exists() and not overwrite:
            check_exported(path, form, recording, settings, job.source)
        else:
            written += write_as(recording, path, form=form, **vars(settings))
    return Outcome(DONE if written else SKIPPED, written=tuple(written))


def video_of(path: Path, recording: Recording, where: Path | None = None) -> Path | None:
    """The video of a recording: as given, or in a folder; None if not there.

    Where nothing is given it is beside the recording, or, of the size that the recording says,
    where that says, or in the current folder.
    """
    if where and not where.is_dir():
        return where if where.is_file() else None
    beside, *others = _places(path, recording, where)
    if beside.is_file():
        return beside
    size = recording.meta.get("source", {}).get("bytes")
    fitting = (place for place in others if place.is_file() and place.stat().st_size == size)
    return next(fitting, None)


def no_video(path: Path, recording: Recording, where: Path | None = None) -> str:
    """Why :func:`video_of` finds none, in words that say what to do."""
    places = _places(path, recording, where)
    name = places[0].name
    if not name:
        why = "the recording does not say of which video it is"
    elif other := next((place for place in places if place.is_file()), None):
        why = f"{other} is another file than its video"
    else:
        looked = " nor ".join(f"in {p.parent}" if p.parent != Path() else "here" for p in places)
        why = f"its video {name} is not {looked}"
    return f"{why}: say where with --video FILE or FOLDER"


def _places(path: Path, recording: Recording, where: Path | None) -> list[Path]:
    """Where the video of a recording may be, the likeliest first."""
    source = recording.meta.get("source", {})
    name = Path(str(source.get("name", ""))).name
    if where:
        return [where / name]
    places = [path.parent / name]
    if folder := source.get("folder"):
        there, here = Path(os.path.realpath(path.parent), folder), Path.cwd()
        there = Path(os.path.normpath(there))
        places.append((there.relative_to(here) if there.is_relative_to(here) else there) / name)
    return list(dict.fromkeys([*places, Path(name)]))


def write(
    recording: Recording,
    video: Path | None,
    outputs: dict[str, Path],
    progress: Progress,
    look: Look | None = None,
) -> Outcome:
    """Write a recording in all formats that are asked for."""
    written: list[Path] = []
    for name, path in outputs.items():
        if name in SHOWN:
            with progress.stage("render"), replacing(path) as part:
                show(name, recording, video, part, look or Look(), progress, final=path)
        elif name == "angles.png":
            from pose3d.render.angles import plot_angles

            with progress.stage("render"), replacing(path) as part:
                plot_angles(recording, part)
                sign(part, recording)
        else:
            with progress.stage("save"):
                written += write_as(recording, path, form=name)
            continue
        written.append(path)
    return Outcome(
        written=tuple(written),
        frames=recording.meta.get("source", {}).get("frames", 0),
        people=len(recording),
        warnings=tuple(recording.meta.get("warnings", ())),
    )
