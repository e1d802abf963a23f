"""Files that are whole or not there."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pose3d.errors import PoseError

DAY = 86400.0  # seconds


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; renamed at the end, removed after an error.

    The name keeps its suffix, by which some writers choose the format.

    Raises
    ------
    PoseError
        If the folder cannot be written to.
    """
    _check_local(path)
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


def sweep(path: Path) -> None:
    """Remove what runs that were killed left of the file or folder `path` under temporary names.

    What belongs to a process that lives is left alone for a day: it may be that of another run.
    """
    pattern = re.compile(rf"\.+{re.escape(path.stem)}\..*?(\d+)\.(part|old)\b.*")
    if not path.parent.is_dir():
        return
    for left in path.parent.iterdir():
        match = pattern.fullmatch(left.name)
        if match is None:
            continue
        try:
            if _lives(int(match[1])) and time.time() - left.stat().st_mtime < DAY:
                continue
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        except OSError:
            continue  # somebody else removed it, or may not be disturbed


def _lives(process: int) -> bool:
    if process == os.getpid():
        return False  # this one, before it begins; or one of its number before a restart
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # of another user
    return True


def address_of(path: Path) -> str | None:
    """The address, such as ``s3://bucket/out``, that a path was; None for one of this machine.

    :class:`~pathlib.Path` leaves out one of the two slashes.
    """
    scheme, colon, rest = path.as_posix().partition(":/")
    named = scheme[:1].isalpha() and scheme.isalnum() and len(scheme) > 1  # C:/ is a drive
    if not colon or not named:
        return None
    return f"{scheme}:///{rest}" if scheme == "file" else f"{scheme}://{rest}"


def shown(path: Path) -> str:
    """A path or address as somebody wrote it."""
    return address_of(path) or str(path)


def check_writable(folder: Path) -> None:
    """See before hours of work that files can be put in `folder`, which need not exist yet.

    Raises
    ------
    PoseError
        If they cannot.
    """
    _check_local(folder)
    nearest = folder.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        raise PoseError(f"{nearest} is a file, so {folder} cannot be a folder: give another -o")
    if not os.access(nearest, os.W_OK):
        raise PoseError(f"{nearest} cannot be written to: give another folder with -o")


def _check_local(path: Path) -> None:
    if address := address_of(path):
        raise PoseError(f"{address}: only infer and detect write to stores; give a folder here")
