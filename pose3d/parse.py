"""Text that anybody may have written: read up to a size, parsed up to a depth."""

import json
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pose3d import limits
from pose3d.errors import PoseError


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a file of at most so many bytes.

    Raises
    ------
    PoseError
        If it is larger, or no file but a pipe or device, which may have no end.
    OSError
        If it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise PoseError(f"{path} is no file")
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > most:
            raise PoseError(f"{path} is larger than {limits.in_words(most)}: refused")
        return file.read()


def from_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises
    ------
    ValueError
        If it is none, or is nested deeper than :data:`pose3d.limits.JSON_DEPTH`.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    level: list[Any] = [value]
    for _ in range(limits.JSON_DEPTH + 1):
        level = [
            inner for outer in level for inner in _within(outer) if type(inner) in (list, dict)
        ]
        if not level:
            return value
    raise _too_deep()


def from_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises
    ------
    ValueError
        If it is none, too long or too deep.
    """
    if len(text) > limits.TOML_BYTES:
        raise ValueError(f"longer than {limits.in_words(limits.TOML_BYTES)}")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _too_deep() from None


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> ValueError:
    return ValueError(f"nested more than {limits.JSON_DEPTH} deep")
