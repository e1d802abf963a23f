"""Numbers as text, a table at a time.

Formatting one number after another takes Python a microsecond each; an hour of motion has some
five million. Here every decimal place is computed for all numbers at once. Text is held as bytes
in arrays, in which 0 stands for no character.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Text = NDArray[np.uint8]  # (..., width); 0 is no character
LARGEST = 10**17  # scaled numbers must stay below, to be exact as 64-bit integers


def as_text(numbers: NDArray[Any], decimals: int = 0, missing: str = "") -> Text:
    """Decimal numbers (...,) as text (..., width).

    Parameters
    ----------
    numbers
        Of any shape; what is not finite is missing.
    decimals
        How many there are of each.
    missing
        What is written for those.
    """
    known = np.isfinite(numbers)
    size = np.abs(np.where(known, numbers, 0).astype(float)) * 10**decimals
    if size.size and size.max() >= LARGEST:
        raise ValueError("a number is too large to be written")
    whole = np.rint(size).astype(np.int64)
    largest = int(whole.max(initial=0))
    places = max(len(str(largest)), decimals + 1)
    point = bool(decimals)
    width = max(1 + places + point, len(missing))
    text = np.zeros((*numbers.shape, width), np.uint8)
    rest = whole.astype(np.uint32) if largest < 1 << 32 else whole
    column = width
    for place in range(places):
        if point and place == decimals:
            column -= 1
            text[..., column] = ord(".")
        column -= 1
        tens = rest // 10
        digit = (rest - tens * 10).astype(np.uint8) + np.uint8(ord("0"))
        if place > decimals:  # leading zeros are not written
            digit[rest == 0] = 0
        text[..., column] = digit
        rest = tens
    text[..., 0] = np.where((numbers < 0) & (whole > 0), ord("-"), 0)
    if not known.all():
        text[~known] = np.frombuffer(missing.encode().ljust(width, b"\0"), np.uint8)
    return text


def words(names: tuple[str, ...] | list[str]) -> Text:
    """Texts (N, width)."""
    data = [name.encode() for name in names]
    width = max(map(len, data), default=0)
    joined = b"".join(text.ljust(width, b"\0") for text in data)
    return np.frombuffer(joined, np.uint8).reshape(len(data), width)


def before(separators: str | Text, text: Text) -> Text:
    """Rows (N, columns * width) of text (N, columns, width) with a separator before every column.

    `separators` is the same text for all columns, or (columns, width) of :func:`words`.
    """
    if isinstance(separators, str):
        separators = words([separators])
    rows, columns, _ = text.shape
    marks = np.broadcast_to(separators, (rows, columns, separators.shape[-1]))
    return np.concatenate([marks, text], 2).reshape(rows, -1)


def lines(*parts: str | Text, end: str = "\n") -> bytes:
    """Rows of text side by side, (N, width) each or the same text for all, as one piece."""
    rows = next(len(part) for part in parts if not isinstance(part, str))
    columns = [words([part]) if isinstance(part, str) else part for part in (*parts, end)]
    table = np.concatenate([np.broadcast_to(c, (rows, c.shape[-1])) for c in columns], 1)
    return table[table != 0].tobytes()
