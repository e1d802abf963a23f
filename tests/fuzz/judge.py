"""What counts as a finding: everything but an answer or one line of reason, in little time."""

import contextlib
import hashlib
import math
import os
import re
import resource
import select
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

from pose3d.errors import PoseError

from .targets import Target

SECONDS = 10.0  # of CPU time: the machine may be busy with other things
PATIENCE = 60.0  # seconds of anything
BYTES = 2 << 30
LONGEST = 1000  # characters of a message
OURS = str(Path(__file__).parents[2] / "pose3d")


def judge(target: Target, data: bytes) -> str | None:
    """What is wrong with how an input is read, in a line; None for nothing."""
    if target.native:
        return _apart(target, data)
    begin = time.process_time()
    wrong = _here(target, data)
    seconds = time.process_time() - begin
    return wrong or (f"hang: {seconds:.0f} s" if seconds > SECONDS else None)


def taken() -> int:
    """Bytes of memory that this process has before it reads anything."""
    status = Path("/proc/self/status").read_text("ascii")
    (kilobytes,) = re.findall(r"VmData:\s*(\d+) kB", status)
    return 1024 * int(kilobytes)


def name_of(wrong: str, data: bytes) -> str:
    """Of the file that keeps a finding."""
    kind = wrong.partition(":")[0].split(".")[-1].lower()
    return f"{kind}-{hashlib.sha256(data).hexdigest()[:10]}"


def _here(target: Target, data: bytes) -> str | None:
    with _folder() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            target.read(data, folder)
        except PoseError as error:
            return _badly_said(error)
        except Exception as error:
            return _signature(error)
    return None


def _badly_said(error: PoseError) -> str | None:
    message = str(error).replace(tempfile.gettempdir(), "")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return "memory: " + _signature(cause)
        cause = cause.__cause__ or cause.__context__
    if not message.strip() or len(message) > LONGEST or not message.isprintable():
        return f"message: {_place(error)}: {message[:200]!r}"
    return None


def _signature(error: BaseException) -> str:
    """Kind and place: two findings with the same one are the same."""
    return f"{type(error).__name__}: {_place(error)}: {' '.join(str(error).split())[:100]}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(OURS)] or frames
    last = ours[-1]
    return f"{Path(last.filename).name}:{last.lineno} {last.name}"


def _apart(target: Target, data: bytes) -> str | None:
    """The same in a process of its own, which C code may bring down or keep busy."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)  # the libraries complain of every broken file
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            most = taken() + BYTES
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
            seconds = math.ceil(SECONDS)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
            os.write(writing, (_here(target, data) or "").encode()[:2000])
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    said, killed = b"", False
    deadline = time.monotonic() + PATIENCE
    with open(reading, "rb", buffering=0) as pipe:
        while not killed:
            ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                killed = True
                os.kill(child, signal.SIGKILL)
            elif piece := pipe.read(2000):
                said += piece
            else:
                break
    _, status, used = os.wait4(child, 0)
    if killed:
        return f"hang: over {PATIENCE:.0f} s"
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        return f"hang: over {SECONDS:.0f} s of CPU time"
    if status:
        return f"crash: signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "crash: exit"
    if used.ru_maxrss * 1024 > BYTES:
        return f"memory: {used.ru_maxrss >> 10} MiB"
    return said.decode("utf-8", "replace") or None


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Where an input may lie: in memory, if the system has such a place."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fuzz", dir=place) as folder:
        yield Path(folder)
