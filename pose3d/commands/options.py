"""Options that several commands share, from arguments, environment and configuration files."""

import logging
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

F = TypeVar("F", bound=Callable[..., Any])


class Seconds(click.ParamType):
    """``12.5``, ``12.5s``, ``1:30`` or ``1:02:03.5``."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds of a text or number."""
        try:
            parts = [float(part) for part in str(value).removesuffix("s").split(":")]
        except ValueError:
            parts = []
        if not 1 <= len(parts) <= 3 or not all(0 <= part < float("inf") for part in parts):
            self.fail(f"{value!r} is no time: write seconds, or 1:30", param, ctx)
        return sum(part * 60**n for n, part in enumerate(reversed(parts)))


class Names(click.ParamType):
    """Names with commas between them, or a list of them in a configuration file."""

    name = "names"

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names, each once."""
        parts = value.split(",") if isinstance(value, str) else value
        names = tuple(dict.fromkeys(str(part).strip() for part in parts if str(part).strip()))
        for name in names:
            if name not in self.allowed:
                self.fail(f"{name!r} is none of {', '.join(self.allowed)}", param, ctx)
        return names


class Count(click.ParamType):
    """``all``, ``main`` or a number of people."""

    name = "people"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        """A number as int, the words as they are."""
        if value in ("all", "main"):
            return str(value)
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is neither all, main nor a number above 0", param, ctx)
        return int(value)


def configure(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    """Take defaults from a TOML file: its keys, and those of the table named as the command.

    Over them go environment variables that are for all commands. Keys are options without their
    dashes; ``[evaluate.poses]`` is for ``pose3d evaluate poses``.
    """
    from pose3d.weights.defaults import config_file

    path = path or config_file()
    asked = ctx.get_parameter_source(str(param.name)) == ParameterSource.COMMANDLINE
    told = _from_file(ctx, path) if asked or path.is_file() else {}
    ctx.default_map = told | _from_environment(ctx.command)


def _from_environment(command: click.Command) -> dict[str, Any]:
    """Options that are set for all commands, such as ``POSE3D_DEVICE``."""
    found: dict[str, Any] = {}
    for param in command.params:
        value = os.environ.get(f"POSE3D_{str(param.name).upper()}")
        # A variable of its own is heeded by click, or by whoever reads it.
        if value and isinstance(param, click.Option) and param.name not in ("config", "registry"):
            found[str(param.name)] = (
                param.type.split_envvar_value(value) if param.multiple else value
            )
    return found


def _from_file(ctx: click.Context, path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise click.UsageError(f"{path} is no TOML: {error}") from None
    root = ctx.find_root().command
    _check_keys(path, table, root)
    defaults: dict[str, Any] = {}
    for name in ["", *ctx.command_path.split()[1:]]:
        table = table.get(name, {}) if name else table
        defaults |= {key: value for key, value in table.items() if not isinstance(value, dict)}
    return {key.replace("-", "_"): value for key, value in defaults.items()}


def _check_keys(path: Path, table: dict[str, Any], command: click.Command) -> None:
    """Refuse keys that are no option of a command, or of any below it, and unknown tables."""
    known = _option_names(command)
    commands = command.commands if isinstance(command, click.Group) else {}
    for key, value in table.items():
        if isinstance(value, dict) and key in commands:
            _check_keys(path, value, commands[key])
        elif isinstance(value, dict) or key.replace("-", "_") not in known:
            raise click.UsageError(f"{path}: {key} is no option of pose3d")


def _option_names(command: click.Command) -> set[str]:
    names = {str(p.name) for p in command.params if isinstance(p, click.Option)}
    if isinstance(command, click.Group):
        names = names.union(*map(_option_names, command.commands.values()))
    return names


class Part(click.ParamType):
    """``3/8``: the third of eight parts."""

    name = "part"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Which part, and of how many."""
        numbers = value if isinstance(value, tuple) else str(value).split("/")
        whole = len(numbers) == 2 and all(str(n).isdecimal() for n in numbers)
        part, parts = map(int, numbers) if whole else (0, 0)
        if not 1 <= part <= parts:
            self.fail(f"{value!r} is no part: write 1/8 to 8/8", param, ctx)
        return part, parts


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
    """Write our events, and nobody else's, to a file while the command runs."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"--log-file {path}: {error.strerror}") from None
    handler.setFormatter(TIMES)
    ours, others = logging.getLogger("pose3d"), logging.getLogger().handlers[:]
    levels = [other.level for other in others]
    ours.addHandler(handler)

    def end() -> None:
        ours.removeHandler(handler)
        handler.close()
        for other, level in zip(others, levels, strict=True):
            other.setLevel(level)

    ctx.call_on_close(end)


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
        help="Folder for the results; beside each input by default.",
    ),
    "detector": click.option(
        "--detector", metavar="NAME|URL|FILE", help="Weights that find people and keypoints.",
    ),
    "lifter": click.option(
        "--lifter", metavar="NAME|URL|FILE", help="Weights that turn keypoints into 3D.",
    ),
    "video": click.option(
        "--video", type=click.Path(path_type=Path, exists=True), metavar="FILE|FOLDER",
        help="The video, or where it lies; by default beside the recording, or here.",
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
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:0,cuda:1",
        help="Where the networks run; for several videos, cuda is every GPU.",
    ),
    "precision": click.option(
        "--precision", default="auto", show_default=True,
        type=click.Choice(["auto", "fp32", "fp16", "bf16"]),
        help="Of the detector; auto is half on a GPU, single on a CPU.",
    ),
    "engine": click.option(
        "--engine", default="auto", show_default=True,
        type=click.Choice(["auto", "torch", "openvino"]),
        help="What runs the detector; auto is OpenVINO on a CPU, where it is installed.",
    ),
    "short_side": click.option(
        "--short-side", type=click.IntRange(64), metavar="PX",
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
        "--person", type=click.IntRange(1), metavar="ID", help="Keep this one alone.",
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
        help="How tall people are; 1=1.78m,2=165cm for several.",
    ),
    "skip": click.option(
        "--skip", type=Names("clean", "steady", "world", "feet"), default="", metavar="STEP,...",
        help="Leave out steps of stage 2: clean, steady, world, feet.",
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
        "--start", type=Seconds(), metavar="T", help="Begin here: seconds, or 1:30.",
    ),
    "end": click.option("--end", type=Seconds(), metavar="T", help="End here."),
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
        help="Work on so many videos at once; by default one on every device.",
    ),
    "shard": click.option(
        "--shard", type=Part(), metavar="I/N",
        help="Do only the I-th of N parts of the files, for several machines.",
    ),
    "report": click.option(
        "--report", metavar="FILE.jsonl", type=click.Path(path_type=Path, dir_okay=False),
        help="Where to say what became of every file; report.jsonl with the results for several.",
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
        "--log-file", metavar="FILE", expose_value=False, callback=_listen,
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write every event with its time to a file.",
    ),
}  # fmt: skip


DETECTION = (
    "detector",
    "dialect",
    "registry",
    "device",
    "precision",
    "engine",
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
