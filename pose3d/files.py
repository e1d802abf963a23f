"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pose3d.errors import PoseError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; renamed at the end, removed after an error.

    The name keeps its suffix, by which some writers choose the format.

    Raises
    ------
    PoseError
        If the folder cannot be written to.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise PoseError(f"{path} cannot be written: {error.strerror or error}") from error


def check_writable(folder: Path) -> None:
    """See before hours of work that files can be put in `folder`, which need not exist yet.

    Raises
    ------
    PoseError
        If they cannot.
    """
    nearest = folder.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        raise PoseError(f"{nearest} is a file, so {folder} cannot be a folder: give another -o")
    if not os.access(nearest, os.W_OK):
        raise PoseError(f"{nearest} cannot be written to: give another folder with -o")
