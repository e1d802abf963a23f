"""torch's two file formats, opened with the same pickle machine as numpy's arrays.

``torch.load(weights_only=True)`` runs no code either, but it inflates compressed entries, believes
the sizes of storages, and refuses the optimizer's and random generator's state in VideoPose3D's
files. Since 1.6 torch writes a zip archive of uncompressed entries; before, a row of five pickles
and the storages behind them.
"""

import zipfile
from collections.abc import Callable
from struct import unpack
from typing import Any, BinaryIO, Literal

import numpy as np

from pose3d import limits
from pose3d.weights.arrays import NUMPY_NAMES, Array
from pose3d.weights.unpickle import MalformedError, Name, Names, Span, StandIn, load

LEGACY_START = (
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # a magic number, pickled
)
Order = Literal["<", ">"]
ZIP_START = b"PK\x03\x04"

_STORAGES = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
}


class Ignored(StandIn):
    """The state of a random generator, which nobody needs."""

    def __init__(self, *_: Any) -> None:
        pass

    def fill(self, state: Any) -> None:
        """Forget it."""


class Storage(StandIn):
    """A row of numbers that tensors look into."""

    def __init__(self, dtype: np.dtype[Any], count: int, span: Span) -> None:
        self.dtype, self.count, self.span = dtype, count, span


def load_zip(file: BinaryIO) -> Any:
    """The object in a zip archive that torch wrote.

    Raises
    ------
    MalformedError
        If the archive is damaged, compressed, a TorchScript program, or asks for code.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError):
        raise MalformedError("is cut short, or no zip archive that torch wrote") from None
    pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1 or len(entries) > limits.TORCH_ENTRIES:
        raise MalformedError("is a zip archive, but none that torch wrote")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in entries:
        raise MalformedError("is a TorchScript program, not weights: save its state_dict instead")
    order: Order = "<"
    if f"{folder}byteorder" in entries:
        span = _place(file, entries[f"{folder}byteorder"])
        order = ">" if span.length < 16 and span.read(file) == b"big" else "<"

    def find(key: str, _dtype: np.dtype[Any], _count: int) -> Span:
        if f"{folder}data/{key}" not in entries:
            raise MalformedError(f"lacks its part data/{key[:40]}")
        return _place(file, entries[f"{folder}data/{key}"])

    program = _place(file, entries[pickles[0]])
    file.seek(program.offset)
    end = program.offset + program.length
    return load(file, TORCH_NAMES, end=end, persistent=_persistent(find, order))


def load_legacy(file: BinaryIO) -> Any:
    """The object in a file that torch wrote before 1.6.

    Raises
    ------
    MalformedError
        If the file is damaged, or asks for code.
    """
    end = file.seek(0, 2)
    file.seek(0)
    load(file, {}, end=end)
    if load(file, {}, end=end) != 1001:
        raise MalformedError("is of a protocol of torch that nothing public has")
    system = load(file, {}, end=end)
    little = isinstance(system, dict) and system.get("little_endian", True) is not False
    order: Order = "<" if little else ">"
    start = file.tell()

    # The storages follow the object that refers to them: read it once to learn their sizes, and
    # once more knowing their places.
    sizes: dict[str, tuple[np.dtype[Any], int]] = {}

    def note(key: str, dtype: np.dtype[Any], count: int) -> Span:
        if sizes.setdefault(key, (dtype, count)) != (dtype, count):
            raise MalformedError(f"gives its part {key[:40]} two sizes")
        return Span(0, count * dtype.itemsize)

    load(file, TORCH_NAMES, end=end, persistent=_persistent(note, order))
    keys = load(file, {}, end=end)
    if type(keys) is not list or not all(type(key) is str and key in sizes for key in keys):
        raise MalformedError("has a wrong table of its parts")
    spans: dict[str, Span] = {}
    position = file.tell()
    for key in keys:
        dtype, count = sizes[key]
        file.seek(position)
        header = file.read(8)
        position += 8
        if len(header) < 8 or position + count * dtype.itemsize > end:
            raise MalformedError("is cut short")
        if unpack(order + "q", header)[0] != count:
            raise MalformedError(f"gives its part {key[:40]} two sizes")
        spans[key] = Span(position, count * dtype.itemsize)
        position += count * dtype.itemsize

    def find(key: str, _dtype: np.dtype[Any], _count: int) -> Span:
        if key not in spans:
            raise MalformedError(f"lacks its part {key[:40]}")
        return spans[key]

    file.seek(start)
    return load(file, TORCH_NAMES, end=end, persistent=_persistent(find, order))


def _place(file: BinaryIO, entry: zipfile.ZipInfo) -> Span:
    """Where an entry's bytes lie; only uncompressed ones, so that none is larger than it looks."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise MalformedError("is a compressed archive, which torch never writes")
    file.seek(entry.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != ZIP_START:
        raise MalformedError("is a damaged archive")
    name, extra = unpack("<HH", header[26:])
    offset = entry.header_offset + 30 + name + extra
    if offset + entry.file_size > file.seek(0, 2):
        raise MalformedError("is cut short")
    return Span(offset, entry.file_size)


def _persistent(
    find: Callable[[str, np.dtype[Any], int], Span], order: Order
) -> Callable[[Any], Storage]:
    """What torch's persistent ids stand for: type, key, device, count, and perhaps a view."""

    def resolve(name: Any) -> Storage:
        if (
            type(name) is not tuple
            or len(name) not in (5, 6)
            or name[0] not in ("storage", b"storage")
        ):
            raise MalformedError("refers to data outside itself")
        kind, key, _, count, *view = name[1:]
        if not isinstance(kind, Name) or kind.path not in _STORAGES or view not in ([], [None]):
            raise MalformedError("holds a kind of tensor that no file of weights needs")
        if type(key) is not str or type(count) is not int or not 0 <= count < 1 << 40:
            raise MalformedError("holds a storage of impossible size")
        dtype = np.dtype(_STORAGES[kind.path]).newbyteorder(order)
        span = find(key, dtype, count)
        if span.length != count * dtype.itemsize:
            raise MalformedError(f"holds {count} numbers in {span.length} bytes")
        return Storage(dtype, count, span)

    return resolve


def _tensor(storage: Any, start: Any, shape: Any, strides: Any, *_: Any) -> Array:
    if not isinstance(storage, Storage):
        raise MalformedError("holds a tensor without a storage")
    return Array.view(storage.dtype, storage.span, start, shape, strides)


def _parameter(tensor: Any, *_: Any) -> Array:
    if not isinstance(tensor, Array):
        raise MalformedError("holds a parameter without a tensor")
    return tensor


def _refused(*_: Any) -> Any:
    raise MalformedError("makes a storage out of nothing")


TORCH_NAMES: Names = {
    **NUMPY_NAMES,
    **dict.fromkeys(_STORAGES, _refused),
    "torch.BFloat16Storage": _refused,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    # VideoPose3D saves its sampler's generator.
    "numpy.random.__RandomState_ctor": Ignored,
    "numpy.random._pickle.__randomstate_ctor": Ignored,
    "numpy.random._pickle.__bit_generator_ctor": Ignored,
    "numpy.random._mt19937.MT19937": Ignored,
}
