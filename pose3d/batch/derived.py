"""Files that are there already: whether they are of the recording, and the look, asked for now.

What people look at says itself what made it (:mod:`pose3d.stamp`). Files for other programs have
no room for that; but they are quickly written anew, and the same recording gives the same bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from filecmp import cmp
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pose3d import provenance
from pose3d.batch.inputs import Job
from pose3d.batch.outcome import made_otherwise
from pose3d.export import FORMATS, write
from pose3d.export.settings import LAYOUTS, UNITS, Settings
from pose3d.look import Look, decisive
from pose3d.sequence import Recording
from pose3d.show import facts_of
from pose3d.stamp import stamped

UNSAID = "it does not say how"
CHOICES = {"unit": tuple(UNITS), "layout": LAYOUTS}


def check_shown(path: Path, form: str, recording: Recording, film: bool, look: Look) -> None:
    """Refuse to take a file to look at for what would be drawn now.

    Parameters
    ----------
    path, form
        The file, and which of :data:`pose3d.look.SUFFIXES` it is.
    recording, film, look
        What is asked for: of what, whether there is a video, and how.

    Raises
    ------
    MadeOtherwiseError
        If it is of something else, or does not say of what.
    """
    made, now = stamped(path), facts_of(recording)
    changed = changes(made, now)
    if made is not None:
        if not changed and not _moves_alike(made, now["motion"]):
            changed = ["another state of the recording"]
        then = _table(made, "look")
        for name, value in decisive(form, look, film).items():
            worse = name == "video" and not film  # than the page that has it
            if then.get(name) != value and not worse:
                changed.append(f"{name} {then.get(name)}, now {value}")
    if changed:
        raise made_otherwise(path, changed)


def check_exported(
    path: Path, form: str, recording: Recording, settings: Settings, source: Path
) -> None:
    """Refuse to take a file for another program for what would be written now.

    Parameters
    ----------
    path, form
        The file, and which of :data:`pose3d.export.FORMATS` it is.
    recording, settings
        What is asked for.
    source
        The file of the recording.

    Raises
    ------
    MadeOtherwiseError
        If it has other content.
    """
    if is_of(path, form, recording, settings):
        return
    for name, values in CHOICES.items():
        now = getattr(settings, name)
        for value in values:
            other = replace(settings, **{name: value})
            if value != now and is_of(path, form, recording, other):
                raise made_otherwise(path, [f"{name} {value}, now {now}"])
    what = (
        f"of an earlier {source.name}" if _older(path, source) else f"not of {source.name} as it is"
    )
    raise made_otherwise(path, [what])


def check_made(outputs: Mapping[str, Path], recording: Recording) -> None:
    """Refuse files of a job that are there already and not of its recording.

    Raises
    ------
    MadeOtherwiseError
        If there is one.
    """
    for form, path in outputs.items():
        if form in FORMATS:
            if not is_of(path, form, recording):
                raise made_otherwise(path, ["with other options"])
        elif changed := changes(stamped(path), facts_of(recording)):
            raise made_otherwise(path, changed)


def is_of(path: Path, form: str, recording: Recording, settings: Settings | None = None) -> bool:
    """Whether a file, and those that belong to it, are what a recording gives."""
    with TemporaryDirectory(prefix="pose3d-") as scratch:
        fresh = write(
            recording, Path(scratch) / path.name, form=form, **vars(settings or Settings())
        )
        return all(_alike(new, path.with_name(new.name)) for new in fresh)


def unproven(job: Job, facts: Callable[[dict[str, Any]], dict[str, Any]]) -> list[Path]:
    """Outputs of a job, none of them a recording, that nothing tells the making of.

    Parameters
    ----------
    job
        All its outputs are there.
    facts
        What would make its recording now, given the facts of one that is there.

    Raises
    ------
    MadeOtherwiseError
        If one is certainly of something else: it says so, or a recording beside it, or the time.
    """
    there = job.recording is not None and job.recording.exists()
    beside = Recording.load(job.recording) if there and job.recording else None
    unsure = []
    for form, path in job.outputs.items():
        changed = _known_changes(path, form, beside, facts)
        if changed is None and _older(path, job.source):
            changed = [f"of an earlier {job.source.name}"]
        if changed is None:
            unsure.append(path)
        elif changed:
            raise made_otherwise(path, changed)
    return unsure


def _known_changes(
    path: Path,
    form: str,
    beside: Recording | None,
    facts: Callable[[dict[str, Any]], dict[str, Any]],
) -> list[str] | None:
    """What is otherwise in a file, by itself or the recording beside it; None if neither tells."""
    if form not in FORMATS:
        made = stamped(path)
        return None if made is None else changes(made, facts(_table(made, "of")))
    if beside is None or (FORMATS[form].space and "lift" not in beside.meta.get("steps", ())):
        return None
    changed = provenance.differences(beside.meta, facts(beside.meta))
    if is_of(path, form, beside):
        return changed
    return None if changed else ["not of the recording beside it"]


def outdated(job: Job, facts: dict[str, Any]) -> dict[str, Path]:
    """Outputs of a job that are there, but not of its recording, which is made as `facts` say."""
    source = job.outputs.get("npz")
    if source is None or not source.exists():
        return {}
    found = {}
    recording = cache(partial(Recording.load, source))  # read once, if at all
    for form, path in job.outputs.items():
        if path == source or not path.exists():
            continue
        # What is not older was written after the recording.
        older = _older(path, source)
        made = None if form in FORMATS else stamped(path)
        if made is not None:
            stale = bool(changes(made, facts)) or (
                older and not _moves_alike(made, facts_of(recording())["motion"])
            )
        else:
            stale = older and not (form in FORMATS and is_of(path, form, recording()))
        if stale:
            found[form] = path
    return found


def _moves_alike(made: dict[str, Any], motion: str) -> bool:
    """Whether what a file shows is a motion, whatever else it says."""
    return bool(_table(made, "of").get("motion") == motion)


def _older(path: Path, other: Path) -> bool:
    """Whether a file was written before another."""
    return path.stat().st_mtime_ns < other.stat().st_mtime_ns


def changes(made: dict[str, Any] | None, facts: dict[str, Any]) -> list[str]:
    """What of a recording's facts is otherwise in those that a file says."""
    if made is None:
        return [UNSAID]
    then = _table(made, "of")
    weights = _table(then, "weights")
    known = {
        "source": _table(then, "source"),
        "options": _table(then, "options"),
        "weights": {kind: {"name": "", "sha256": None} | _table(weights, kind) for kind in weights},
        "steps": ["lift"] if then.get("lifted") else [],
    }
    return provenance.differences(known, facts)


def _table(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table of a file's facts, which may hold anything."""
    value = facts.get(name)
    return value if isinstance(value, dict) else {}


def _alike(new: Path, old: Path) -> bool:
    """Whether two files, or folders of files, hold the same."""
    if new.is_dir():
        names = sorted(path.name for path in new.iterdir())
        there = sorted(path.name for path in old.iterdir()) if old.is_dir() else []
        return names == there and all(_alike(new / name, old / name) for name in names)
    return old.is_file() and cmp(new, old, shallow=False)
