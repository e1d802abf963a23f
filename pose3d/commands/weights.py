"""``pose3d weights``: which there are, and where."""

import click

from pose3d.commands.options import COMMON, options


@click.group()
def weights() -> None:
    """Weights of the networks."""


@weights.command("list")
@options(*COMMON)
def list_() -> None:
    """Names that --detector and --lifter take."""
    from pose3d.weights import available_weights, default

    entries = available_weights()
    chosen = {default("detector"), default("lifter")}
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        where = "bundled" if entry.bundled else f"{entry.megabytes or '?'} MB"
        mark = "*" if entry.name in chosen else " "
        click.echo(
            f"{mark} {entry.name:{width}}  {entry.kind:8}  {where:>7}  {entry.licence:14}  "
            f"{entry.description}"
        )


@weights.command()
@click.argument("name", metavar="NAME|URL|FILE")
@options(*COMMON)
def path(name: str) -> None:
    """The file behind a name; fetched if it must be."""
    from pose3d.weights import find

    click.echo(find(name))
