"""Recordings to files: those of other programs, and what people look at."""

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
    if source is not None:
        return outcome
    name = recording.meta.get("source", {}).get("name", "")
    missing = f"its video {video or job.source.parent / name} is not there: say where with --video"
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
        frames=recording.meta["source"]["frames"],
        people=len(recording),
        warnings=tuple(recording.meta.get("warnings", ())),
    )
