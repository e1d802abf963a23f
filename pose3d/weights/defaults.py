"""Which weights a user takes when no name is given: two lines of the configuration file."""

import os
from pathlib import Path

from pose3d import limits
from pose3d.errors import PoseError, UsageError
from pose3d.parse import from_toml, read_bytes
from pose3d.weights.registry import Kind, lookup

_BUNDLED: dict[Kind, str] = {"detector": "compact", "lifter": "temporal"}


def config_file() -> Path:
    """``$POSE3D_CONFIG``, or ``config.toml`` in the platform's folder for such files."""
    if path := os.environ.get("POSE3D_CONFIG"):
        return Path(path).expanduser()
    from platformdirs import user_config_path

    return user_config_path("pose3d", appauthor=False) / "config.toml"


def default(kind: Kind) -> str:
    """The name of the weights to take: the user's choice, else the bundled ones.

    Raises
    ------
    UsageError
        If the configuration file is no TOML.
    """
    path = config_file()
    if not path.is_file():
        return _BUNDLED[kind]
    try:
        table = from_toml(read_bytes(path, limits.TOML_BYTES).decode())
        return str(table.get(kind, _BUNDLED[kind]))
    except (OSError, ValueError) as error:
        raise UsageError(f"the configuration {path} cannot be read: {error}") from None


def set_default(name: str) -> tuple[Kind, Path]:
    """Take the weights called `name` from now on; the rest of the file stays as it is.

    Returns
    -------
    kind, path
        What was set, and the configuration file that holds it.

    Raises
    ------
    PoseError
        If no weights have that name, or the file cannot be changed.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    kind, path = lookup(name).kind, config_file()
    try:
        document = tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
        document[kind] = name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_text(tomlkit.dumps(document), "utf-8")
        part.replace(path)
    except TOMLKitError as error:
        raise UsageError(f"the configuration {path} is no TOML: {error}") from None
    except OSError as error:
        raise PoseError(f"the configuration {path} cannot be changed: {error.strerror}") from None
    return kind, path
