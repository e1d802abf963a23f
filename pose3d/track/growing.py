"""Arrays that grow row by row for as long as a video lasts, and take no more memory than they hold.

Their rows lie in blocks, each a mapping of its own: nothing is moved as they grow, and what is done
with goes back to the system, whatever its allocator would keep.
"""

from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 20  # bytes; only those that are written to take memory


class Growing:
    """Rows of one kind.

    Parameters
    ----------
    kind
        A structured type.

    Examples
    --------
    >>> rows = Growing(np.dtype([("frame", np.int64), ("time", np.float64)]))
    >>> rows.append((7, 0.25))
    >>> rows[-1]["time"]
    np.float64(0.25)
    >>> rows.fields()
    (array([7]), array([0.25]))
    """

    def __init__(self, kind: np.dtype[Any]) -> None:
        self._kind = kind
        self._room = BLOCK // kind.itemsize  # rows of a block
        self._blocks: list[NDArray[Any]] = []
        self._count = 0

    def append(self, row: tuple[Any, ...]) -> None:
        """Add a row at the end."""
        place = self._count % self._room
        if place == 0:
            self._blocks.append(np.frombuffer(mmap(-1, BLOCK), self._kind, self._room))
        self._blocks[-1][place] = row
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> Any:
        """One row, which may be written to."""
        if not -self._count <= row < self._count:
            raise IndexError(row)
        block, place = divmod(row % self._count, self._room)
        return self._blocks[block][place]

    def fields(self, start: int = 0) -> tuple[NDArray[Any], ...]:
        """Every field from a row on, as an array of its own."""
        return self._copied(self._blocks[start // self._room :], start)

    def taken(self) -> tuple[NDArray[Any], ...]:
        """Every field as an array of its own; the rows themselves are gone."""
        blocks, self._blocks = self._blocks, []
        arrays = self._copied(blocks, 0)
        self._count = 0
        return arrays

    def _copied(self, blocks: list[NDArray[Any]], start: int) -> tuple[NDArray[Any], ...]:
        """The fields of rows from `start` on; the list of their blocks is worked off."""
        kinds = [self._kind[name] for name in self._kind.names or ()]
        arrays = tuple(np.empty((self._count - start, *k.shape), k.base) for k in kinds)
        first, at = start % self._room, 0
        while blocks:
            block = blocks.pop(0)[first : first + len(arrays[0]) - at]
            for array, name in zip(arrays, self._kind.names or (), strict=True):
                array[at : at + len(block)] = block[name]
            at, first = at + len(block), 0
        return arrays
