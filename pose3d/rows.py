"""Long sequences worked on in parts, so that memory does not grow with their length.

What is solved for a row heeds rows near it; from a margin on they no longer matter.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

WINDOW = 1024  # rows worked on at once


class Rows(Protocol):
    """An array (T, ...), or what gives its rows when they are asked for."""

    def __getitem__(self, rows: slice, /) -> Any: ...


@dataclass(frozen=True)
class Computed:
    """Rows that are worked out anew whenever they are asked for.

    Attributes
    ----------
    compute
        Gives the rows of a slice, whose start and stop are numbers.
    """

    compute: Callable[[slice], Any]

    def __getitem__(self, rows: slice) -> Any:
        return self.compute(rows)

    def part(self, whole: slice) -> "Computed":
        """The rows of a slice, counted from its start."""
        first = whole.start
        return Computed(lambda rows: self[slice(first + rows.start, first + rows.stop)])


@dataclass(frozen=True)
class Window:
    """Rows worked on at once.

    Attributes
    ----------
    core
        Those that are wanted.
    around
        Those with the ones on either side that they heed.
    """

    core: slice
    around: slice

    @property
    def inner(self) -> slice:
        """The core, counted from the start of what is around it."""
        return slice(self.core.start - self.around.start, self.core.stop - self.around.start)


def windows(
    times: NDArray[np.floating], margin: float, telling: NDArray[np.bool_] | None = None
) -> Iterator[Window]:
    """Windows whose cores are all rows in turn.

    Parameters
    ----------
    times
        (T,) seconds, rising.
    margin
        Seconds on either side that a core heeds.
    telling
        (T,) False for rows without any measurement: their time does not count for the margin, so
        that both sides of a hole are heeded however long it lasts.
    """
    count = len(times)
    clock = times
    if telling is not None and not telling.all() and count > WINDOW:
        clock = np.concatenate([[0.0], np.cumsum(np.diff(times) * telling[1:])])
    for core in chunks(count):
        low = np.searchsorted(clock, clock[core.start] - margin)
        high = np.searchsorted(clock, clock[core.stop - 1] + margin, "right")
        yield Window(core, slice(min(int(low), core.start), max(int(high), core.stop)))


def chunks(count: int, size: int | None = None) -> Iterator[slice]:
    """All rows, so many (:data:`WINDOW`) at a time."""
    size = size or WINDOW
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
