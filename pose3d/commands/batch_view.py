"""How a batch looks: a bar for it, one for every video at work, a line for every video done."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from pose3d.batch import DIFFERENT, DONE, FAILED, SKIPPED, Job, Listener, Outcome, table
from pose3d.commands.console import Bars, Console
from pose3d.counted import counted
from pose3d.files import shown


class BatchView(Listener):
    """Shows a batch on the console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Any = None
        self._bars: dict[Path, Bars] = {}

    def begun(self, jobs: int) -> None:
        """Show the bar of the batch."""
        if jobs > 1 and self._console.bars:
            from tqdm import tqdm

            self._bar = tqdm(total=jobs, desc="batch", unit="file", leave=False, dynamic_ncols=True)

    def started(self, job: Job, place: str = "") -> Bars:
        """Show the bars of a video."""
        super().started(job, place)
        label = f"{place} {job.source.name}".lstrip()
        self._bars[job.source] = Bars(label, shown=self._console.bars, told=self._console.told)
        return self._bars[job.source]

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Say what came of it: whom it found, where the time went, which files there are."""
        if bars := self._bars.pop(job.source, None):
            bars.close()
        super().ended(job, outcome)
        if self._bar is None:
            self._tell(job, outcome)
            return
        with self._bar.external_write_mode():
            self._tell(job, outcome)
        self._bar.update()

    def close(self) -> None:
        """Take the bars off the screen."""
        for bars in self._bars.values():
            bars.close()
        if self._bar is not None:
            self._bar.close()

    def _tell(self, job: Job, outcome: Outcome) -> None:
        if outcome.status == DONE:
            tell(self._console, job, outcome)
        elif outcome.status == SKIPPED:
            tell_nothing(self._console, job, outcome.reason)
        else:
            named = job.source.stem in outcome.reason
            where = "" if named else f"{job.source}: "
            self._console.complain(where + outcome.reason, where=False)


def tell(console: Console, job: Job, outcome: Outcome) -> None:
    """Say what came of a job that was done."""
    for warning in outcome.warnings:
        console.warn(f"{job.source}: {warning}")
    people = counted(outcome.people, "person", "people") if outcome.people else "nobody found"
    seconds = max(outcome.seconds, 1e-3)
    moving = outcome.frames > 1  # else it was a picture
    frames = f"{counted(outcome.frames, 'frame')}, " if moving else ""
    speed = f"{outcome.frames / seconds:.1f} frames/s: " if moving else ""
    console.say(f"{job.source}: {frames}{people}, {seconds:.1f} s ({speed}{outcome.shares})")
    for path in outcome.written:
        console.say(f"  {shown(path)}")


def tell_nothing(console: Console, job: Job, doubt: str = "") -> None:
    """Say that a job was done earlier, and what is in doubt."""
    files = ", ".join(map(shown, job.outputs.values()))
    there = "is" if len(job.outputs) == 1 else "are"
    but = f", but {doubt}" if doubt else ""
    console.say(
        f"{job.source}: nothing to do, {files} {there} there{but} (--overwrite runs it again)"
    )


def conclude(console: Console, results: list[tuple[Job, Outcome]]) -> None:
    """Sum a batch up; exits with 1 if not everything is done."""
    bad = [outcome for _, outcome in results if outcome.status in (FAILED, DIFFERENT)]
    if len(results) > 1:
        console.say(table(results, reasons=not _together()))
    if bad:
        if len(results) > 1:
            console.complain(f"{len(bad)} of {len(results)} files failed", where=False)
        click.get_current_context().exit(1)


def _together() -> bool:
    """Whether stdout and stderr end in one terminal or file: once is enough there."""
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (OSError, ValueError):
        return False


def show_forecast(console: Console, results: list[tuple[Job, Outcome | None]]) -> None:
    """Say what a batch would do; exits with 1 if it would for what is known already."""
    for job, outcome in results:
        if outcome is None:
            files = ", ".join(map(shown, job.outputs.values()))
            click.echo(f"{'to do':10} {job.source} -> {files}")
        else:
            reason = outcome.reason.removeprefix(f"{job.source}: ")
            click.echo(f"{outcome.status:10} {job.source} {reason}".rstrip())
    due = sum(outcome is None for _, outcome in results)
    console.say(f"{due} of {counted(len(results), 'file')} to do")
    if any(outcome and outcome.status in (FAILED, DIFFERENT) for _, outcome in results):
        click.get_current_context().exit(1)
