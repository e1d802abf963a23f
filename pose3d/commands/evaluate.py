"""``pose3d evaluate``: how good poses, detectors and lifters are."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pose3d.commands.console import Bars, Console
from pose3d.commands.options import COMMON, options
from pose3d.commands.recordings import check_recording

if TYPE_CHECKING:  # numpy takes longer than all of `pose3d --help`
    from pose3d.evaluate.recordings import RecordingErrors

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group()
def evaluate() -> None:
    """Measure poses, a detector or a lifter against a truth."""


@evaluate.command()
@click.argument("prediction", type=FILE)
@click.argument("truth", type=FILE)
@options("json", *COMMON)
def poses(prediction: Path, truth: Path, as_json: bool) -> None:
    """How far the 3D poses of a recording are from the truth, in mm.

    PREDICTION is a NAME.pose3d.npz; TRUTH another one, or an .npz like those of the rendered clips
    (data/README.md), of one person or several.
    """
    from pose3d.evaluate.recordings import evaluate_files

    for path in (prediction, truth):
        if path.suffix.lower() != ".npz":
            check_recording(path)
    errors = evaluate_files(prediction, truth)
    if as_json:
        click.echo(json.dumps(asdict(errors)))
    for line in () if as_json else _errors(errors):
        click.echo(line)


@evaluate.command()
@click.option(
    "--annotations",
    type=FILE,
    required=True,
    metavar="COCO.json",
    help="COCO person_keypoints file (may be gzipped).",
)
@click.option("--images", type=FOLDER, required=True, metavar="DIR", help="Its pictures.")
@click.option("--every", type=click.IntRange(1), default=1, metavar="N", help="Every Nth picture.")
@options("detector", "dialect", "registry", "device", "precision", "json", *COMMON)
@click.pass_obj
def detector(
    console: Console,
    annotations: Path,
    images: Path,
    every: int,
    detector: str | None,
    dialect: str | None,
    device: str,
    precision: str,
    as_json: bool,
) -> None:
    """OKS-AP of a detector on data in COCO's format."""
    with console.loading():
        from pose3d.detect import load_detector
        from pose3d.evaluate.detector import evaluate_detector
        from pose3d.weights import default

    # AP is the area under the whole curve, so low scores count too.
    name = detector or default("detector")
    model = load_detector(name, device, precision, min_score=0.01, dialect=dialect)
    bars = Bars("evaluate", shown=not console.quiet)
    done = 0

    def advance(pictures: int) -> None:
        nonlocal done
        done += pictures
        bars.advance("pictures", done)

    scores = evaluate_detector(annotations, images, model, every, advance)
    bars.close()
    _print(asdict(scores), as_json)


@evaluate.command()
@click.argument("archive", type=FILE)
@click.option(
    "--noise", type=click.Choice(["measured", "hard", "none"]), default="measured",
    show_default=True, help="Of keypoints: as of our own detector, worse, or true ones.",
)  # fmt: skip
@click.option("--seed", type=int, metavar="N", help="Of cameras and noise.")
@click.option("--views", type=click.IntRange(1), metavar="N", help="Cameras a clip.")
@options("lifter", "dialect", "registry", "device", "json", *COMMON)
@click.pass_obj
def lifter(
    console: Console,
    archive: Path,
    noise: str,
    lifter: str | None,
    dialect: str | None,
    device: str,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Error of a lifter on an archive of motion capture, in mm, seen by random cameras."""
    with console.loading():
        from pose3d.evaluate.lifter import evaluate_lifter
        from pose3d.lift import load_lifter
    from pose3d.train.noise import NOISES
    from pose3d.weights import default

    bars = Bars("evaluate", shown=not console.quiet)
    done = 0

    def advance(clips: int) -> None:
        nonlocal done
        done += clips
        bars.advance("clips", done)

    given = {name: value for name, value in chosen.items() if value is not None}
    model = load_lifter(lifter or default("lifter"), device, dialect=dialect)
    scores = evaluate_lifter(model, archive, NOISES[noise], progress=advance, **given)
    bars.close()
    _print(asdict(scores), as_json)


def _errors(errors: "RecordingErrors") -> Iterator[str]:
    """Errors of everyone as two tables, and of all together."""
    columns = [*errors.people.items()]
    if len(columns) > 1:
        columns.append(("mean", errors.mean))
    yield f"{'':12}{'frames':>8}{'found':>8}{'MPJPE':>9}{'PA-MPJPE':>10}{'N-MPJPE':>9}{'MPJVE':>9}"
    yield f"{'':28}{'mm':>9}{'mm':>10}{'mm':>9}{'mm/s':>9}"
    for who, found in columns:
        share = errors.coverage.get(who)
        covered = "" if share is None else f"{share:.0%}"
        yield (
            f"{who:12}{found.frames:8}{covered:>8}{found.mpjpe:9.1f}{found.pa_mpjpe:10.1f}"
            f"{found.n_mpjpe:9.1f}{found.mpjve:9.1f}"
        )
    yield ""
    yield f"{'MPJPE, mm':12}" + "".join(f"{who:>10}" for who, _ in columns)
    for n, joint in enumerate(errors.joints):
        yield f"{joint:12}" + "".join(f"{found.per_joint[n]:10.1f}" for _, found in columns)
    for who, number in errors.ids.items():
        if who != f"person {number}":
            yield f"{who} of the truth is {number} of the recording"
    for who in errors.coverage.keys() - errors.people.keys():
        yield f"{who} of the truth was not found"
    if errors.extra:
        numbers = ", ".join(map(str, errors.extra))
        yield f"not in the truth: {numbers} of the recording"


def _print(figures: dict[str, Any], as_json: bool) -> None:
    """Figures by name: one a line, or as one JSON object."""
    if as_json:
        click.echo(json.dumps(figures))
        return
    for name, value in _flat(figures):
        values = value if isinstance(value, tuple | list) else (value,)
        shown = (f"{v:.4g}" if isinstance(v, float) else str(v) for v in values)
        click.echo(f"{name:32} {' '.join(shown)}")


def _flat(figures: dict[str, Any], prefix: str = "") -> Any:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name} ")
        else:
            yield prefix + name, value
