"""``pose3d train``: what makes the bundled weights."""

from pathlib import Path
from typing import Any

import click

from pose3d.commands.console import Console
from pose3d.commands.options import COMMON, options
from pose3d.commands.values import Number

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def schedule(function: Any) -> Any:
    """Options of both trainings; what is not given is as in the recipe."""
    for option in (
        click.option(
            "--precision", type=click.Choice(["auto", "fp32", "bf16"]),
            help="auto is bf16 on a GPU, fp32 on a CPU.",
        ),
        click.option("--seed", type=int, metavar="N", help="Of all chance."),
        click.option(
            "--minutes", "stop_after", type=Number(0, min_open=True), metavar="M",
            help="Save and stop after so long; the same command goes on from there.",
        ),
        click.option(
            "--rate", type=Number(0, min_open=True), metavar="R", help="Learning rate.",
        ),
        click.option("--warmup", type=click.IntRange(1), metavar="N", help="Steps to full rate."),
        click.option("--batch", type=click.IntRange(1), metavar="N", help="Examples a step."),
        click.option("--steps", type=click.IntRange(1), metavar="N", help="Length of schedule."),
        click.option(
            "--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
            help="For the weights and the state; a state that is there is resumed.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


@click.group()
def train() -> None:
    """Train a detector or a lifter."""


@train.command()
@click.option("--annotations", type=FILE, required=True, help="COCO person_keypoints file.")
@click.option("--images", type=FOLDER, required=True, help="Its pictures.")
@click.option("--val-annotations", type=FILE, help="The same, to judge on.")
@click.option("--val-images", type=FOLDER, help="Their pictures.")
@click.option("--sprites", type=FILE, help="COCO file of cut-out people to lay over the pictures.")
@click.option(
    "--init", metavar="NAME|URL|FILE",
    help="Weights to fine-tune, of any detector; or MoveNet's .npz, a body to begin with.",
)  # fmt: skip
@click.option("--canvas", type=click.IntRange(64), metavar="PX", help="Side of training pictures.")
@click.option(
    "--short-side", type=click.IntRange(64), metavar="PX", help="Of its input once it is trained."
)
@click.option("--body-rate", type=Number(0), metavar="R", help="Share of the rate for the body.")
@click.option(
    "--frozen-blocks", type=click.IntRange(0), metavar="N",
    help="First blocks of the body that stay as they are: R-50 has 16, R-101 33, MoveNet 17.",
)  # fmt: skip
@click.option("--compile", is_flag=True, default=None, help="Compile the network: faster on GPUs.")
@schedule
@options("device", "dialect", "registry", *COMMON)
@click.pass_obj
def detector(console: Console, **chosen: Any) -> None:
    """Train a detector on data in COCO's format.

    It is the compact one, or of --init: public weights stay in their family's dialect, and what
    comes out runs as they do.

    Several GPUs: torchrun --nproc-per-node N -m pose3d train detector ...
    """
    with console.loading():
        from pose3d.train.detector import Recipe, train

    train(_recipe(Recipe, chosen), console.say)


@train.command()
@click.option(
    "--archive", "archives", type=FILE, required=True, multiple=True, metavar="FILE.npz",
    help="Motion capture to train on; may be given several times.",
)  # fmt: skip
@click.option("--channels", type=click.IntRange(1), metavar="N", help="Of every layer.")
@click.option("--outputs", type=click.IntRange(1), metavar="N", help="Frames lifted a sequence.")
@click.option("--held-out", type=FILE, metavar="FILE.npz", help="The same, to judge on.")
@click.option("--init", metavar="NAME|URL|FILE", help="Lifter of the same shape to start from.")
@schedule
@options("device", *COMMON)
@click.pass_obj
def lifter(console: Console, **chosen: Any) -> None:
    """Train the temporal lifter on motion capture."""
    with console.loading():
        from pose3d.train.lifter import Recipe, train

    train(_recipe(Recipe, chosen), console.say)


def _recipe(kind: Any, chosen: dict[str, Any]) -> Any:
    """A recipe with what was given, the rest by its own defaults."""
    return kind(**{name: value for name, value in chosen.items() if value is not None})
