"""What options can be besides text and numbers: times, names, counts, parts, devices."""

from pathlib import Path
from typing import Any

import click


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


class Number(click.FloatRange):
    """A number within a range, and no NaN, which no range refuses."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """A float."""
        number = float(super().convert(value, param, ctx))
        if number != number or abs(number) == float("inf"):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


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


class TextFile(click.Path):
    """A file to which lines are added: a new one, or one that holds text, and no video."""

    name = "file"

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path."""
        path = Path(super().convert(value, param, ctx))  # type: ignore[arg-type]
        try:
            with open(path, "rb") as file:
                begin = file.read(1024)
        except OSError:
            return path  # who writes to it says what is wrong, if anything
        if b"\0" in begin:
            self.fail(f"{path} is there and no text: give another file", param, ctx)
        return path


class Device(click.ParamType):
    """A device, or where that makes sense several with commas between them."""

    name = "device"

    def __init__(self, several: bool = False) -> None:
        self.several = several

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The same, if there can be such devices."""
        from pose3d.errors import UsageError
        from pose3d.options import check_device

        for name in str(value).split(",") if self.several else [str(value)]:
            try:
                check_device(name)
            except UsageError as error:
                self.fail(str(error), param, ctx)
        return str(value)
