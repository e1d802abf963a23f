"""Rates of programs that take turns: what lifter.py and speed.py have in their tables."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """Frames a second over all rounds, and processor time of a frame.

    Attributes
    ----------
    cpu
        In the unit that the table says.
    ours
        How many times as fast ours is.
    """

    label: str
    median: float
    low: float
    high: float
    cpu: float
    ours: float


@dataclass(frozen=True)
class Run:
    """One round of a program: frames, and seconds by the clock and of processors."""

    frames: float
    wall: float
    cpu: float


def rows(runs: dict[str, list[Run]], ours: str, unit: float) -> list[Row]:
    """A row for every program that has run; `unit` is the table's unit of processor time, in s."""
    rates = {label: [run.frames / run.wall for run in done] for label, done in runs.items() if done}
    best = median(rates[ours])
    return [
        Row(
            label,
            median(rate),
            min(rate),
            max(rate),
            median(run.cpu / run.frames for run in runs[label]) / unit,
            best / median(rate),
        )
        for label, rate in rates.items()
    ]


def lines(rows: list[Row], unit: str) -> list[str]:
    """The rows as text."""
    wide = max(len(row.label) for row in rows) + 2
    cost = f"CPU {unit} a frame"
    found = [f"{'':{wide}}{'frames/s':>10}  {'lowest, highest':20}{cost:>16}{'ours':>10}"]
    for row in rows:
        digits = 1 if row.median < 100 else 0
        rate = f"{row.median:10,.{digits}f}"
        spread = f"{row.low:,.{digits}f}, {row.high:,.{digits}f}"
        found.append(f"{row.label:{wide}}{rate}  {spread:20}{row.cpu:16,.0f}{row.ours:9.2f}x")
    return found
