"""Arrays in a file: known by place, shape and type, and read into a tensor when wanted."""

import math
import re
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from torch import Tensor

from pose3d import limits
from pose3d.weights.unpickle import Dictionary, MalformedError, Names, Span, StandIn, insert

_CODE = re.compile(r"[<>=|]?[fiub][1248]|[<>=|]?b1|\?")


class DType(StandIn):
    """A plain number type; no objects, no records."""

    def __init__(self, code: Any, _align: Any = False, _copy: Any = False) -> None:
        if isinstance(code, bytes):
            code = code.decode("latin-1")
        # Only text is ever put into a message: a tree of shared tuples could print for ever.
        if type(code) is not str or not _CODE.fullmatch(code):
            kind = "objects" if code in ("O", "O8", "|O") else "an unknown type"
            raise MalformedError(f"holds arrays of {kind}: only plain numbers are read")
        try:
            self.numpy = np.dtype(code)
        except TypeError:
            raise MalformedError(f"holds arrays of type {code!r}, which does not exist") from None

    def fill(self, state: Any) -> None:
        """Take the byte order; numpy's state holds version, order, and what records have."""
        plain = type(state) is tuple and len(state) >= 5 and state[2:5] == (None, None, None)
        order = _as_text(state[1]) if plain else None
        if order not in ("<", ">", "=", "|"):
            raise MalformedError("holds arrays of records: only plain numbers are read")
        self.numpy = self.numpy.newbyteorder(order)


class Array(StandIn):
    """An array that still lies in the file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: Span | bytes

    def __init__(self) -> None:
        self.strides: tuple[int, ...] | None = None  # in elements; None is C's order
        self.start = 0  # in elements
        self.shape, self.dtype, self.data = (0,), np.dtype("u1"), b""

    @classmethod
    def make(cls, shape: Any, dtype: Any, data: Any, *, fortran: bool = False) -> Self:
        """An array that fills `data`."""
        array = cls()
        array.hold(shape, dtype, data, fortran)
        return array

    def fill(self, state: Any) -> None:
        """Take numpy's state: version, shape, dtype, is_fortran, bytes."""
        if type(state) is not tuple or len(state) not in (4, 5):
            raise MalformedError("gives an array no proper state")
        shape, dtype, fortran, data = state[-4:]
        self.hold(shape, dtype, data, fortran is True)

    def hold(self, shape: Any, dtype: Any, data: Any, fortran: bool) -> None:
        """Become an array that fills `data`."""
        self.shape, self.dtype, self.data = _shape(shape), _dtype(dtype), _raw(data)
        if fortran:
            self.strides = tuple(math.prod(self.shape[:n]) for n in range(len(self.shape)))
        size, length = self.nbytes, len_of(self.data)
        # As UTF-8 every byte above 127 takes two.
        utf8 = isinstance(self.data, Span) and self.data.utf8
        if not (size <= length <= 2 * size if utf8 else size == length):
            raise MalformedError(f"holds an array of shape {self.shape} in {length} bytes")

    @classmethod
    def view(cls, dtype: np.dtype[Any], data: Span, start: Any, shape: Any, strides: Any) -> Self:
        """A tensor's window, in elements, into a row of numbers.

        Raises
        ------
        MalformedError
            If it looks beyond the row.
        """
        array = cls()
        array.shape, array.strides, array.start = (
            _shape(shape),
            _shape(strides),
            _shape((start,))[0],
        )
        array.dtype, array.data = dtype, data
        if len(array.shape) != len(array.strides):
            raise MalformedError("holds a tensor without proper strides")
        if (array.start + array.extent) * dtype.itemsize > data.length:
            raise MalformedError(f"holds a tensor of shape {array.shape} in {data.length} bytes")
        return array

    @property
    def extent(self) -> int:
        """How many elements of the file it spans."""
        if self.strides is None or 0 in self.shape:
            return math.prod(self.shape)
        return 1 + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))

    @property
    def nbytes(self) -> int:
        """Size once it is read."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, file: BinaryIO) -> Tensor:
        """The numbers, contiguous and in the machine's byte order, in memory of their own."""
        if isinstance(self.data, bytes) or self.data.utf8:
            data = self.data if isinstance(self.data, bytes) else self.data.read(file)
            if len(data) != self.extent * self.dtype.itemsize:
                raise MalformedError(f"holds an array of shape {self.shape} in {len(data)} bytes")
            flat = np.frombuffer(data, self.dtype).copy()
        else:
            flat = np.empty(self.extent, self.dtype)
            file.seek(self.data.offset + self.start * self.dtype.itemsize)
            if file.readinto(flat.view("u1")) != flat.nbytes:  # type: ignore[attr-defined]
                raise MalformedError("is cut short")
        if self.strides is None:
            array = flat.reshape(self.shape)
        else:
            steps = [step * self.dtype.itemsize for step in self.strides]
            array = np.ascontiguousarray(as_strided(flat, self.shape, steps))
            array = array.reshape(self.shape)  # ascontiguousarray gives no array of 0 dimensions
        return torch.from_numpy(array.astype(self.dtype.newbyteorder("="), copy=False))


@dataclass
class Reader:
    """Reads arrays of one file, and no more bytes than it has."""

    file: BinaryIO
    left: int

    def __call__(self, array: Array) -> Tensor:
        """One array as a tensor."""
        # Views may overlap, and an expanded one is larger than what it spans.
        self.left -= max(array.nbytes, array.extent * array.dtype.itemsize)
        if self.left < 0:
            raise MalformedError("describes more numbers than it holds")
        return array.read(self.file)


def len_of(data: Span | bytes) -> int:
    """Length in the file."""
    return data.length if isinstance(data, Span) else len(data)


def _as_text(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _shape(shape: Any) -> tuple[int, ...]:
    if type(shape) is not tuple or len(shape) > limits.DIMENSIONS:
        raise MalformedError("holds an array without a proper shape")
    if not all(type(n) is int and 0 <= n < 1 << 40 for n in shape):
        raise MalformedError("holds an array of impossible shape")
    return shape


def _dtype(dtype: Any) -> np.dtype[Any]:
    if not isinstance(dtype, DType):
        raise MalformedError("holds an array without a type")
    return dtype.numpy


def _raw(data: Any) -> Span | bytes:
    if isinstance(data, str):
        return data.encode("latin-1")
    if not isinstance(data, bytes | Span):
        raise MalformedError("holds an array of objects: only plain numbers are read")
    return data


def _reconstruct(_cls: Any, shape: Any, _code: Any) -> Array:
    if shape != (0,):
        raise MalformedError("makes an array before it shows its numbers")
    return Array()


def _scalar(dtype: Any, data: Any) -> Array:
    return Array.make((), dtype, data)


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    return Array.make(shape, dtype, data, fortran=_as_text(order) == "F")


def _encode(text: Any, encoding: Any) -> Span | bytes:
    if encoding not in ("latin1", "latin-1"):
        raise MalformedError("encodes bytes as something else than latin1")
    return _raw(text)


def _bytes(*arguments: Any) -> bytes:
    if arguments:
        raise MalformedError("makes bytes out of something else")
    return b""


def _ordered_dict(items: Any = ()) -> Dictionary:
    result = Dictionary()
    insert(result, items)
    return result


def _type(*_: Any) -> Any:
    raise MalformedError("calls numpy.ndarray")


_NUMPY: Names = {
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}
NUMPY_NAMES: Names = {
    **{f"numpy.{core}.{name}": call for core in ("core", "_core") for name, call in _NUMPY.items()},
    "numpy.ndarray": _type,
    "numpy.dtype": DType,
    "collections.OrderedDict": _ordered_dict,
    "_codecs.encode": _encode,
    "builtins.bytes": _bytes,
    "__builtin__.bytes": _bytes,
}
