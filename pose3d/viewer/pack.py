"""Arrays over time as few bytes: whole numbers, differences, planes, deflate.

An array (T, ...) of floats becomes 16-bit numbers q with value = offset + scale q and -32768 for
NaN; per component the differences from row to row, modulo 65536; first all low bytes, then all high
ones, component by component. Smooth motion leaves little after zlib. Times stay float64. All is
little-endian.
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = -32768
LARGEST = 32767


class Packer:
    """Collects arrays; says where each of them is."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def times(self, array: NDArray[np.float64]) -> dict[str, Any]:
        """Add numbers (T,) as they are; gives what the reader needs to find them."""
        return self._add(array.astype("<f8").tobytes(), kind="f8", rows=len(array), width=1)

    def floats(self, array: NDArray[Any]) -> dict[str, Any]:
        """Add numbers (T, ...), to 1/65000 of their range; gives what the reader needs."""
        rows = len(array)
        flat = np.asarray(array, float).reshape(rows, -1 if rows else 1)
        known = np.isfinite(flat)
        low, high = (flat[known].min(), flat[known].max()) if known.any() else (0.0, 0.0)
        offset, scale = (low + high) / 2, max((high - low) / 2 / LARGEST, 1e-9)
        whole = np.where(known, np.rint((np.where(known, flat, offset) - offset) / scale), MISSING)
        steps = np.diff(whole.astype(np.int64), axis=0, prepend=0).astype(np.uint16).T
        planes = np.stack([steps & 255, steps >> 8]).astype(np.uint8)
        return self._add(
            planes.tobytes(), kind="i2", rows=rows, width=flat.shape[1], offset=float(offset),
            scale=float(scale),
        )  # fmt: skip

    def _add(self, content: bytes, **facts: Any) -> dict[str, Any]:
        at = self._size
        self._parts.append(content)
        self._size += len(content)
        return {"at": at, **facts}

    def packed(self) -> bytes:
        """Everything that was added."""
        return zlib.compress(b"".join(self._parts), 6)
