"""A batch on a Ray cluster: an actor for every place, wherever the cluster has room.

Actors hold the models and do one video after another. When one is lost, with its node perhaps, its
video goes to another, and a new one is asked for, which begins once there is room for it. Inputs
and outputs lie under the same paths on all nodes.
"""

import logging
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pose3d.batch.dealing import Turns
from pose3d.batch.inputs import Job
from pose3d.batch.outcome import Outcome
from pose3d.batch.run import Listener, attempt, longest_first
from pose3d.batch.work import Work
from pose3d.errors import PoseError, UsageError
from pose3d.files import address_of
from pose3d.progress import Progress

_log = logging.getLogger(__name__)


class _Actor:
    """What runs on the cluster."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def where(self) -> str:
        """The node's address: there is an answer once the actor is there."""
        import ray

        return str(ray.util.get_node_ip_address())

    def do(self, job: Job) -> Outcome:
        """Do a job."""
        return attempt(job, self._work, Progress())


def on_ray(
    jobs: Sequence[Job], work: Work, listener: Listener, address: str, workers: int | None
) -> Generator[tuple[Job, Outcome]]:
    """Do jobs on a cluster, the longest videos first; gives them as they end.

    Parameters
    ----------
    jobs, work, listener
        As for :func:`pose3d.batch.run.run`.
    address
        Of the cluster: ``auto``, ``local`` to start one here, ``HOST:PORT``.
    workers
        Actors; by default one for every GPU of the cluster, or without any for every CPU.

    Raises
    ------
    PoseError
        If Ray is not installed, or there is no cluster.
    UsageError
        If an actor finds the options wrong.
    """
    work.check_named()
    if not jobs:
        return
    ray = _connected(address)
    try:
        yield from _deal(ray, jobs, work, listener, workers)
    finally:
        ray.shutdown()


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError:
        raise PoseError("Ray is not installed: pip install 'pose3d[ray]'") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise PoseError(f"no Ray cluster answers at {address}: {error}") from error
    return ray


def _deal(
    ray: Any, jobs: Sequence[Job], work: Work, listener: Listener, workers: int | None
) -> Generator[tuple[Job, Outcome]]:
    room = ray.cluster_resources()
    gpus = int(room.get("GPU", 0)) if work.options.device != "cpu" else 0
    needs = {"num_gpus": 1} if gpus else {"num_cpus": 1}
    count = min(workers or gpus or int(room.get("CPU", 1)), len(jobs))
    kind = ray.remote(**needs)(_Actor)
    turns = Turns(longest_first(jobs))
    # What is awaited: an actor that is coming, without a job, or one at work, with it.
    awaited: dict[Any, tuple[Any, Job | None]] = {}

    def ask() -> None:
        actor = kind.remote(work)
        awaited[actor.where.remote()] = actor, None

    for _ in range(count):
        ask()
    while turns or any(job for _, job in awaited.values()):
        (ready,), _ = ray.wait(list(awaited), num_returns=1)
        actor, job = awaited.pop(ready)
        try:
            answer = ray.get(ready)
        except UsageError:
            raise
        except ray.exceptions.RayError as error:
            ask()
            if job is None:
                continue
            _log.warning("the actor at work on %s was lost; another takes its place", job.source)
            outcome = turns.lost(job, f"its actor was lost ({type(error).__name__})")
            if outcome is not None:
                yield job, outcome
            continue
        if job is not None:
            yield job, answer
        if turns:
            job = turns.next()
            listener.started(job, answer if isinstance(answer, str) else "ray")
            awaited[actor.do.remote(_absolute(job))] = actor, job


def _absolute(job: Job) -> Job:
    """The same for a process in another folder."""

    def fixed(path: Path) -> Path:
        return path if address_of(path) else path.absolute()

    outputs = {name: fixed(path) for name, path in job.outputs.items()}
    journal = job.journal and fixed(job.journal)
    return replace(job, source=job.source.absolute(), outputs=outputs, journal=journal)
