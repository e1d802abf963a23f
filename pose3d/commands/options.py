"""Options that several commands share."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pose3d.choices import DECODERS, ENGINES, PRECISIONS, SHORT_SIDES, STEPS
from pose3d.commands.configuration import configure
from pose3d.commands.values import Count, Device, Names, Part, Seconds, TextFile

F = TypeVar("F", bound=Callable[..., Any])


TIMES = logging.Formatter("%(asctime)s %(levelname)s %(message)s")


def _listen(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Set the console to say more or less, and where to."""
    if not value:
        return
    setattr(ctx.obj, str(param.name), value)
    ours = logging.getLogger("pose3d")
    if param.name == "log_file":
        _log_to(ctx, value)
    elif param.name == "verbose":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(TIMES)
    if ctx.obj.verbose or ctx.obj.log_file:
        ours.setLevel(logging.INFO)
        # What only the file is for shall not be on the screen.
        level = logging.INFO if ctx.obj.verbose else logging.WARNING
        for handler in logging.getLogger().handlers:
            handler.setLevel(logging.ERROR if ctx.obj.quiet else level)
    elif ctx.obj.quiet:
        ours.setLevel(logging.ERROR)


def _log_to(ctx: click.Context, path: Path) -> None:
    """Write our events, and nobody else's, to a file until the program ends."""
    new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"--log-file {path}: {error.strerror}") from None
    handler.setFormatter(TIMES)
    ours, others = logging.getLogger("pose3d"), logging.getLogger().handlers[:]
    levels = [other.level for other in others]
    ours.addHandler(handler)
    ctx.obj.log = handler

    def end() -> None:
        ours.removeHandler(handler)
        handler.close()
        if new and not path.stat().st_size:
            path.unlink()
        for other, level in zip(others, levels, strict=True):
            other.setLevel(level)

    ctx.find_root().call_on_close(end)  # that of a command is not closed by wrong usage


def _use_registry(ctx: click.Context, _param: click.Parameter, path: Path | None) -> None:
    """Let the registry of weights read the user's file while the command runs."""
    if path is None:
        return
    before = os.environ.get("POSE3D_REGISTRY")
    os.environ["POSE3D_REGISTRY"] = str(path)

    def restore() -> None:
        del os.environ["POSE3D_REGISTRY"]
        if before is not None:
            os.environ["POSE3D_REGISTRY"] = before

    ctx.call_on_close(restore)


OPTIONS: dict[str, Callable[[F], F]] = {
    "output": click.option(
        "-o", "--output", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
        help="Folder for the results; else beside each input.",
    ),
    "output_anywhere": click.option(
        "-o", "--output", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
        help="Folder for the results, or s3://bucket/out and the like; else beside each input.",
    ),
    "detector": click.option(
        "--detector", metavar="NAME|URL|FILE",
        help="Weights that find people and keypoints; `pose3d weights list` has the names.",
    ),
    "lifter": click.option(
        "--lifter", metavar="NAME|URL|FILE",
        help="Weights that turn keypoints into 3D; `pose3d weights list` has the names.",
    ),
    "video": click.option(
        "--video", type=click.Path(path_type=Path, exists=True), metavar="FILE|FOLDER",
        help="The video, or where it lies; by default beside the recording, where it was, or here.",
    ),
    "dialect": click.option(
        "--dialect", metavar="NAME",
        help="How to run weights from a file that does not say it: detectron2-d1, "
        "videopose3d-causal, videopose3d-h36m.",
    ),
    "registry": click.option(
        "--registry", metavar="FILE.toml", expose_value=False, callback=_use_registry,
        type=click.Path(path_type=Path, dir_okay=False),
        help="Your own names for weights, besides the public ones.",
    ),
    "device": click.option(
        "--device", type=Device(), default="auto", show_default=True,
        metavar="auto|cpu|cuda|cuda:1",
        help="Where the networks run; auto is a GPU where there is one.",
    ),
    "devices": click.option(
        "--device", type=Device(several=True), default="auto", show_default=True,
        metavar="auto|cpu|cuda|cuda:0,cuda:1",
        help="Where the networks run; auto is a GPU where there is one, cuda for several videos "
        "every GPU.",
    ),
    "precision": click.option(
        "--precision", default="auto", show_default=True,
        type=click.Choice(PRECISIONS),
        help="Of the detector; auto is half on a GPU, single on a CPU.",
    ),
    "engine": click.option(
        "--engine", default="auto", show_default=True,
        type=click.Choice(ENGINES),
        help="What runs the detector; auto is OpenVINO on a CPU, Triton on a GPU, where there.",
    ),
    "decoder": click.option(
        "--decoder", default="auto", show_default=True,
        type=click.Choice(DECODERS),
        help="What decodes videos for a GPU; auto is the CPU where it has 8 cores.",
    ),
    "short_side": click.option(
        "--short-side", type=click.IntRange(*SHORT_SIDES), metavar="PX",
        help="Of the detector's input; it follows the size of the people where not given.",
    ),
    "batch_size": click.option(
        "--batch-size", type=click.IntRange(1), default=8, show_default=True, metavar="N",
        help="Frames that the detector sees at once.",
    ),
    "people": click.option(
        "--people", type=Count(), default="all", show_default=True, metavar="all|main|N",
        help="Whom to keep; main is who is on screen longest and largest.",
    ),
    "person": click.option(
        "--person", type=click.IntRange(1), metavar="ID",
        help="Keep this one alone, by the number that the drawn video shows.",
    ),
    "min_track": click.option(
        "--min-track", type=Seconds(), default="0.5s", show_default=True, metavar="T",
        help="Leave out who is seen for less.",
    ),
    "fov": click.option(
        "--fov", type=float, metavar="DEGREES",
        help="What the camera sees over the longer side; 60 where nothing says it.",
    ),
    "focal_length": click.option(
        "--focal-length", type=float, metavar="PIXELS", help="The same, as a focal length.",
    ),
    "camera": click.option(
        "--camera", metavar="FILE", help="A calibrated camera: TOML, JSON or .qca.txt.",
    ),
    "camera_up": click.option(
        "--camera-up", default="auto", show_default=True, metavar="auto|image|X,Y,Z",
        help="Which way is up (camera frame: x right, y down, z forward).",
    ),
    "height": click.option(
        "--height", metavar="1.78m",
        help="How tall people are; 1=1.78m,2=165cm for several, by the number in the drawn video.",
    ),
    "skip": click.option(
        "--skip", type=Names(*STEPS), default="", metavar="STEP,...",
        help=f"Leave out steps of stage 2: {', '.join(STEPS)}.",
    ),
    "min_score": click.option(
        "--min-score", type=click.FloatRange(0, 1), default=0.2, show_default=True, metavar="S",
        help="Leave out detections below this.",
    ),
    "max_people": click.option(
        "--max-people", type=click.IntRange(1), default=20, show_default=True, metavar="N",
        help="At most so many in one frame.",
    ),
    "start": click.option(
        "--start", type=Seconds(), metavar="T",
        help="Begin at this time of the video: seconds, or 1:30.",
    ),
    "end": click.option("--end", type=Seconds(), metavar="T", help="End at this time."),
    "overwrite": click.option(
        "--overwrite", is_flag=True, help="Run again and replace what is there.",
    ),
    "pattern": click.option(
        "--pattern", metavar="GLOB",
        help="Of folders take the files like this, such as 'cam1_*.mp4'.",
    ),
    "retry_failed": click.option(
        "--retry-failed", is_flag=True, help="Try again what failed in an earlier run.",
    ),
    "dry_run": click.option(
        "--dry-run", is_flag=True, help="Only say what there is to do.",
    ),
    "workers": click.option(
        "--workers", type=click.IntRange(1), metavar="N",
        help="So many processes: a video each, or parts of a long one; by default one a device.",
    ),
    "shard": click.option(
        "--shard", type=Part(), metavar="I/N",
        help="Do only the I-th of N parts of the files, for several machines.",
    ),
    "report": click.option(
        "--report", metavar="FILE.jsonl", type=TextFile(),
        help="Where to write what became of every file; of several, report.jsonl by default.",
    ),
    "ray": click.option(
        "--ray", metavar="auto|local|HOST:PORT",
        help="Work on a Ray cluster, on every GPU or CPU of it or --workers of them.",
    ),
    "json": click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table."),
    "config": click.option(
        "--config", metavar="FILE.toml", type=click.Path(path_type=Path, dir_okay=False),
        is_eager=True, expose_value=False, envvar="POSE3D_CONFIG", callback=configure,
        help="Take options from a file.",
    ),
    "quiet": click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=_listen,
        help="Say nothing but what went wrong.",
    ),
    "verbose": click.option(
        "-v", "--verbose", is_flag=True, expose_value=False, callback=_listen,
        help="Show every event with its time, and where errors come from.",
    ),
    "log_file": click.option(
        "--log-file", metavar="FILE", is_eager=True, expose_value=False, callback=_listen,
        type=TextFile(),
        help="Write every event with its time to a file.",
    ),
}  # fmt: skip


DETECTION = (
    "detector",
    "dialect",
    "registry",
    "precision",
    "engine",
    "decoder",
    "short_side",
    "batch_size",
    "min_score",
    "max_people",
    "people",
    "person",
    "min_track",
    "start",
    "end",
)
LIFTING = ("lifter", "fov", "focal_length", "camera", "camera_up", "height", "skip")
BATCH = ("pattern", "retry_failed", "dry_run", "workers", "shard", "report", "ray")
COMMON = ("config", "quiet", "verbose", "log_file")


def options(*names: str) -> Callable[[F], F]:
    """Decorate a command with shared options, in this order."""

    def decorate(function: F) -> F:
        for name in reversed(names):
            function = OPTIONS[name](function)
        return function

    return decorate
