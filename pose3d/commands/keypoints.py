"""What must be said about keypoints of other tools that their files leave out."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from pose3d.commands.values import Number

F = TypeVar("F", bound=Callable[..., Any])

# As in pose3d.read2d, which needs numpy.
FORMATS = ("alphapose", "coco", "mediapipe", "mmpose", "openpose", "videopose3d")


class Size(click.ParamType):
    """``1920x1080``."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Width and height of a text."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([1-9]\d{0,5})[x×]([1-9]\d{0,5})", str(value).strip().lower())
        if not match:
            self.fail(f"{value!r} is no size: write width and height, 1920x1080", param, ctx)
        return int(match[1]), int(match[2])


_OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option(
        "--fps", type=Number(0, 1000, min_open=True), metavar="N",
        help="Frames a second, for keypoints of another tool.",
    ),
    click.option(
        "--size", type=Size(), metavar="WxH",
        help="Of the picture, for keypoints of another tool: 1920x1080.",
    ),
    click.option(
        "--format", "form", type=click.Choice(FORMATS),
        help="Of another tool's keypoints; told by what a file holds if not given.",
    ),
)  # fmt: skip


def keypoint_options(function: F) -> F:
    """Decorate a command that takes keypoints of other tools."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
