"""``pose3d bench``: where the time of a video goes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pose3d.commands.console import Bars, Console
from pose3d.commands.options import COMMON, DETECTION, options
from pose3d.commands.sections import Sectioned
from pose3d.counted import counted

if TYPE_CHECKING:  # numpy takes longer than all of `pose3d --help`
    from pose3d.bench import Report, Timing


@click.command(cls=Sectioned)
@click.argument("video", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@options("device", *DETECTION, "lifter", "json", *COMMON)
@click.pass_obj
def bench(console: Console, video: Path, as_json: bool, **chosen: Any) -> None:
    """Show where the time goes, stage by stage, on this machine.

    Detects, tracks, lifts and saves the first ten seconds of VIDEO, or what --start and --end say,
    and keeps nothing.
    """
    with console.loading():
        from pose3d.bench import bench as measure

    bars = Bars(video.name, shown=not console.quiet)
    bars.loading()
    try:
        report = measure(video, bars, **chosen)
    finally:
        bars.close()
    click.echo(json.dumps(report.as_dict()) if as_json else "\n".join(_table(report)))


def _table(report: "Report") -> list[str]:
    """The report as lines."""
    video, run = report.video, report.run
    width, height = video["size"]
    people = counted(video["people"], "person", "people")
    whole = 1e3 / report.frame_rate
    detection = report.detection.a_frame
    rest = detection - sum(part.a_frame for part in report.parts.values())
    rows = []
    for name, timing in report.stages.items():
        rows.append(_row(name, timing, whole))
    how = f"{run['detector']} on {run['device']} by {run['engine']} in {run['precision']}"
    alone = 1e3 / report.decoding.a_frame
    return [
        f"{video['name']}: {width} x {height}, {counted(video['frames'], 'frame')}, {people}",
        f"{how}; {run['lifter']}",
        _machine(report.machine),
        "",
        f"{'':24}{'a frame':>10}{'share':>8}   {'a call: median, 10 to 90 %':30}{'calls':>6}",
        *rows,
        f"{'all':24}{whole:7.2f} ms{1:8.0%}   {report.frame_rate:.1f} frames/s",
        "",
        "Meanwhile, by several threads, so that shares of the time may be over 100 % together:",
        _row("people looked for", report.detection, whole),
        *(_row(f"  {part}", timing, whole) for part, timing in report.parts.items()),
        f"{'  the rest':24}{rest:7.2f} ms{rest / whole:8.0%}",
        "",
        f"{'decoding alone':24}{report.decoding.a_frame:7.2f} ms{'':11}{alone:.1f} frames/s",
        f"{'loading, once':24}{report.load:7.2f} s",
    ]


def _machine(machine: dict[str, Any]) -> str:
    places = [machine["processor"], machine.get("gpu")]
    numbers = [counted(machine["cores"], "core"), counted(machine["threads"], "thread")]
    if machine["load"] is not None:
        numbers.append(f"load {machine['load']}")
    versions = [f"{name} {number}" for name, number in machine["versions"].items() if number]
    return f"{', '.join([*filter(None, places), *numbers])}; {', '.join(versions)}"


def _row(name: str, timing: "Timing", whole: float) -> str:
    spread = f"{timing.median:.2f} ms, {timing.low:.2f} to {timing.high:.2f}"
    share = timing.a_frame / whole
    return f"{name:24}{timing.a_frame:7.2f} ms{share:8.0%}   {spread:30}{timing.calls:6}"
