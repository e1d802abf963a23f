"""Whose turn it is: jobs that wait, and another try for those whose worker was lost."""

from collections import Counter, deque
from collections.abc import Iterable

from pose3d.batch.inputs import Job
from pose3d.batch.outcome import FAILED, Outcome

TRIES = 2  # of a job whose worker dies


class Turns:
    """Jobs in the order in which they are dealt out.

    Parameters
    ----------
    jobs
        The next one first.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._waiting = deque(jobs)
        self._tries = Counter[str]()

    def __len__(self) -> int:
        return len(self._waiting)

    def next(self) -> Job:
        """Take the job whose turn it is."""
        return self._waiting.popleft()

    def lost(self, job: Job, how: str) -> Outcome | None:
        """Put a job whose worker was lost in front again; after :data:`TRIES`, its outcome."""
        self._tries[job.name] += 1
        if self._tries[job.name] < TRIES:
            self._waiting.appendleft(job)
            return None
        return Outcome(FAILED, f"{job.source}: {how}, {TRIES} times")
