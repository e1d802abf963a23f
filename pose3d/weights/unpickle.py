"""A pickle machine that cannot run code and cannot be made to allocate.

Why not :mod:`pickle` with an allow-list: its C machine allocates what an opcode's length field
claims before it looks at the file, grows its memo to any index that is written there, and hashes
any tree that is used as a key. This one knows the opcodes that files of arrays need, skips the
arrays' bytes (a :class:`Span` says where they lie), and builds nothing but plain containers and
the stand-ins it is given for the few names a file may ask for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import unpack
from typing import Any, BinaryIO

from pose3d import limits

LONG_TEXT = 256  # longer texts and bytes stay in the file


class MalformedError(Exception):
    """The file is refused; the message says why, in the words that follow its name."""

    def __init__(self, reason: str) -> None:
        # Names from the file may hold line breaks or control a terminal.
        super().__init__("".join(c if c.isprintable() else "?" for c in reason))


@dataclass(frozen=True)
class Span:
    """Bytes that stay in the file until somebody reads them.

    With `utf8` they are text whose characters stand for bytes, as Python 3 writes bytes for
    Python 2.
    """

    offset: int
    length: int
    utf8: bool = False

    def read(self, file: BinaryIO) -> bytes:
        """The bytes themselves."""
        file.seek(self.offset)
        data = file.read(self.length)
        if len(data) != self.length:
            raise MalformedError("is cut short")
        return data.decode("utf-8").encode("latin-1") if self.utf8 else data


class StandIn:
    """What a name in a file becomes: something that can be called, or filled, with plain data."""

    def fill(self, state: Any) -> None:  # noqa: ARG002
        """Take the state that the file gives an object of this kind."""
        raise MalformedError(f"gives a state to a {type(self).__name__}")


class Dictionary(StandIn, dict[Any, Any]):
    """An OrderedDict; the version numbers that torch hangs on it are dropped."""

    def fill(self, state: Any) -> None:
        """Take nothing but torch's version numbers."""
        if not isinstance(state, dict) or set(state) - {"_metadata"}:
            raise MalformedError("gives an OrderedDict attributes of its own")


@dataclass(frozen=True)
class Name(StandIn):
    """A name that a file may ask for, and what happens when it is called."""

    path: str
    call: Callable[..., Any]


Names = Mapping[str, Callable[..., Any]]
_MARK = object()


def load(
    file: BinaryIO,
    names: Names,
    *,
    end: int,
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """Run the pickle at the file's position and leave the position behind it.

    Parameters
    ----------
    file
        Opened for reading in binary, seekable.
    names
        ``module.name`` to the stand-in that is called in its place; no other name may occur.
    end
        Position behind which nothing is read.
    persistent
        Turns a persistent id, torch's way to a storage, into an object.

    Raises
    ------
    MalformedError
        If the file is cut short, asks for another name, or uses what no file of arrays needs.
    """
    return _Machine(file, names, end, persistent).run()


class _Machine:
    def __init__(
        self,
        file: BinaryIO,
        names: Names,
        end: int,
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        self.file, self.names, self.end, self.persistent = file, names, end, persistent
        self.position = file.tell()
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(limits.PICKLE_OPERATIONS):
            code = self.take(1)
            if code == b".":
                return self.pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise MalformedError(f"is no pickle of weights (operation {code!r})")
            operation(self)
        raise MalformedError(f"takes more than {limits.PICKLE_OPERATIONS:,} operations to read")

    # Input

    def take(self, count: int) -> bytes:
        data = self.file.read(count) if count <= self.end - self.position else b""
        if len(data) != count:
            raise MalformedError("is cut short")
        self.position += count
        return data

    def number(self, form: str) -> Any:
        (value,) = unpack(
            "<" + form,
            self.take({"b": 1, "B": 1, "H": 2, "i": 4, "I": 4, "Q": 8}[form]),
        )
        return value

    def line(self) -> str:
        data = self.file.readline(min(LONG_TEXT, self.end - self.position))
        self.position += len(data)
        if not data.endswith(b"\n"):
            raise MalformedError(
                "is cut short" if self.position >= self.end else "holds an endless name"
            )
        return data[:-1].decode("ascii", "replace")

    def skip(self, length: int, utf8: bool = False) -> Span:
        if length > self.end - self.position:
            raise MalformedError("is cut short")
        span = Span(self.position, length, utf8)
        self.position += length
        self.file.seek(self.position)
        return span

    # Stack

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise MalformedError("is no valid pickle (stack underflow)")
        return self.stack.pop()

    def top(self) -> Any:
        value = self.pop()
        self.push(value)
        return value

    def pop_to_mark(self) -> list[Any]:
        for n in range(len(self.stack) - 1, -1, -1):
            if self.stack[n] is _MARK:
                values = self.stack[n + 1 :]
                del self.stack[n:]
                return values
        raise MalformedError("is no valid pickle (no mark)")

    # Operations of more than one step

    def text(self, length: int) -> None:
        if length > LONG_TEXT:
            self.push(self.skip(length, utf8=True))
        else:
            self.push(self.take(length).decode("utf-8", "surrogatepass"))

    def string(self, length: int) -> None:
        """Python 2's ``str``, which may be text or bytes: latin-1 keeps both."""
        if length > LONG_TEXT:
            self.push(self.skip(length))
        else:
            self.push(self.take(length).decode("latin-1"))

    def data(self, length: int) -> None:
        self.push(self.skip(length) if length > LONG_TEXT else self.take(length))

    def tuple(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def remember(self, index: int) -> None:
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise MalformedError("is no valid pickle (nothing remembered)")
        self.push(self.memo[index])

    def extend(self, values: list[Any]) -> None:
        target = self.top()
        if type(target) is not list:
            raise MalformedError("appends to what is no list")
        target.extend(values)

    def update(self, values: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, dict) or len(values) % 2:
            raise MalformedError("sets items of what is no dict")
        insert(target, zip(values[::2], values[1::2], strict=True))

    def name(self, module: Any, name: Any) -> None:
        # Only text is ever put into a message: a tree of shared tuples could print for ever.
        if type(module) is not str or type(name) is not str:
            raise MalformedError("asks for a name that is no text")
        path = f"{module}.{name}"
        if path not in self.names:
            raise MalformedError(f"asks for {path[:80]!r}, which no file of weights needs")
        self.push(Name(path, self.names[path]))

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name) or type(arguments) is not tuple:
            raise MalformedError("calls what is no function")
        try:
            self.push(function.call(*arguments))
        except (TypeError, ValueError) as error:
            raise MalformedError(f"calls {function.path} wrongly ({error})") from None

    def build(self) -> None:
        state = self.pop()
        target = self.top()
        if not isinstance(target, StandIn):
            raise MalformedError(f"gives a state to a {type(target).__name__}")
        target.fill(state)

    def persist(self) -> None:
        if self.persistent is None:
            raise MalformedError("refers to data outside itself")
        self.push(self.persistent(self.pop()))
        self.file.seek(self.position)  # it may have looked elsewhere in the file


def insert(target: dict[Any, Any], items: Any) -> None:
    """Set items whose keys are text or numbers: other keys could take for ever to hash."""
    for key, value in items:
        if type(key) not in (str, int):
            raise MalformedError(f"uses a {type(key).__name__} as a key")
        target[key] = value


_OPERATIONS: dict[bytes, Callable[[_Machine], object]] = {
    b"\x80": lambda m: _protocol(m.number("B")),
    b"\x95": lambda m: _frame(m, m.number("Q")),
    b"(": lambda m: m.push(_MARK),
    b"0": lambda m: m.pop(),
    b"1": lambda m: m.pop_to_mark(),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(m.number("i")),
    b"K": lambda m: m.push(m.number("B")),
    b"M": lambda m: m.push(m.number("H")),
    b"\x8a": lambda m: m.push(int.from_bytes(m.take(m.number("B")), "little", signed=True)),
    b"G": lambda m: m.push(unpack(">d", m.take(8))[0]),
    b"U": lambda m: m.string(m.number("B")),
    b"T": lambda m: m.string(_length(m.number("i"))),
    b"C": lambda m: m.data(m.number("B")),
    b"B": lambda m: m.data(m.number("I")),
    b"\x8e": lambda m: m.data(m.number("Q")),
    b"\x96": lambda m: m.data(m.number("Q")),
    b"\x8c": lambda m: m.text(m.number("B")),
    b"X": lambda m: m.text(m.number("I")),
    b"\x8d": lambda m: m.text(m.number("Q")),
    b"]": lambda m: m.push([]),
    b"a": lambda m: m.extend([m.pop()]),
    b"e": lambda m: m.extend(m.pop_to_mark()),
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),
    b"\x85": lambda m: m.tuple(1),
    b"\x86": lambda m: m.tuple(2),
    b"\x87": lambda m: m.tuple(3),
    b"}": lambda m: m.push({}),
    b"s": lambda m: m.update([m.pop(), m.pop()][::-1]),
    b"u": lambda m: m.update(m.pop_to_mark()),
    b"c": lambda m: m.name(m.line(), m.line()),
    b"\x93": lambda m: m.name(*[m.pop(), m.pop()][::-1]),
    b"R": lambda m: m.reduce(),
    b"b": lambda m: m.build(),
    b"Q": lambda m: m.persist(),
    b"q": lambda m: m.remember(m.number("B")),
    b"r": lambda m: m.remember(m.number("I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"h": lambda m: m.recall(m.number("B")),
    b"j": lambda m: m.recall(m.number("I")),
}


def _protocol(number: int) -> None:
    if number > 5:
        raise MalformedError(f"is a pickle of the unknown protocol {number}")


def _frame(machine: _Machine, length: int) -> None:
    if length > machine.end - machine.position:
        raise MalformedError("is cut short")


def _length(number: int) -> int:
    if number < 0:
        raise MalformedError("is no valid pickle (negative length)")
    return number
