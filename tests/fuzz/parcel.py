"""Archives as a fuzzer can change them: members in a row, no checksums, no directory.

What is mutated is the members; the archive around them is made anew and always whole, as a mutated
one would be refused for its checksums before anything of interest is read. An input that begins
with :data:`RAW` is the file itself, so that archives get mutated, too.
"""

import io
import warnings
import zipfile
from collections.abc import Iterable, Iterator

RAW = b"RAW:"


def wrap(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Members in a row."""
    parts = []
    for name, content in members:
        text = name.encode()[:255]
        parts += [bytes([len(text)]), text, len(content).to_bytes(3, "little"), content]
    return b"".join(parts)


def unwrap(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Members of any bytes; what they lack at the end is missing."""
    file = io.BytesIO(data)
    while length := file.read(1):
        name = file.read(length[0]).decode("utf-8", "replace")
        yield name, file.read(int.from_bytes(file.read(3), "little"))


def archive(data: bytes, *, packed: bool = True) -> bytes:
    """A zip file of members in a row, or what comes after :data:`RAW`."""
    if data.startswith(RAW):
        return data[len(RAW) :]
    buffer = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", kind) as file:
        warnings.simplefilter("ignore")  # two members of one name
        for name, content in unwrap(data):
            file.writestr(zipfile.ZipInfo(name), content, kind)
    return buffer.getvalue()


def members_of(content: bytes) -> list[tuple[str, bytes]]:
    """Members of a zip file."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return [(name, file.read(name)) for name in file.namelist()]
