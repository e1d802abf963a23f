"""What the user sees: lines, bars, summaries."""

import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pose3d.errors import PoseError, UsageError
from pose3d.progress import Progress

if TYPE_CHECKING:
    from pose3d.batch import Job


EVERY = 60.0  # seconds between lines where there are no bars


class Bars(Progress):
    """A tqdm bar on stderr for every stage that takes longer than two seconds.

    Where bars are not `shown`, what lasts is `told` in a line a minute.
    """

    def __init__(self, label: str, shown: bool = True, told: bool = False) -> None:
        super().__init__()
        self._label = label
        self._shown = shown
        self._told = told
        self._said = time.monotonic()
        self._bars: dict[str, Any] = {}

    def advance(self, stage: str, done: int, total: int | None = None) -> None:
        """Move the bar of `stage`."""
        if self._told:
            if time.monotonic() - self._said >= EVERY:
                self._said = time.monotonic()
                click.echo(f"{self._label}: {stage} {done}/{total or '?'}", err=True)
            return
        if stage not in self._bars:
            from tqdm import tqdm

            self.close()
            self._bars[stage] = tqdm(
                desc=f"{self._label}: {stage}",
                total=total,
                delay=2,
                leave=False,
                dynamic_ncols=True,
                disable=not self._shown,
            )
        bar = self._bars[stage]
        bar.total = max(total, done) if total else None
        bar.update(done - bar.n)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside, and say of loading, which moves no bar, that it goes on."""
        if name == "load":
            self.loading()
        try:
            with super().stage(name):
                yield
        finally:
            if "load" in self._bars:
                self._bars.pop("load").close()

    def loading(self) -> None:
        """Say, until the first bar moves, that the networks are being loaded: seconds, or more."""
        if self._shown and sys.stderr.isatty():
            from tqdm import tqdm

            self.close()
            words = f"{self._label}: loading"
            self._bars["load"] = tqdm(total=1, desc=words, bar_format="{desc}", leave=False)

    def close(self) -> None:
        """Take the bars off the screen."""
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()


class Console:
    """How much to say, and saying it."""

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False
        self.log_file: Path | None = None
        self.log: logging.Handler | None = None

    @property
    def bars(self) -> bool:
        """Whether to draw bars: on a terminal, unless it is full of log lines."""
        return sys.stderr.isatty() and not self.quiet and not self.verbose

    @property
    def told(self) -> bool:
        """Whether to tell in lines how far it is."""
        return not self.quiet and not self.bars

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Say meanwhile that the program itself is loading, which takes long from a cold disk."""
        if not self.bars:
            yield
            return
        print("loading pose3d", end="", file=sys.stderr, flush=True)
        try:
            yield
        finally:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Tell what was done."""
        if not self.quiet:
            click.echo(text)

    def warn(self, text: str) -> None:
        """Tell what the user should know, on stderr."""
        if not self.quiet:
            click.echo(text, err=True)

    def complain(self, text: str, where: bool = True) -> None:
        """Tell what went wrong, on stderr, however quiet, and `where` to those who want to know."""
        click.echo(text, err=True)
        if where:
            self.record(text)
        if self.verbose and where:
            traceback.print_exc()

    def record(self, text: str) -> None:
        """Put what went wrong into the log file, if there is one."""
        if self.log is not None:
            text = text.removeprefix("Error: ")
            facts = {"name": "pose3d", "levelno": logging.ERROR, "levelname": "ERROR", "msg": text}
            self.log.handle(logging.makeLogRecord(facts))

    def each(self, jobs: "Sequence[Job]", work: "Callable[[Job, Bars], None]") -> None:
        """Do one job after another; what fails is reported and skipped.

        Exits with 1 at the end if anything failed. What is wrong with the options ends it at once.
        """
        failed = 0
        for job in jobs:
            bars = Bars(job.source.name, shown=self.bars, told=self.told)
            try:
                work(job, bars)
            except UsageError:
                raise
            except PoseError as error:
                bars.close()
                failed += 1
                self.complain(str(error))
            except Exception as error:  # one file must not end a night's work on others
                bars.close()
                failed += 1
                more = "" if self.verbose else " (--verbose shows where)"
                self.complain(f"{job.source}: {type(error).__name__}: {error}{more}")
            finally:
                bars.close()
        if failed:
            if len(jobs) > 1:
                self.complain(f"{failed} of {len(jobs)} files failed")
            click.get_current_context().exit(1)
