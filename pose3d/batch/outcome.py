"""What came of a job, and how an earlier run's files are told from what is asked for now."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose3d import limits, npz, pipeline
from pose3d.errors import PoseError
from pose3d.parse import from_json
from pose3d.sequence import Recording

DONE, SKIPPED, FAILED, DIFFERENT = "done", "skipped", "failed", "different"
MAX_META = limits.META_BYTES


class MadeOtherwiseError(PoseError):
    """What is there was made with other options, by other weights or of another video."""


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes
    ----------
    status
        ``done``; ``skipped``, as an earlier run did it; ``different``, as an earlier run did it
        otherwise; ``failed``.
    reason
        Why, where it is not done.
    written
        The files.
    frames, people
        Of the video.
    warnings
        What the user should know.
    seconds, shares
        How long it took, and with what.
    """

    status: str = DONE
    reason: str = ""
    written: tuple[Path, ...] = ()
    frames: int = 0
    people: int = 0
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    shares: str = ""


def meta_of(path: Path) -> dict[str, Any]:
    """The facts of a recording, without its arrays: there may be ten thousand to look at."""
    try:
        if path.suffix == ".json":
            return dict(json.loads(path.read_bytes())["meta"])
        with npz.opened(path) as archive:
            meta = from_json(str(archive["meta"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, npz.DamagedError):
        return Recording.load(path).meta  # which says what is wrong
    return meta if isinstance(meta, dict) else Recording.load(path).meta


def check_alike(path: Path, meta: dict[str, Any], facts: dict[str, Any]) -> None:
    """Refuse to take a file for what other facts would have given."""
    if changed := pipeline.differences(meta, facts):
        raise made_otherwise(path, changed)


def made_otherwise(path: Path, changed: Sequence[str]) -> MadeOtherwiseError:
    """The error that says what of a file is not as asked for now."""
    return MadeOtherwiseError(
        f"{path} exists and was made otherwise ({'; '.join(changed)}): --overwrite replaces it, "
        "-o DIR keeps it"
    )
