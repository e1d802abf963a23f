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

    Keys are options without their dashes; ``[evaluate.poses]`` is for ``pose3d evaluate poses``.
    """
    from pose3d.weights.defaults import config_file

    path = path or config_file()
    asked = ctx.get_parameter_source(str(param.name)) == ParameterSource.COMMANDLINE
    if not asked and not path.is_file():
        return
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
    ctx.default_map = {key.replace("-", "_"): value for key, value in defaults.items()}


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


def _listen(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Set the console to say more or less."""
    if value:
        setattr(ctx.obj, str(param.name), True)
        level = logging.ERROR if param.name == "quiet" else logging.INFO
        logging.getLogger("pose3d").setLevel(level)


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
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:1",
        help="Where the networks run.",
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
        help="Show logs, and where errors come from.",
    ),
}  # fmt: skip


DETECTION = (
    "detector",
    "dialect",
    "registry",
    "device",
    "precision",
    "engine",
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
COMMON = ("config", "quiet", "verbose")


def options(*names: str) -> Callable[[F], F]:
    """Decorate a command with shared options, in this order."""

    def decorate(function: F) -> F:
        for name in reversed(names):
            function = OPTIONS[name](function)
        return function

    return decorate
