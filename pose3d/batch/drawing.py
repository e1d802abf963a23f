"""Recordings to files: those of other programs, and what people look at."""

from pathlib import Path

from pose3d import export
from pose3d.batch.inputs import Job
from pose3d.batch.outcome import SKIPPED, Outcome
from pose3d.errors import PoseError
from pose3d.files import replacing
from pose3d.look import SUFFIXES as SHOWN
from pose3d.look import Look, needs_video
from pose3d.progress import Progress
from pose3d.sequence import Recording
from pose3d.show import show


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
    return write(recording, source, outputs, progress, look)


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
