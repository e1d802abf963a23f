"""A batch from its plan to its report, on one device or several."""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from pose3d.batch.inputs import Job
from pose3d.batch.outcome import DIFFERENT, FAILED, MadeOtherwiseError, Outcome
from pose3d.batch.report import Report
from pose3d.batch.work import Work
from pose3d.errors import PoseError, UsageError
from pose3d.progress import Progress

Results = list[tuple[Job, Outcome]]
Engine = Callable[[Sequence[Job], Work, "Listener"], Generator[tuple[Job, Outcome]]]
BEFORE = " (failed before; --retry-failed tries again)"
_log = logging.getLogger(__name__)


class Listener:
    """Hears how a batch goes; shows nothing by itself."""

    def begun(self, jobs: int) -> None:
        """Hear that a batch of so many begins."""

    def started(self, job: Job, place: str = "") -> Progress:
        """Hear that a job begins, in the worker named `place`; gives who hears how far it is."""
        _log.info("started %s%s", job.source, f" on {place}" if place else "")
        return Progress()

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Hear what became of a job, which need not have begun."""
        why = f": {outcome.reason}" if outcome.reason else f" in {outcome.seconds:.1f} s"
        _log.info("%s %s%s", outcome.status, job.source, why)


def attempt(job: Job, work: Callable[[Job, Progress], Outcome], progress: Progress) -> Outcome:
    """Do a job; what goes wrong is its outcome.

    Raises
    ------
    UsageError
        If the options are wrong, and so for all jobs.
    """
    since = time.perf_counter()
    try:
        outcome = work(job, progress)
    except UsageError:
        raise
    except MadeOtherwiseError as error:
        outcome = Outcome(DIFFERENT, str(error))
    except PoseError as error:
        _log.info("where %s failed", job.source, exc_info=True)
        outcome = Outcome(FAILED, str(error))
    except Exception as error:  # one file must not end a night's work on others
        _log.info("where %s failed", job.source, exc_info=True)
        outcome = Outcome(FAILED, f"{job.source}: {type(error).__name__}: {error}")
    seconds = time.perf_counter() - since
    return replace(outcome, seconds=seconds, shares=progress.shares())


def one_by_one(
    jobs: Sequence[Job], work: Work, listener: Listener
) -> Generator[tuple[Job, Outcome]]:
    """Do jobs in this process, in order."""
    for job in jobs:
        yield job, attempt(job, work, listener.started(job))


def run(
    jobs: Sequence[Job],
    work: Work,
    listener: Listener,
    report: Report,
    retry_failed: bool = False,
    engine: Engine = one_by_one,
) -> Results:
    """Do what is to do of a batch, and report it.

    Parameters
    ----------
    jobs, work
        What to do.
    listener
        Hears how it goes.
    report
        Is written to after every job, and remembers what failed in earlier batches.
    retry_failed
        Try again what failed before.
    engine
        Where and in which order.

    Returns
    -------
    list
        Every job with its outcome, in the order of `jobs`.
    """
    made = {job.source: work.fingerprint(job) for job in jobs}
    results: dict[Path, Outcome] = {}

    def end(job: Job, outcome: Outcome) -> None:
        results[job.source] = outcome
        report.append(job, outcome, made[job.source])
        listener.ended(job, outcome)

    listener.begun(len(jobs))
    due = []
    for job in jobs:
        outcome = settled(job, work, report, made[job.source], retry_failed)
        if outcome is None:
            due.append(job)
        else:
            end(job, outcome)
    with closing(engine(due, work, listener)) as ended:
        for job, outcome in ended:
            end(job, outcome)
    return [(job, results[job.source]) for job in jobs]


def settled(
    job: Job, work: Work, report: Report, made: str | None, retry_failed: bool
) -> Outcome | None:
    """What there is to say of a job without doing it; None where it is to be done."""
    if not job.source.exists():
        where = f"{job.named}: " if job.named else ""
        return Outcome(FAILED, f"{where}{job.source}: no such file")
    outcome = work.settled(job, report.made(job))
    reason = None if retry_failed or work.overwrite else report.failure(job, made)
    if outcome is None and reason is not None:
        return Outcome(FAILED, reason.removesuffix(BEFORE) + BEFORE)
    return outcome


def preview(
    jobs: Sequence[Job], work: Work, report: Report, retry_failed: bool = False
) -> Iterator[tuple[Job, Outcome | None]]:
    """Every job with what there is to say of it now; None where :func:`run` would do it."""
    for job in jobs:
        yield job, settled(job, work, report, work.fingerprint(job), retry_failed)


def shard_of(jobs: Sequence[Job], shard: tuple[int, int] | None) -> list[Job]:
    """The `i`-th of `n` parts of a batch, counted from 1: every n-th job.

    Raises
    ------
    UsageError
        If there is no such part.
    """
    if shard is None:
        return list(jobs)
    part, parts = shard
    if not 1 <= part <= parts:
        raise UsageError(f"there is no part {part} of {parts}: give 1/{parts} to {parts}/{parts}")
    return list(jobs[part - 1 :: parts])


def longest_first(jobs: Sequence[Job]) -> list[Job]:
    """Jobs by the length of their videos, so that no worker is left with a long one at the end."""
    return sorted(jobs, key=lambda job: -seconds_of(job.source))


def seconds_of(path: Path) -> float:
    """Length of a video as its file says it; 0 where nothing can be read."""
    import av

    from pose3d.decode import opened

    try:
        with opened(path) as (container, _):
            return float(container.duration or 0) / av.time_base
    except PoseError:
        return 0.0
