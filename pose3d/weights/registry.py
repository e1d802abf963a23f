"""What weights there are, by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pose3d.errors import UsageError

Kind = Literal["detector", "lifter"]


@dataclass(frozen=True)
class Weights:
    """One file of weights."""

    name: str
    kind: Kind
    family: str
    architecture: str
    file: str
    licence: str
    description: str
    bundled: bool = False


_ENTRIES = (
    Weights(
        name="compact",
        kind="detector",
        family="pose3d",
        architecture="compact",
        file="compact.safetensors",
        licence="Apache-2.0",
        description="small Keypoint R-CNN for laptops, our own training",
        bundled=True,
    ),
    Weights(
        name="temporal",
        kind="lifter",
        family="pose3d",
        architecture="temporal",
        file="temporal.safetensors",
        licence="Apache-2.0",
        description="temporal convolutions with a score for every keypoint, our own training",
        bundled=True,
    ),
)


def bundled_folder() -> Path:
    """Where the weights that come with pose3d lie: in the wheel, or in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "checkpoints"
    return installed if installed.is_dir() else package.parent / "checkpoints"


def available_weights(kind: Kind | None = None) -> list[Weights]:
    """All weights, or those of one kind, the bundled ones first."""
    return [entry for entry in _ENTRIES if kind in (None, entry.kind)]


def lookup(name: str, kind: Kind | None = None) -> Weights:
    """The weights called `name`.

    Raises
    ------
    UsageError
        If there are none, or they are of another kind; the message names what there is.
    """
    entries = {entry.name: entry for entry in available_weights()}
    if name not in entries:
        names = ", ".join(entry.name for entry in available_weights(kind))
        raise UsageError(
            f"no {kind or 'weights'} is called {name!r}, nor is it a file: try {names}"
        )
    entry = entries[name]
    if kind not in (None, entry.kind):
        raise UsageError(f"{name} is a {entry.kind}, not a {kind}")
    return entry
