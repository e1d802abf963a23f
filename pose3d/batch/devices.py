"""A batch on the devices of this machine: here, in a process each, or shared by all of them."""

from collections.abc import Generator, Sequence
from pathlib import Path

from pose3d.batch.inputs import Job
from pose3d.batch.outcome import Outcome
from pose3d.batch.run import Listener, one_by_one, seconds_of
from pose3d.batch.seats import seats
from pose3d.batch.split import Helpers
from pose3d.batch.work import Work
from pose3d.batch.workers import deal

LONG = 10.0  # seconds of a video that is worth the start of several workers


def on_devices(
    jobs: Sequence[Job],
    work: Work,
    listener: Listener,
    device: str,
    workers: int | None,
    logs: Path | None,
) -> Generator[tuple[Job, Outcome]]:
    """Do jobs here, if one worker is enough, or in processes.

    Where there are fewer jobs than workers that were asked for, by number or name, long videos are
    done one after another, each by all. `logs` is what the workers' logs are called, but for the
    worker's name and suffix.
    """
    if not jobs:
        return
    places = seats(device, workers)
    shared: list[Job] = []
    asked = workers is not None or "," in device
    if asked and len(jobs) < len(places) and work.can_be_shared:
        shared = [job for job in jobs if job.journal and seconds_of(job.source) >= LONG]
    others = [job for job in jobs if job not in shared]
    first = places[0].device
    if len(places) == 1 or len(others) == 1:
        yield from one_by_one(others, work.on(first), listener)
    elif others:
        yield from deal(others, work, listener, places, logs)
    yield from one_by_one(shared, work.on(first).helped(Helpers(places, logs)), listener)
