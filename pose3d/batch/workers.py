"""A batch on several devices, or several times on one: a process each, with a name and a log.

The parent deals the jobs out and hears through a pipe how they go. A worker that dies is replaced
and its video tried once more; a worker whose parent dies ends with the next frames.
"""

import faulthandler
import logging
import multiprocessing
import os
import signal
import sys
from collections import Counter, deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from pose3d.batch.inputs import Job
from pose3d.batch.outcome import FAILED, Outcome
from pose3d.batch.run import Listener, attempt, longest_first, one_by_one
from pose3d.batch.work import Work
from pose3d.errors import UsageError
from pose3d.progress import Progress

TRIES = 2  # of a video whose worker dies
GRACE = 20.0  # seconds that workers have to clean up after an interrupt
LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seat:
    """A place for a worker: its name, its device, and how many threads it may use."""

    name: str
    device: str
    threads: int


def seats(device: str, workers: int | None) -> list[Seat]:
    """Places for workers.

    Parameters
    ----------
    device
        As of the options; ``cuda`` is every GPU that is visible, and several can be named with
        commas between them.
    workers
        How many; by default one for every device.

    Raises
    ------
    UsageError
        If there is no such device.
    """
    devices = device.split(",")
    if device == "cuda" or (device == "auto" and (workers or 1) > 1):
        import torch

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
            devices = [device]
    if device == "cuda":
        devices = [f"cuda:{n}" for n in range(torch.cuda.device_count())] or ["cuda"]
    if len(devices) > 1 or device == "cuda":
        from pose3d.detect.base import choose_device

        for name in devices:
            choose_device(name)
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers do nothing: give 1 or more")
    count = max(workers or 0, len(devices))
    threads = max((os.cpu_count() or 1) // count, 1)
    chosen = [devices[n % len(devices)] for n in range(count)]
    return [Seat(f"{d.replace(':', '-')}.{n}", d, threads) for n, d in enumerate(chosen, 1)]


def on_devices(
    jobs: Sequence[Job],
    work: Work,
    listener: Listener,
    device: str,
    workers: int | None,
    logs: Path | None,
) -> Generator[tuple[Job, Outcome]]:
    """Do jobs here, if one worker is enough, or in processes.

    `logs` is what the workers' logs are called, but for the worker's name and suffix.
    """
    if not jobs:
        return
    places = seats(device, workers)[: len(jobs)]
    if len(places) == 1:
        yield from one_by_one(jobs, work.on(places[0].device), listener)
    else:
        yield from deal(jobs, work, listener, places, logs)


def deal(
    jobs: Sequence[Job], work: Work, listener: Listener, places: Sequence[Seat], logs: Path | None
) -> Generator[tuple[Job, Outcome]]:
    """Do jobs in processes, the longest videos first; gives them as they end.

    Raises
    ------
    UsageError
        If a worker finds the options wrong.
    """
    work.check_named()
    waiting = deque(longest_first(jobs))
    tries: Counter[Path] = Counter()
    workers = [_Worker(seat, work, logs) for seat in places[: len(waiting)]]
    try:
        for worker in workers:
            worker.give(waiting.popleft(), listener)
        while busy := [worker for worker in workers if worker.job]:
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                job = worker.job
                assert job is not None
                outcome = worker.hear()
                if outcome is None and worker.alive:
                    continue
                if outcome is None:
                    tries[job.source] += 1
                    _log.warning("%s; another takes its place", worker.obituary)
                    if tries[job.source] < TRIES:
                        waiting.appendleft(job)
                    else:
                        outcome = Outcome(FAILED, f"{job.source}: {worker.obituary}, twice")
                    worker.replace()
                if outcome is not None:
                    yield job, outcome
                worker.job = None
                if waiting:
                    worker.give(waiting.popleft(), listener)
    finally:
        for worker in workers:
            worker.dismiss()
        for worker in workers:
            worker.wait()


class _Worker:
    """A process, as its parent sees it."""

    def __init__(self, seat: Seat, work: Work, logs: Path | None) -> None:
        self.seat = seat
        self.job: Job | None = None
        self.log = logs and logs.with_name(f"{logs.name}.{seat.name}.log")
        self._work = work
        self._progress = Progress()
        self.replace()

    def replace(self) -> None:
        """Begin, or begin anew."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.alive = True
        self._process = context.Process(
            target=_serve,
            args=(theirs, self._work.on(self.seat.device), self.seat.threads, self.log),
            name=f"pose3d-{self.seat.name}",
        )
        self._process.start()
        theirs.close()  # so that the pipe ends with the process

    def give(self, job: Job, listener: Listener) -> None:
        """Let it do a job."""
        self.job = job
        self._progress = listener.started(job, self.seat.name)
        try:
            self.connection.send(job)
        except OSError:
            return  # it is dead, which hear() is going to find out

    def hear(self) -> Outcome | None:
        """Take a message: the job's outcome if it has ended."""
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            self.alive = False
            self._process.join()
            return None
        if kind == "usage":
            raise UsageError(content)
        if kind == "advance":
            self._progress.advance(*content)
            return None
        assert isinstance(content, Outcome)
        return content

    @property
    def obituary(self) -> str:
        """How the process ended."""
        code = self._process.exitcode or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        where = f" (see {self.log})" if self.log else ""
        return f"worker {self.seat.name} {how}{where}"

    def dismiss(self) -> None:
        """Let it end: now, if it is at work, and without leaving anything half-written."""
        if self.job and self._process.is_alive():
            self._process.terminate()
        self.connection.close()

    def wait(self) -> None:
        """See it end."""
        self._process.join(GRACE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


class _Told(Progress):
    """Tells the parent how far a job is."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def advance(self, stage: str, done: int, total: int | None = None) -> None:
        """Pass it on; without a parent there is nobody to work for."""
        try:
            self._connection.send(("advance", (stage, done, total)))
        except OSError:
            raise KeyboardInterrupt from None


def _serve(connection: Connection, work: Work, threads: int, log: Path | None) -> None:
    """Do jobs as they come: what runs in a worker's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C, too, and decides
    signal.signal(signal.SIGTERM, _interrupt)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))  # read when torch and numpy are imported
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _log_to(log)
    try:
        while True:
            job = connection.recv()
            _log.info("started %s", job.source)
            message: tuple[str, Any]
            try:
                outcome = attempt(job, work, _Told(connection))
                _log.info("%s %s %s", outcome.status, job.source, outcome.reason)
                message = "ended", outcome
            except UsageError as error:
                message = "usage", str(error)
            connection.send(message)
    except (EOFError, OSError, KeyboardInterrupt):
        return  # nobody is there any more, or wants more


def _interrupt(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _log_to(path: Path | None) -> None:
    """Let everything that the process says go to its log, crashes and other libraries' too."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        sys.stdout.flush()
        sys.stderr.flush()
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
        faulthandler.enable()
    logging.basicConfig(format=LOG_FORMAT, level=logging.WARNING, force=True)
    logging.getLogger("pose3d").setLevel(logging.INFO)
