"""From video to motion: ``infer``, and its stages ``detect``, ``lift`` and ``render``."""

from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from pose3d.commands.console import Bars, Console
from pose3d.commands.keypoints import keypoint_options
from pose3d.commands.options import BATCH, COMMON, DETECTION, LIFTING, options
from pose3d.commands.recordings import recordings as expanded
from pose3d.commands.recordings import unmade
from pose3d.commands.sections import Sectioned
from pose3d.commands.values import Names, Seconds
from pose3d.errors import PoseError, UsageError
from pose3d.export import FORMATS
from pose3d.look import SUFFIXES as SHOWN
from pose3d.look import VIEWS, WRITTEN, Look

if TYPE_CHECKING:  # numpy takes longer than all of `pose3d --help`
    from pose3d.batch import Job, Outcome

KEYPOINT_FORMATS = [name for name, form in FORMATS.items() if not form.space]
PLOTS = {"angles.png": ".angles.pose3d.png"}


def save_option(default: str, names: Iterable[str]) -> Any:
    """``--save`` with the formats that a command writes."""
    return click.option(
        "--save", type=Names(*names), default=default, show_default=True, metavar=",".join(names),
        help="Which files to write.",
    )  # fmt: skip


plot_option = click.option(
    "--plot", type=Names(*PLOTS), default="", metavar=",".join(PLOTS),
    help="Draw joint angles over time: NAME.angles.pose3d.png.",
)  # fmt: skip


@click.command(cls=Sectioned)
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO|FOLDER|GLOB|@LIST...")
@options("output_anywhere")
@save_option("npz,mp4", WRITTEN)
@plot_option
@options("devices", *DETECTION, *LIFTING, "overwrite", *BATCH, *COMMON)
@click.pass_obj
def infer(
    console: Console,
    videos: tuple[str, ...],
    output: Path | None,
    save: tuple[str, ...],
    plot: tuple[str, ...],
    pattern: str | None,
    **chosen: Any,
) -> None:
    """Turn videos into the motion of their people in 3D.

    For walk.mp4 this writes walk.pose3d.npz, which holds all that was found, and walk.pose3d.mp4
    to look at. A folder stands for the videos in it and in its folders, @list.txt for the lines of
    a file. What is finished already is left as it is; what failed, until --retry-failed.
    """
    with console.loading():
        from pose3d import batch

    try:
        sources = unmade(console, videos, batch.VIDEOS, pattern)
    except UsageError:
        raise
    except PoseError as error:
        for given in videos:
            if not _gives(given, batch.VIDEOS, pattern) and _gives(given, batch.PICTURES, pattern):
                raise PoseError(
                    f"{given}: pictures, no video: `pose3d detect` takes them"
                ) from error
        raise
    jobs = batch.plan(sources, output, _suffixes((*save, *plot)))
    _work_through(console, jobs, batch.infer, output, **chosen)


def _gives(given: str, suffixes: frozenset[str], pattern: str | None) -> bool:
    """Whether an argument stands for any file of these suffixes."""
    from pose3d.batch import expand

    try:
        return bool(expand([given], suffixes, pattern=pattern))
    except PoseError:
        return False


@click.command(cls=Sectioned)
@click.argument("inputs", nargs=-1, required=True, metavar="VIDEO|PICTURE|FOLDER|GLOB|@LIST...")
@options("output_anywhere")
@save_option("npz", KEYPOINT_FORMATS)
@options("devices", *DETECTION, "overwrite", *BATCH, *COMMON)
@click.pass_context
def detect(
    context: click.Context,
    inputs: tuple[str, ...],
    output: Path | None,
    save: tuple[str, ...],
    pattern: str | None,
    **chosen: Any,
) -> None:
    """Find people and their keypoints (stage 1).

    A video gives NAME.pose3d.npz; a picture NAME.pose3d.json and NAME.pose3d.jpg, a copy with the
    keypoints drawn on it; --save is for videos. A folder stands for the videos and pictures in it
    and in its folders.
    """
    with context.obj.loading():
        from pose3d import batch

    sources = unmade(context.obj, inputs, batch.VIDEOS | batch.PICTURES, pattern)
    pictures = [item for item in sources if item.path.suffix.lower() in batch.PICTURES]
    videos = [item for item in sources if item.path.suffix.lower() not in batch.PICTURES]
    told = context.get_parameter_source("save") != ParameterSource.DEFAULT
    if pictures and told and (unwritten := [name for name in save if name != "json"]):
        raise UsageError(
            f"{pictures[0].path} is a picture, which gives JSON and a drawn copy, no "
            f"{' or '.join(unwritten)}: leave --save out, or choose the videos with --pattern"
        )
    jobs = [
        *batch.plan(videos, output, _suffixes(save)),
        *batch.plan(pictures, output, {"json": ".pose3d.json", "picture": ".pose3d.jpg"}),
    ]
    _work_through(context.obj, jobs, batch.detect, output, **chosen)


def _work_through(
    console: Console,
    jobs: "list[Job]",
    stage: "Callable[..., Outcome]",
    output: Path | None,
    overwrite: bool,
    dry_run: bool,
    device: str,
    workers: int | None,
    shard: tuple[int, int] | None,
    report: Path | None,
    retry_failed: bool,
    ray: str | None,
    **chosen: Any,
) -> None:
    """Do a batch, or with `dry_run` say what it would do."""
    from pose3d import batch
    from pose3d.commands import batch_view

    work = batch.Work(stage, batch.Options(**chosen), overwrite)
    manner = batch.Manner(device, workers, shard, report, retry_failed, ray)
    if dry_run:
        batch_view.show_forecast(console, batch.forecast(jobs, work, output, manner))
        return
    view = batch_view.BatchView(console)
    try:
        with closing(view):
            results = batch.perform(jobs, work, output, manner, view)
    except KeyboardInterrupt:
        console.complain(f"Interrupted: {_left(jobs, overwrite)}", where=False)
        click.get_current_context().exit(130)  # as shells have it: 128 + SIGINT
    batch_view.conclude(console, results)


def _left(jobs: "list[Job]", overwrite: bool) -> str:
    """What an interrupt left of a batch, and what the same command does with it."""
    from pose3d.journal import is_of_use

    if overwrite and len(jobs) > 1:
        return "the same command begins again; without --overwrite it does the rest"
    if any(job.journal and is_of_use(job.journal) for job in jobs):
        return "the same command goes on from here"
    if overwrite:
        return "the same command begins again"
    if any(path.exists() for job in jobs for path in job.outputs.values()):
        return "what is finished stays, and the same command does the rest"
    return "nothing is done yet, and the same command begins again"


@click.command(cls=Sectioned)
@click.argument("recordings", nargs=-1, required=True, metavar="RECORDING|KEYPOINTS...")
@options("output")
@save_option("npz", FORMATS)
@plot_option
@keypoint_options
@options(*LIFTING, "dialect", "registry", "device", "overwrite", *COMMON)
@click.pass_obj
def lift(
    console: Console,
    recordings: tuple[str, ...],
    output: Path | None,
    save: tuple[str, ...],
    overwrite: bool,
    plot: tuple[str, ...],
    fps: float | None,
    size: tuple[int, int] | None,
    form: str | None,
    **chosen: Any,
) -> None:
    """Turn keypoints into 3D motion (stage 2).

    Takes what `pose3d detect` wrote and adds the 3D joints to it, or writes to another folder
    with -o. Also takes keypoints of other tools: OpenPose's folders, JSON of AlphaPose, MMPose and
    COCO, tables of MediaPipe's landmarks, and VideoPose3D's .npz.
    """
    with console.loading():
        from pose3d import batch

    settings = batch.Options(**chosen)
    foreign = {"fps": fps, "size": size, "form": form}
    given = expanded(recordings, keypoints=True)
    jobs = batch.plan(given, output, _suffixes((*save, *plot)))

    def work(job: "Job", bars: Bars) -> None:
        _report(console, job, batch.lift(job, settings, overwrite, bars, **foreign), bars)

    console.each(jobs, work)


@click.command()
@click.argument("recordings", nargs=-1, required=True, metavar="RECORDING...")
@options("output", "video")
@save_option("mp4", SHOWN)
@click.option(
    "--view",
    type=click.Choice(VIEWS),
    default=Look.view,
    show_default=True,
    help="Keypoints on the frames, skeletons in space, or both; pages have both.",
)
@click.option(
    "--orbit",
    type=Seconds(),
    metavar="T",
    help="Go around the 3D view once in so many seconds.",
)
@click.option(
    "--trail/--no-trail",
    default=Look.trail,
    show_default=True,
    help="Draw the way of everyone's hips on the floor.",
)
@click.option("--audio", is_flag=True, help="Keep the video's sound.")
@click.option(
    "--link", is_flag=True, help="Let a page show the video beside it instead of a small copy.",
)  # fmt: skip
@options("overwrite", *COMMON)
@click.pass_obj
def render(
    console: Console,
    recordings: tuple[str, ...],
    output: Path | None,
    video: Path | None,
    save: tuple[str, ...],
    overwrite: bool,
    **look: Any,
) -> None:
    """Draw recordings, for people to look at.

    mp4 is a video, gif a small one that shows wherever pictures do, png a sheet of twelve moments,
    html a page with the video and an interactive scene that works without a network. What needs
    no frames (html, --view 3d) can be drawn without the video.
    """
    with console.loading():
        from pose3d import batch

    chosen = Look(**look)
    jobs = batch.plan(expanded(recordings), output, _suffixes(save))

    def work(job: "Job", bars: Bars) -> None:
        _report(console, job, batch.render(job, video, chosen, overwrite, bars), bars)

    console.each(jobs, work)


def _suffixes(names: Collection[str]) -> dict[str, str]:
    """How files are called; the recording itself comes first, whatever may become of the rest."""
    if not names:
        raise UsageError("say which files to write, as in --save npz")
    return {name: suffix for name, suffix in (WRITTEN | PLOTS).items() if name in names}


def _report(console: Console, job: "Job", outcome: "Outcome", bars: Bars) -> None:
    """Say what came of a job."""
    from pose3d.batch import SKIPPED
    from pose3d.commands.batch_view import tell, tell_nothing

    if outcome.status == SKIPPED:
        tell_nothing(console, job, outcome.reason)
    else:
        tell(console, job, replace(outcome, seconds=bars.total, shares=bars.shares()))
