"""What a detector found so far, on disk: a run that was killed goes on where it was.

Only the detector's answers are kept. A run that goes on reads the video from its beginning again
and tracks people anew, which takes a small part of the time; so nothing but the network's answers
has to be the same as before, and the result is that of an undisturbed run.

The file is a line of text, the SHA-256 of what decides the answers, and after that records: their
length (8 bytes, little-endian), their SHA-256, and an ``.npz`` of some frames. A record that is
torn or damaged ends what is used.
"""

import hashlib
import io
import json
import os
import shutil
import time
import zlib
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np

from pose3d import limits, npz
from pose3d.errors import PoseError
from pose3d.frame import Frame
from pose3d.sequence import People

FLUSH_SECONDS = 10.0  # between records: what a kill may cost; shorter videos need no journal
LOCK_SECONDS = 30.0  # to wait for another run to let go
HEADER = b"pose3d journal 2\n"
DIGEST = 32  # bytes of a SHA-256
ROWS = 8  # of a picture, of which one is compared: damage comes in blocks of 16 or 8
_FRAME = ("index", "time", "mark", "count")
_NAMES = [field.name for field in fields(People)]


class OtherFramesError(PoseError):
    """A journal is of other frames than those that it is asked about."""


class _Seen(NamedTuple):
    frame: int
    time: float
    mark: int
    people: People


class Journal:
    """The journal of one video, as a context manager.

    Parameters
    ----------
    path
        Its file; begun after :data:`FLUSH_SECONDS`, and left there for the caller to remove once
        the result is safe.
    facts
        What decides the answers, JSON-able: a journal of other facts is not used.
    exact
        Whether frames must have the same pictures, too: those of a part of a video, which began
        at a key frame, may differ.

    Raises
    ------
    PoseError
        If it cannot be read or written.
    """

    def __init__(self, path: Path, facts: dict[str, Any], exact: bool = False) -> None:
        self.path = path
        self._exact = exact
        text = json.dumps(facts, sort_keys=True)
        self._head = HEADER + hashlib.sha256(text.encode()).digest()
        self._known: deque[_Seen] = deque()
        self._fresh: list[_Seen] = []
        self._file: BinaryIO | None = None
        self._flushed = time.monotonic()

    def __enter__(self) -> Self:
        if self.path.exists():
            try:
                self._file = open(self.path, "r+b")
                self._begin()
            except OSError as error:
                raise PoseError(
                    f"{self.path} cannot be used: {error.strerror or error}; remove it"
                ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            with suppress(OSError):  # what a full disk did not take is told of already
                self._file.close()

    @property
    def frames(self) -> int:
        """How many frames are known and not yet recalled."""
        return len(self._known)

    def recall(self, batch: Sequence[Frame]) -> list[People]:
        """People of those frames at the beginning of a batch that are known.

        Raises
        ------
        OtherFramesError
            If the journal is of other frames.
        """
        answers = []
        for frame in batch[: len(self._known)]:
            seen = self._known.popleft()
            same = (seen.frame, seen.time) == (frame.index, frame.time)
            if not same or (self._exact and seen.mark != _mark(frame)):
                raise OtherFramesError(f"{self.path} is of another video: remove it")
            answers.append(seen.people)
        return answers

    def add(self, batch: Sequence[Frame], answers: Sequence[People]) -> None:
        """Take what was found in the next frames; written now and then."""
        self._fresh += [
            _Seen(frame.index, frame.time, _mark(frame), people)
            for frame, people in zip(batch, answers, strict=True)
        ]
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is new."""
        if not self._fresh:
            return
        payload = _packed(self._fresh)
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(self.path, "ab")  # noqa: SIM115
                _lock(self._file, self.path)
                self._file.truncate(0)
                self._file.write(self._head)
            digest = hashlib.sha256(payload).digest()
            self._file.write(len(payload).to_bytes(8, "little") + digest + payload)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise PoseError(f"{self.path} cannot be written: {error.strerror or error}") from error
        self._fresh.clear()
        self._flushed = time.monotonic()

    def _begin(self) -> None:
        """Read what is of use, and be ready to write after it."""
        assert self._file is not None
        _lock(self._file, self.path)
        self._file.seek(0)
        good = 0
        if self._file.read(len(self._head)) == self._head:
            good = len(self._head)
            while record := _read(self._file):
                self._known += record
                good = self._file.tell()
        self._file.truncate(good)
        self._file.seek(good)
        if not good:
            self._file.write(self._head)


def parts_of(path: Path) -> Path:
    """The folder for the journals of a video's parts, beside its own journal."""
    return path.with_name(f"{path.name}.parts")


def forget(path: Path) -> None:
    """Remove a video's journal, and those of its parts, once its recording is safe.

    Where that may not be, they do no harm.
    """
    with suppress(OSError):
        path.unlink(missing_ok=True)
    shutil.rmtree(parts_of(path), ignore_errors=True)


def _mark(frame: Frame) -> int:
    """Checksum of a picture, by which one that was decoded otherwise is noticed."""
    return zlib.crc32(frame.rows(ROWS).tobytes())


def is_of_use(path: Path) -> bool:
    """Whether a journal is there and holds more than its head."""
    return path.is_file() and path.stat().st_size > len(HEADER) + DIGEST


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep other runs away from the file as long as it is open; the kernel lets go of it.

    A worker whose parent was killed may need a moment to notice.
    """
    try:
        import fcntl
    except ImportError:  # Windows: nobody else is expected there
        return
    patience = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > patience:
                message = f"{path} is in use: another run is at work on this video"
                raise PoseError(message) from None
            time.sleep(0.1)


def _packed(seen: Sequence[_Seen]) -> bytes:
    arrays = {name: np.concatenate([getattr(s.people, name) for s in seen]) for name in _NAMES}
    stream = io.BytesIO()
    np.savez(
        stream,
        allow_pickle=False,
        index=np.array([s.frame for s in seen], np.int64),
        time=np.array([s.time for s in seen], np.float64),
        mark=np.array([s.mark for s in seen], np.uint32),
        count=np.array([len(s.people) for s in seen], np.int64),
        **arrays,
    )
    return stream.getvalue()


def _read(file: BinaryIO) -> list[_Seen]:
    """The next record; empty where there is none that is whole."""
    head = file.read(8 + DIGEST)
    length = int.from_bytes(head[:8], "little")
    if len(head) < 8 + DIGEST or length > limits.RECORD_BYTES:
        return []
    payload = file.read(length)
    if hashlib.sha256(payload).digest() != head[8:]:
        return []
    try:
        archive = npz.Archive(io.BytesIO(payload))
        return _unpacked({name: archive[name] for name in (*_FRAME, *_NAMES)})
    except (ValueError, npz.DamagedError):
        return []


def _unpacked(arrays: dict[str, Any]) -> list[_Seen]:
    index, when, mark, count = (arrays[name] for name in _FRAME)
    if any(array.dtype.kind not in "fiu" for array in arrays.values()) or count.dtype.kind != "i":
        raise ValueError("arrays are of something else than numbers")
    total = int(count.sum())
    shapes = {
        "boxes": (total, 4),
        "scores": (total,),
        "keypoints": (total, 17, 2),
        "keypoint_scores": (total, 17),
    }
    alike = index.shape == when.shape == mark.shape == count.shape
    if index.ndim != 1 or not alike or (count < 0).any():
        raise ValueError("frames and counts do not fit")
    if any(arrays[name].shape != shape for name, shape in shapes.items()):
        raise ValueError("arrays do not fit the counts")
    ends = np.cumsum(count)
    everyone = People(**{name: arrays[name] for name in _NAMES})
    return [
        _Seen(int(i), float(t), int(m), everyone[end - n : end])
        for i, t, m, n, end in zip(index, when, mark, count, ends, strict=True)
    ]
