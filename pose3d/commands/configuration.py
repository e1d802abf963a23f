"""Options from configuration files, and from environment variables that are for all commands."""

import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pose3d import limits
from pose3d.errors import PoseError
from pose3d.parse import from_toml, read_bytes


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
        table = from_toml(read_bytes(path, limits.TOML_BYTES).decode())
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from None
    except PoseError as error:
        raise click.UsageError(str(error)) from None
    except ValueError as error:
        raise click.UsageError(f"{path} is no TOML: {error}") from None
    root = ctx.find_root().command
    _check_keys(path, table, root)
    defaults: dict[str, Any] = {}
    for name in ["", *ctx.command_path.split()[1:]]:
        table = table.get(name, {}) if name else table
        defaults |= {key: value for key, value in table.items() if not isinstance(value, dict)}
    return {key.replace("-", "_"): _value(path, key, value) for key, value in defaults.items()}


def _value(path: Path, key: str, value: Any) -> Any:
    """What click converts without an error of its own: of numbers it wants the text."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(value)
    raise click.UsageError(f"{path}: {key} is neither text, a number, nor a list of words")


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
