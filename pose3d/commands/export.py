"""From recordings to the files of other programs: ``export``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pose3d.commands.console import Bars, Console
from pose3d.commands.options import COMMON, options
from pose3d.commands.recordings import check_recording, recordings
from pose3d.commands.values import Names
from pose3d.errors import UsageError
from pose3d.export import format_of
from pose3d.look import SUFFIXES as SHOWN
from pose3d.look import WRITTEN, Look

if TYPE_CHECKING:  # numpy takes longer than all of `pose3d --help`
    from pose3d.batch import Job


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="RECORDING... [FILE]")
@options("output")
@click.option(
    "--save", type=Names(*WRITTEN), default="", metavar=",".join(WRITTEN),
    help="Which files to write, where no FILE is given.",
)  # fmt: skip
@click.option(
    "--unit", type=click.Choice(["m", "cm", "mm"]), default="m", show_default=True,
    help="Of length, in BVH and TRC.",
)  # fmt: skip
@click.option(
    "--layout", type=click.Choice(["long", "wide"]), default="long", show_default=True,
    help="Of CSV: a row for every joint, or for every frame.",
)  # fmt: skip
@options("video", "overwrite", *COMMON)
@click.pass_obj
def export(
    console: Console,
    inputs: tuple[str, ...],
    output: Path | None,
    save: tuple[str, ...],
    unit: str,
    layout: str,
    video: Path | None,
    overwrite: bool,
) -> None:
    """Write recordings in the formats of other programs.

    `pose3d export walk.pose3d.npz walk.bvh` writes one file in the format that its suffix says;
    `pose3d export *.pose3d.npz --save bvh,csv` several of many recordings, beside them or in -o.
    Where a format holds one person, the others' files are beside the first one's: walk.2.bvh.
    What `pose3d render` draws (walk.html, walk.mp4) looks as it does there without any option.
    """
    with console.loading():
        from pose3d import batch
        from pose3d.export.settings import Settings

    settings = Settings(unit, layout)

    def work(job: "Job", bars: Bars) -> None:
        for form, path in job.outputs.items():
            alone = replace(job, outputs={form: path})
            if form in SHOWN:
                outcome = batch.render(alone, video, Look(), overwrite, bars)
            else:
                outcome = batch.export(alone, settings, overwrite)
            for warning in outcome.warnings:
                console.warn(f"{job.source}: {warning}")
            for file in outcome.written:
                console.say(f"{job.source}: {file}")
            if outcome.status == batch.SKIPPED:
                console.say(f"{job.source}: {path} is there already (--overwrite replaces it)")

    console.each(_jobs(inputs, save, output), work)


def _jobs(inputs: tuple[str, ...], save: tuple[str, ...], output: Path | None) -> "list[Job]":
    from pose3d.batch import Job, plan

    if save:
        for given in inputs:
            if _is_target(given) and not Path(given).exists():
                raise UsageError(f"{given} and --save both say what to write: leave one out")
        return plan(recordings(inputs), output, {name: WRITTEN[name] for name in save})
    first, last = inputs[0], inputs[-1]
    if len(inputs) > 1 and all(name.strip() in WRITTEN for name in last.split(",")):
        raise UsageError(f"{last} is no file: pose3d export {' '.join(inputs[:-1])} --save {last}")
    if len(inputs) < 2 or not Path(last).suffix:
        raise UsageError(
            f"say what to write: pose3d export {first} walk.bvh, or with --save bvh,csv"
        )
    if len(inputs) > 2:
        raise UsageError("a FILE to write takes one recording; for several there is --save")
    source, target = Path(first), Path(last)
    form = format_of(target, SHOWN)
    if source.is_dir():
        raise UsageError(f"{source} is a folder: --save {form} writes of all recordings in it")
    check_recording(source)
    if output and target.parent != Path():
        raise UsageError(f"{target} says its folder itself: leave -o out")
    target = output / target if output else target
    return [Job(source, {form: target})]


def _is_target(text: str) -> bool:
    """Whether a text names a file to write, and no recording."""
    try:
        return format_of(text, SHOWN) != "npz"
    except UsageError:
        return False
