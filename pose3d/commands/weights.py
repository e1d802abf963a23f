"""``pose3d weights``: which there are, where they lie, and what can be done with them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pose3d.commands.console import Console
from pose3d.commands.options import COMMON, options
from pose3d.errors import UsageError

if TYPE_CHECKING:
    from pose3d.weights import Weights

OUT = click.Path(path_type=Path)


@click.group()
def weights() -> None:
    """Weights of the networks."""


@weights.command("list")
@options("registry", "json", *COMMON)
def list_(as_json: bool) -> None:
    """Names that --detector and --lifter take; * marks the default ones.

    AP is as published, on COCO's val2017, of boxes and of keypoints. WHERE is what is on this
    machine: bundled with pose3d, cached from a download, or the user's own file.
    """
    from pose3d.weights import available_weights, default, place

    chosen = {default("detector"), default("lifter")}
    entries = available_weights()
    if as_json:
        facts = [
            asdict(entry)
            | {
                "default": entry.name in chosen,
                "where": _where(entry),
                "path": str(place(entry)),
            }
            for entry in entries
        ]
        click.echo(json.dumps(facts, indent=1))
        return
    rows = [("", "NAME", "KIND", "AP BOX", "KPTS", "MB", "WHERE", "LICENCE", "WHAT")]
    for entry in entries:
        rows.append(
            (
                "*" if entry.name in chosen else "",
                entry.name,
                entry.kind,
                _figure(entry.box_ap),
                _figure(entry.keypoint_ap),
                str(entry.megabytes or ""),
                _where(entry),
                entry.licence + ("" if entry.commercial else " (not commercial)"),
                entry.description,
            )
        )
    _print_table(rows)


@weights.command()
@click.argument("name", metavar="NAME|URL|FILE")
@options("registry", *COMMON)
def path(name: str) -> None:
    """The file behind a name; fetched if it must be."""
    from pose3d.weights import find

    click.echo(find(name))


@weights.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|URL...")
@options("registry", *COMMON)
@click.pass_obj
def download(console: Console, names: tuple[str, ...]) -> None:
    """Fetch weights into the cache, to use them later without a network.

    The licence is said before each is fetched. A break is resumed when the command is run again.
    """
    from pose3d.weights import find

    for name in names:
        console.say(str(find(name)))


@weights.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|URL|FILE...")
@options("dialect", "registry", *COMMON)
@click.pass_obj
def verify(console: Console, names: tuple[str, ...], dialect: str | None) -> None:
    """Check files by their SHA-256 and read them whole, without the network."""
    from pose3d.weights import verify as check

    for name in names:
        found = check(name, dialect)
        holds = f"{found.checkpoint.architecture} ({found.checkpoint.dialect})"
        console.say(f"{found.path}: whole, {holds}")
        console.say(f"SHA-256 {found.sha256}, compared with: {found.against}")


@weights.command()
@click.argument("source", metavar="NAME|URL|FILE")
@click.argument("out", type=OUT, metavar="OUT.safetensors|DIR")
@options("dialect", "registry", "overwrite", *COMMON)
@click.pass_obj
def convert(console: Console, source: str, out: Path, dialect: str | None, overwrite: bool) -> None:
    """Write weights of any family as safetensors.

    That needs no pickle, and what comes out gives equal results.
    """
    from pose3d.weights import convert as write

    _check_suffix(out, ".safetensors")
    console.say(f"wrote {write(source, out, dialect=dialect, overwrite=overwrite)}")


@weights.command("default")
@click.argument("name", required=False, metavar="[NAME]")
@options("registry", *COMMON)
@click.pass_obj
def default_(console: Console, name: str | None) -> None:
    """Take the detector or lifter NAME from now on; without NAME, say which are taken."""
    from pose3d.weights import default, set_default

    if name is None:
        click.echo(f"detector {default('detector')}\nlifter {default('lifter')}")
        return
    kind, file = set_default(name)
    console.say(f"{name} is the default {kind} from now on (in {file})")


@weights.command()
@click.argument("detector", metavar="NAME|URL|FILE")
@click.argument("out", type=OUT, metavar="OUT.onnx")
@click.option(
    "--size", type=(click.IntRange(32), click.IntRange(32)), metavar="WIDTH HEIGHT",
    help="Of the pictures that the exported network takes, pixels, multiples of 32.",
)  # fmt: skip
@options("dialect", "registry", "overwrite", *COMMON)
@click.pass_obj
def export(
    console: Console,
    detector: str,
    out: Path,
    size: tuple[int, int] | None,
    dialect: str | None,
    overwrite: bool,
) -> None:
    """Write a detector's network as ONNX.

    docs/weights.md says what the files take and give. Needs `pip install "pose3d[export]"`.
    """
    from pose3d.detect.onnx import export_onnx

    _check_suffix(out, ".onnx")
    for path in export_onnx(detector, out, size=size, dialect=dialect, overwrite=overwrite):
        console.say(f"wrote {path}")


def _check_suffix(out: Path, suffix: str) -> None:
    """Refuse a name that says that a file is something else."""
    if not out.is_dir() and out.suffix.lower() != suffix:
        raise UsageError(f"{out}: what is written is {suffix}, so let its name end like that")


def _where(entry: "Weights") -> str:
    from pose3d.weights import place

    if not place(entry).is_file():
        return "missing" if entry.bundled or not entry.urls else ""
    return "bundled" if entry.bundled else "cached" if entry.urls else "file"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _print_table(rows: Sequence[Sequence[Any]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
