"""Folders of files that are whole or not there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pose3d.errors import PoseError


@contextmanager
def replacing_folder(path: Path, pattern: str) -> Iterator[Path]:
    """Give a folder beside `path` to write to; it takes its place at the end.

    Parameters
    ----------
    path
        A folder, which need not exist; one that does must hold nothing but what matches `pattern`.
    pattern
        Of the files that are going to be in it.

    Raises
    ------
    PoseError
        If the folder cannot be written, or holds something else.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        if path.exists() and (not path.is_dir() or set(path.iterdir()) - set(path.glob(pattern))):
            raise PoseError(f"{path} is there and holds other files: give another name")
        part.mkdir(parents=True)
        yield part
        if path.exists():
            path.rename(old)
        part.rename(path)
    except OSError as error:
        raise PoseError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
