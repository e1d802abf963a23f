"""``infer_many``: whole folders of videos to 3D."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pose3d import pipeline
from pose3d.batch.devices import on_devices
from pose3d.batch.inputs import VIDEOS, Job, expand, plan
from pose3d.batch.on_ray import on_ray
from pose3d.batch.outcome import Outcome
from pose3d.batch.remote import placed
from pose3d.batch.report import Report, default_path
from pose3d.batch.run import Engine, Listener, Results, preview, run, shard_of
from pose3d.batch.stages import infer
from pose3d.batch.work import Work
from pose3d.errors import UsageError
from pose3d.files import address_of
from pose3d.look import WRITTEN

Paths = str | os.PathLike[str]


@dataclass(frozen=True)
class Manner:
    """How a batch is done.

    Attributes
    ----------
    device
        One, ``cuda`` for every GPU that is visible, or several with commas between them.
    workers
        Processes; by default one for every device.
    shard
        Which part of the batch, of how many, counted from 1; None for all.
    report
        Where to report; by default ``report.jsonl`` with the results if there are several inputs.
    retry_failed
        Try again what failed before.
    ray
        Address of a Ray cluster to work on instead of this machine's processes: ``auto``,
        ``local``, ``HOST:PORT``.
    """

    device: str = "auto"
    workers: int | None = None
    shard: tuple[int, int] | None = None
    report: Path | None = None
    retry_failed: bool = False
    ray: str | None = None

    def report_of(self, jobs: Sequence[Job], output: Path | None) -> Path | None:
        """Where the report of a batch is; None for a single input, whom nobody reports on."""
        if self.report is not None or len(jobs) < 2:
            return self.report
        here = None if output is None or address_of(output) else output
        return default_path(list(jobs), here, self.shard)


def infer_many(
    inputs: Paths | Iterable[Paths],
    output: Paths | None = None,
    *,
    save: Iterable[str] = ("npz",),
    pattern: str | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    device: str = "auto",
    workers: int | None = None,
    shard: tuple[int, int] | None = None,
    report: Paths | None = None,
    ray: str | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Results:
    """Everyone's motion in many videos, in 3D; what is done already is not done again.

    Parameters
    ----------
    inputs
        Files, folders with all that is in them, patterns, and lists of such (``@list.txt``).
    output
        Folder for the results, in which they lie as the inputs do; beside each input by default.
        May be an address that fsspec knows, such as ``s3://bucket/out``.
    save
        Formats to write, by their names in :data:`pose3d.export.FORMATS`, and ``mp4``, ``gif``,
        ``png``, ``html``.
    pattern
        Of the files of folders to take, such as ``cam1_*.mp4``.
    overwrite
        Do again what is done, and what was done with other options.
    retry_failed
        Do again what failed before.
    device, workers, shard, report, ray
        As in :class:`Manner`. Several workers are processes: a script that asks for them must do
        so below ``if __name__ == "__main__":``.
    listener
        Hears how it goes.
    options
        As in :class:`~pose3d.pipeline.Options`; detector and lifter may be loaded already.

    Returns
    -------
    list of (Job, Outcome)
        What became of every input: ``outcome.status`` is ``done``, ``skipped``, ``different`` or
        ``failed``, ``outcome.reason`` says why.

    Raises
    ------
    PoseError
        If there is nothing to work on, or weights cannot be had.
    UsageError
        If an option cannot mean anything.

    Examples
    --------
    >>> import pose3d
    >>> for job, outcome in pose3d.infer_many("videos", "results"):          # doctest: +SKIP
    ...     print(job.source, outcome.status, outcome.reason)
    """
    texts = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    where = None if output is None else Path(output)
    wanted = set(save)
    if unknown := wanted - WRITTEN.keys():
        raise UsageError(f"{min(unknown)!r} is no format: there are {', '.join(WRITTEN)}")
    chosen = {name: suffix for name, suffix in WRITTEN.items() if name in wanted}
    models = {k: v for k, v in options.items() if k in ("detector", "lifter") and callable(v)}
    work = Work(infer, pipeline.options_of(**options), overwrite, models)
    jobs = plan(expand(texts, VIDEOS, pattern=pattern), where, chosen)
    line = None if report is None else Path(report)
    manner = Manner(device, workers, shard, line, retry_failed, ray)
    return perform(jobs, work, where, manner, listener or Listener())


def perform(
    jobs: Sequence[Job],
    work: Work,
    output: Path | None,
    manner: Manner,
    listener: Listener,
) -> Results:
    """Do a planned batch, or a part of it.

    Parameters
    ----------
    jobs, work
        What to do.
    output
        The folder of the results, if there is one.
    manner
        How.
    listener
        Hears how it goes.
    """
    path = manner.report_of(jobs, output)
    mine = shard_of(jobs, manner.shard)
    work = placed(work, output)
    report = Report(path)
    engine: Engine
    if manner.ray is not None:
        work = work.on(manner.device)
        engine = partial(on_ray, address=manner.ray, workers=manner.workers)
    else:
        logs = path and path.with_suffix("")
        engine = partial(on_devices, device=manner.device, workers=manner.workers, logs=logs)
    return run(mine, work, listener, report, manner.retry_failed, engine)


def forecast(
    jobs: Sequence[Job], work: Work, output: Path | None, manner: Manner
) -> list[tuple[Job, Outcome | None]]:
    """What :func:`perform` would say of every job; None where it would do it."""
    report = Report(manner.report_of(jobs, output))
    work = placed(work, output)
    return list(preview(shard_of(jobs, manner.shard), work, report, manner.retry_failed))
