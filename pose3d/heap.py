"""Memory that the C library keeps for later, where it is glibc."""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

MUCH = 64 * 2**20  # bytes
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # of glibc's malloc.h


def keep_memory() -> None:
    """Let glibc keep the memory of large maps for the next ones.

    It gives blocks above 32 MB back to the system after every layer, and fetching their pages anew
    takes a third of a frame's time. All threads share what it keeps: if each had its own, what one
    has freed would be no use to another. Other C libraries are left alone.
    """
    if mallopt := _of_glibc("mallopt"):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_ARENA_MAX, 1)


def give_back_memory(before: int) -> int:
    """Give the system what glibc keeps and nobody uses: between blocks that stay, that adds up.

    Parameters
    ----------
    before
        Bytes that were held when it was last done; nothing is done unless they are many more now,
        for fetching them anew takes time.

    Returns
    -------
    Bytes that are held, to be asked about next time.
    """
    trim = _of_glibc("malloc_trim")
    if trim is None or _held() < before + MUCH:
        return before
    trim(0)
    return _held()


def _held() -> int:
    """Bytes of memory that this process takes, on Linux."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function that glibc adds to the C library; None where there is another one."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
