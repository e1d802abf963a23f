"""``report.jsonl``: what became of every input of a batch, and the memory of what failed.

A line is a JSON object: ``input`` (absolute path), ``status`` (done, skipped, failed, different),
``reason``, ``seconds``, ``frames``, ``people``, ``outputs``, ``made`` (fingerprint of what decides
the outputs), ``at`` (when, ISO 8601, UTC).
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pose3d.batch.inputs import Job
from pose3d.batch.outcome import DONE, FAILED, SKIPPED, Outcome
from pose3d.counted import counted
from pose3d.errors import PoseError
from pose3d.files import address_of, check_writable

MAX_LINE = 1 << 20  # bytes


class Report:
    """The report of a batch; earlier batches have written to it, too.

    Parameters
    ----------
    path
        Its file; None for no report and no memory.

    Raises
    ------
    PoseError
        If it cannot be read or written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._last: dict[str, dict[str, Any]] = {}
        if path is not None:
            check_writable(path.parent)
            try:
                self._read(path)
            except OSError as error:
                raise PoseError(f"{path} cannot be read: {error.strerror or error}") from error

    def made(self, job: Job) -> str | None:
        """Fingerprint with which an earlier batch did a job, if it did."""
        line = self._last.get(_name(job), {})
        return line.get("made") if line.get("status") == DONE else None

    def failure(self, job: Job, made: str | None) -> str | None:
        """Why an earlier batch failed at the same job, None if it did not.

        A file that has changed since is another job, and so is one with other options.
        """
        line = self._last.get(_name(job), {})
        alike = line.get("status") == FAILED and line.get("made") == made
        return str(line.get("reason", "")) if alike and made else None

    def append(self, job: Job, outcome: Outcome, made: str | None) -> None:
        """Write what became of a job."""
        if self.path is None:
            return
        line = {
            "input": _name(job),
            "status": outcome.status,
            "reason": outcome.reason,
            "seconds": round(outcome.seconds, 3),
            "frames": outcome.frames,
            "people": outcome.people,
            "outputs": [address_of(path) or str(path.absolute()) for path in outcome.written],
            "made": made,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        text = json.dumps(line, ensure_ascii=True) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read() != b"\n":  # a run was killed while it wrote
                        text = "\n" + text
                file.write(text.encode())  # at the end, as one piece
        except OSError as error:
            raise PoseError(f"{self.path} cannot be written: {error.strerror or error}") from error
        self._keep(line)

    def _read(self, path: Path) -> None:
        if not path.exists():
            return
        with open(path, "rb") as file:
            while text := file.readline(MAX_LINE):
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError):
                    continue
                if isinstance(line, dict):
                    self._keep(line)

    def _keep(self, line: dict[str, Any]) -> None:
        if line.get("status") in (DONE, FAILED):
            self._last[str(line.get("input"))] = line


def default_path(jobs: list[Job], output: Path | None, shard: tuple[int, int] | None) -> Path:
    """Where a report is put unless somebody says it: with the results, or above all inputs.

    If that cannot be written, or is the root of all folders, it is beside the first input.
    """
    name = f"report.{shard[0]}-of-{shard[1]}.jsonl" if shard else "report.jsonl"
    if output is not None:
        return output / name
    parents = [str(job.source.parent.resolve()) for job in jobs]
    try:
        common = Path(os.path.commonpath(parents))
    except ValueError:  # on different drives
        common = Path(parents[0])
    fitting = common.parent != common and os.access(common, os.W_OK)
    return (common if fitting else Path(parents[0])) / name


def table(outcomes: list[tuple[Job, Outcome]], reasons: bool = True) -> str:
    """Summary of a batch: how many of each kind, and what failed with its `reasons`."""
    lines = []
    for status in (DONE, SKIPPED, "different", FAILED):
        some = [outcome for _, outcome in outcomes if outcome.status == status]
        if not some:
            continue
        line = f"{status:10}{len(some):7,}"
        if status == DONE:
            frames = counted(sum(o.frames for o in some), "frame")
            people = counted(sum(o.people for o in some), "person", "people")
            line += f"   {frames}, {people}, {_clock(sum(o.seconds for o in some))} of work"
        lines.append(line)
    for job, outcome in outcomes:
        if reasons and outcome.status not in (DONE, SKIPPED):
            reason = outcome.reason.removeprefix(f"{job.source}: ")
            lines.append(f"  {outcome.status} {job.source}: {reason}")
    return "\n".join(lines)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def _name(job: Job) -> str:
    return str(job.source.absolute())
