"""numpy's archives from anyone: sizes are checked before memory is taken, and no object is made.

``numpy.load(allow_pickle=False)`` runs no code either, but takes the memory that an array's header
claims before it looks whether the file has as much, inflates whatever is there, and answers a
damaged file with errors of a dozen kinds.
"""

import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pose3d import limits
from pose3d.errors import in_a_line

MAGIC = b"\x93NUMPY"
PLAIN = re.compile(r"[<>|=]?(?:[fiu]\d|f16|b1|[US]\d{1,9})")  # numbers, truth values and text
FIELDS = {
    "descr": re.compile(r"['\"]descr['\"]\s*:\s*['\"]([^'\"]*)['\"]"),
    "fortran_order": re.compile(r"['\"]fortran_order['\"]\s*:\s*(True|False)"),
    "shape": re.compile(r"['\"]shape['\"]\s*:\s*\(([0-9L,\s]*)\)"),
}
OBJECTS = re.compile(r"\|?O8?")
CHUNK = 16 << 20
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, OSError, OverflowError,
    RuntimeError, ValueError,
)  # fmt: skip


class DamagedError(Exception):
    """The archive is refused; the message says why, in words that follow its name."""


@dataclass(frozen=True)
class Header:
    """What comes before an array's numbers; of objects `dtype` is None."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    fortran: bool


class Archive:
    """Arrays of an opened file by name, each read when asked for.

    Raises
    ------
    DamagedError
        If it is no archive, or would unpack to more than is proper for its size.
    """

    def __init__(self, file: BinaryIO) -> None:
        most = limits.unpacked(file.seek(0, 2))
        file.seek(0)
        try:
            self._zip = zipfile.ZipFile(file)
        except UNREADABLE as error:
            raise DamagedError(f"is no archive, or is damaged ({_said(error)})") from None
        entries = self._zip.infolist()
        self.names = [entry.filename.removesuffix(".npy") for entry in entries]
        self._entries = dict(zip(self.names, entries, strict=True))
        if len(entries) > limits.MEMBERS:
            raise DamagedError(f"holds {len(entries):,} arrays: refused")
        if sum(entry.file_size for entry in entries) > most:
            raise DamagedError(f"would unpack to over {limits.in_words(most)}: refused")

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> NDArray[Any]:
        """An array of numbers or text.

        Raises
        ------
        DamagedError
            If it is not there, is damaged, or of something else.
        """
        with self.opened(name) as (file, left):
            header = read_header(file)
            if header.dtype is None:
                raise DamagedError(f"holds objects in {shown(name)}: only numbers are read")
            size = math.prod(header.shape) * header.dtype.itemsize
            if size != left - file.tell():
                raise DamagedError(f"holds {shown(name)} of another size than it says")
            shape = header.shape[::-1] if header.fortran else header.shape
            array: NDArray[Any] = np.empty(shape, header.dtype)
            place = array.reshape(-1).view("u1")
            for start in range(0, size, CHUNK):
                piece = file.read(min(CHUNK, size - start))
                place[start : start + CHUNK] = np.frombuffer(piece, "u1")  # fails if it is short
            file.read(1)  # at the end the checksum is compared
            if header.dtype.kind == "U" and not _is_text(array):
                raise DamagedError(f"holds {shown(name)}, which is no text")
        return array.T if header.fortran else array

    @contextmanager
    def opened(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        """The bytes of an array with its header, and how many there are."""
        if name not in self._entries:
            raise DamagedError(f"lacks {shown(name)}")
        entry = self._entries[name]
        # Others that Python knows take memory that no header tells of.
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DamagedError("is packed in a way that numpy never does")
        try:
            with self._zip.open(entry) as file:
                yield file, entry.file_size
        except UNREADABLE as error:
            raise DamagedError(f"is damaged in {shown(name)} ({_said(error)})") from None


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The archive of a file."""
    with open(path, "rb") as file:
        yield Archive(file)


def read_header(file: IO[bytes]) -> Header:
    """An array's header, from its beginning; the numbers follow.

    The format is NEP 1's: a magic word, a version, a length, and a dictionary as Python writes it.

    Raises
    ------
    DamagedError
        If it is none, or of records.
    """
    begin = file.read(8)
    if len(begin) < 8 or begin[:6] != MAGIC or begin[6] not in (1, 2, 3):
        raise DamagedError("holds something that is no array of numpy")
    length = int.from_bytes(file.read(2 if begin[6] == 1 else 4), "little")
    if length > limits.HEADER_BYTES:
        raise DamagedError("holds an array with an endless header")
    said = file.read(length).decode("utf-8" if begin[6] == 3 else "latin-1", "replace")
    found = {name: pattern.search(said) for name, pattern in FIELDS.items()}
    code, fortran, dimensions = (match and match[1] for match in found.values())
    if code is None or fortran is None or dimensions is None:
        raise DamagedError("holds an array with a damaged header, or one of records")
    numbers = re.findall(r"[0-9]+", dimensions)
    if len(numbers) > limits.DIMENSIONS or any(len(number) > 12 for number in numbers):
        raise DamagedError("holds an array of impossible shape")
    shape = tuple(map(int, numbers))
    if OBJECTS.fullmatch(code):
        return Header(shape, None, fortran == "True")
    if not PLAIN.fullmatch(code):
        raise DamagedError("holds an array of neither numbers nor text")
    try:
        dtype = np.dtype(code)
    except (TypeError, ValueError):
        raise DamagedError("holds an array of no type that there is") from None
    if not dtype.itemsize:
        raise DamagedError("holds an array of empty text")
    return Header(shape, dtype, fortran == "True")


def _is_text(array: NDArray[Any]) -> bool:
    """Whether its numbers are characters: Python's own text breaks of others."""
    codes = array.reshape(-1).view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
    return not len(codes) or int(codes.max()) < 0x110000


def shown(name: str) -> str:
    """A name from a file, fit for a message."""
    return repr(name[:60])


def _said(error: BaseException) -> str:
    return in_a_line(error, 100) or type(error).__name__
