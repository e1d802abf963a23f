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
from collections.abc import Generator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pose3d.batch.dealing import Turns
from pose3d.batch.inputs import Job
from pose3d.batch.outcome import Outcome
from pose3d.batch.run import Listener, attempt, longest_first
from pose3d.batch.seats import Seat
from pose3d.batch.work import Work
from pose3d.errors import UsageError
from pose3d.progress import Progress

GRACE = 20.0  # seconds that workers have to clean up after an interrupt
LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_log = logging.getLogger(__name__)


def deal(
    jobs: Sequence[Job], work: Work, listener: Listener, places: Sequence[Seat], logs: Path | None
) -> Generator[tuple[Job, Outcome]]:
    """Do jobs in processes, the longest videos first; gives them as they end.

    Raises
    ------
    UsageError
        If a worker finds the options wrong.
    """
    with Crew(longest_first(jobs), work, listener, places, logs) as crew:
        while crew.busy:
            yield from crew.ended()


class Crew:
    """Workers at the jobs of a list, as a context manager; they are dismissed at its end.

    Parameters
    ----------
    jobs
        In the order in which they are begun.
    work, listener
        What is done to each, and who hears of it.
    places
        Of the workers, at most.
    logs
        What the workers' logs are called, but for the worker's name and suffix.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        work: Work,
        listener: Listener,
        places: Sequence[Seat],
        logs: Path | None,
    ) -> None:
        work.check_named()
        self._turns = Turns(jobs)
        self._listener = listener
        self._workers = [_Worker(seat, work, logs) for seat in places[: len(jobs)]]

    def __enter__(self) -> Self:
        try:
            for worker in self._workers:
                worker.begin()
                worker.give(self._turns.next(), self._listener)
        except BaseException:
            self._dismiss()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dismiss()

    @property
    def busy(self) -> bool:
        """Whether there are jobs that have not ended."""
        return any(worker.job for worker in self._workers)

    def ended(self, patience: float | None = None) -> list[tuple[Job, Outcome]]:
        """Hear what workers have to say, and give those who are done another job.

        Parameters
        ----------
        patience
            Seconds to wait for something to be said; None for as long as it takes.

        Returns
        -------
        list
            Jobs that have ended by now, often none.

        Raises
        ------
        UsageError
            If a worker finds the options wrong.
        """
        busy = [worker for worker in self._workers if worker.job]
        ready = wait([worker.connection for worker in busy], patience)
        heard = [self._hear(worker) for worker in busy if worker.connection in ready]
        return [pair for pair in heard if pair is not None]

    def _hear(self, worker: "_Worker") -> tuple[Job, Outcome] | None:
        """Take a worker's message; its job and what came of it if that has ended."""
        job = worker.job
        assert job is not None
        outcome = worker.hear()
        if outcome is None and worker.alive:
            return None
        if outcome is None:
            _log.warning("%s; another takes its place", worker.obituary)
            outcome = self._turns.lost(job, worker.obituary)
            worker.begin()
        worker.job = None
        if self._turns:
            worker.give(self._turns.next(), self._listener)
        return None if outcome is None else (job, outcome)

    def _dismiss(self) -> None:
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.wait()


class _Worker:
    """A process, as its parent sees it."""

    def __init__(self, seat: Seat, work: Work, logs: Path | None) -> None:
        self.seat = seat
        self.job: Job | None = None
        self.log = logs and logs.with_name(f"{logs.name}.{seat.name}.log")
        self._work = work
        self._progress = Progress()
        self._process: Any = None

    def begin(self) -> None:
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
        if self._process is None:
            return
        if self.job and self._process.is_alive():
            self._process.terminate()
        self.connection.close()

    def wait(self) -> None:
        """See it end."""
        if self._process is None:
            return
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
    # Without a log of its own it shares the terminal with the bars.
    logging.getLogger("pose3d").setLevel(logging.INFO if path else logging.WARNING)
