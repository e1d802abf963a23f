"""Fetched weights on this machine: once, verified, and the same ever after.

For a file ``NAME`` the folder holds ``NAME.sha256``, which the first use writes (``sha256sum -c``
reads it) and every later use insists on; ``NAME.part`` while it is being fetched; ``NAME.bad`` if
it failed its check.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pose3d.errors import PoseError
from pose3d.weights.checksum import digest, sha256
from pose3d.weights.download import Progress, UnavailableError, download, fetch_text
from pose3d.weights.registry import Weights

_log = logging.getLogger(__name__)


class UnverifiedError(PoseError):
    """The file is not what it should be."""


def cache_folder() -> Path:
    """``$POSE3D_CACHE``, or the platform's folder for such files."""
    if folder := os.environ.get("POSE3D_CACHE"):
        return Path(folder).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("pose3d", appauthor=False)


def cached(entry: Weights) -> Path:
    """Where an entry's file lies, or will lie."""
    return cache_folder() / entry.file


def fetch(entry: Weights, progress: Progress | None = None) -> Path:
    """The entry's file in the cache, verified; from the network only if it is not there.

    Parameters
    ----------
    entry
        With URLs.
    progress
        Called with bytes done and total while fetching.

    Raises
    ------
    PoseError
        If the file cannot be had, or fails its check.
    """
    from filelock import FileLock

    path = cached(entry)
    try:
        if path.exists():
            return verify_cached(path, entry)
        if os.environ.get("POSE3D_OFFLINE", "0") not in ("", "0"):
            raise PoseError(
                f"{entry.name} is not in the cache and POSE3D_OFFLINE is set: "
                f"fetch {entry.urls[0]} elsewhere and put it at {path}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock")):
            if path.exists():  # another process was faster
                return verify_cached(path, entry)
            return _fetch(entry, path, progress)
    except OSError as error:
        raise PoseError(
            f"the cache {path.parent} cannot be used: {error.strerror or error}"
        ) from error


def verify_cached(path: Path, entry: Weights) -> Path:
    """Check a file of the cache against what is known of it; remember its SHA-256 if nothing is.

    Raises
    ------
    UnverifiedError
        If it fails; it is set aside and not used.
    """
    found = sha256(path)
    known = _recorded(path)
    if not found.startswith(known) or not found.startswith(entry.sha256):
        aside = _set_aside(path)
        raise UnverifiedError(
            f"{path} has the SHA-256 {found[:16]}…, not {(known or entry.sha256)[:16]}…: set aside "
            f"as {aside.name}; run again to fetch {entry.name} anew"
        )
    if not known:
        _remember(path, found, entry)
    return path


def _fetch(entry: Weights, path: Path, progress: Progress | None) -> Path:
    """From the first mirror that gives the right file."""
    terms = f"licence {entry.licence}" + ("" if entry.commercial else ", NOT for commercial use")
    _log.warning("fetching %s (%s)", entry.name, terms)
    part = path.with_name(path.name + ".part")
    reasons = []
    for url in entry.urls:
        try:
            with _shown(entry, progress) as report:
                download(url, part, report)
            found = _check(entry, url, part, path)
        except (UnavailableError, UnverifiedError) as error:
            reasons.append(f"{url}: {error}")
            _log.info("%s", reasons[-1])
            continue
        part.replace(path)
        _remember(path, found, entry)
        part.with_name(part.name + ".json").unlink(missing_ok=True)
        return path
    raise PoseError(f"{entry.name} cannot be fetched: {'; '.join(reasons)}")


@contextmanager
def _shown(entry: Weights, progress: Progress | None) -> Iterator[Progress]:
    """Whom the caller wants told how far a download is; else a bar, where somebody can see it."""
    if progress:
        yield progress
        return
    from tqdm import tqdm

    hidden = True if not _log.isEnabledFor(logging.WARNING) else None  # None: unless a terminal
    with tqdm(desc=entry.name, unit="B", unit_scale=True, disable=hidden) as bar:

        def advance(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield advance


def _check(entry: Weights, url: str, part: Path, path: Path) -> str:
    """The SHA-256 of a fetched file that passed the entry's check."""
    found = sha256(part)
    wanted = [entry.sha256, _recorded(path)]
    good = all(map(found.startswith, wanted))
    if entry.md5sum and (md5 := _published_md5(url)):
        wanted.append(f"MD5 {md5}")
        good = good and digest(part, "md5") == md5
    if not good:
        aside = _set_aside(part, path.name)
        expected = ", ".join(filter(None, wanted))
        raise UnverifiedError(f"damaged or another file, not {expected}: set aside as {aside}")
    return found


def _published_md5(url: str) -> str:
    """What lies beside the file; nothing, with a warning, if that is gone."""
    try:
        match = re.search(r"\b[0-9a-f]{32}\b", fetch_text(f"{url}.md5sum"))
    except UnavailableError as error:
        _log.warning("%s.md5sum: %s; only the length was checked", url, error)
        return ""
    if not match:
        raise UnavailableError("its .md5sum holds no MD5")
    return match[0]


def _set_aside(path: Path, name: str = "") -> Path:
    aside = path.with_name((name or path.name) + ".bad")
    path.replace(aside)
    return aside


def _record_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _remember(path: Path, found: str, entry: Weights) -> None:
    record = _record_file(path)
    part = record.with_name(f"{record.name}.{os.getpid()}")
    part.write_text(f"{found}  {path.name}\n")
    part.replace(record)
    if len(entry.sha256) < 64:
        _log.warning("%s: SHA-256 %s, remembered for later uses", path, found)


def _recorded(path: Path) -> str:
    try:
        text = _record_file(path).read_text("ascii", "replace")
    except OSError:
        return ""
    return text.split()[0] if re.match(r"[0-9a-f]{64}\b", text) else ""
