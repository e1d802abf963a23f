"""What a recording's `meta` may say: whatever is there is of its kind, and within limits.

Nothing has to be there, as recordings can be made by hand; but whoever uses what there is may trust
it, whoever wrote the file.
"""

import math
from collections.abc import Callable
from typing import Any

from pose3d import limits


def check_facts(meta: Any) -> None:
    """Refuse facts that are none.

    Raises
    ------
    ValueError
        With the name of what is wrong.
    """
    _check(meta, "its facts", _table)
    for name, good in _PARTS.items():
        if name in meta:
            _check(meta[name], f"its {name}", good)
    _check_all(
        meta.get("source", {}),
        {
            "name": _name,
            "folder": _name,
            "sha256": _text,
            "size": _pair,
            "fps": _number(0, limits.RATE),
            "frames": _whole(limits.FRAMES),
            "bytes": _whole(1 << 62),
        },
    )
    _check_all(
        meta.get("options", {}),
        {"start": _number(0, 1e9), "end": _number(0, 1e9)},
    )
    _check_all(meta.get("camera", {}), {"K": _matrix, "size": _pair, "distortion": _distortion})


def _check_all(table: dict[str, Any], fields: dict[str, Callable[[Any], bool]]) -> None:
    for name, good in fields.items():
        if table.get(name) is not None:
            _check(table[name], f"its {name}", good)


def _check(value: Any, name: str, good: Callable[[Any], bool]) -> None:
    if not good(value):
        raise ValueError(f"{name} cannot be right")


def _table(value: Any) -> bool:
    return isinstance(value, dict)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _name(value: Any) -> bool:
    """Of a file: parts of names of files are made of it."""
    return isinstance(value, str) and len(value) <= limits.NAME and "\0" not in value


def _number(least: float, most: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and least <= value <= most


def _whole(most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 <= value <= most


def _list_of(good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(good, value))


def _pair(value: Any) -> bool:
    """Width and height."""
    return isinstance(value, list) and len(value) == 2 and all(map(_number(1, limits.SIDE), value))


def _scene(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _whole(limits.FRAMES)(value.get("frame"))
        and isinstance(value.get("still"), bool)
    )


def _distortion(value: Any) -> bool:
    return _list_of(_number(-1e9, 1e9))(value) and len(value) <= 14


def _matrix(value: Any) -> bool:
    """Of a camera, which sees something."""
    rows = _list_of(lambda row: isinstance(row, list) and len(row) == 3)(value) and len(value) == 3
    return (
        rows
        and all(
            type(n) in (int, float) and math.isfinite(n) and abs(n) < limits.COORDINATE
            for row in value
            for n in row
        )
        and min(value[0][0], value[1][1]) > 0
    )


_PARTS: dict[str, Callable[[Any], bool]] = {
    "schema": _whole(limits.NUMBER),
    "steps": _list_of(_text),
    "warnings": _list_of(_text),
    "scenes": _list_of(_scene),
    **dict.fromkeys(("source", "options", "weights", "camera"), _table),
}
