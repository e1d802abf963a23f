"""What came of a job, and how an earlier run's files are told from what is asked for now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose3d import limits, npz, provenance
from pose3d.errors import PoseError
from pose3d.options import Options
from pose3d.parse import from_json, read_bytes
from pose3d.sequence import Recording

DONE, SKIPPED, FAILED, DIFFERENT = "done", "skipped", "failed", "different"


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
            return dict(from_json(read_bytes(path, limits.KEYPOINT_BYTES))["meta"])
        with npz.opened(path) as archive:
            meta = from_json(str(archive["meta"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, npz.DamagedError):
        return Recording.load(path).meta  # which says what is wrong
    return meta if isinstance(meta, dict) else Recording.load(path).meta


def facts_now(
    source: Path, options: Options, models: Mapping[str, Any], lifts: bool, meta: dict[str, Any]
) -> dict[str, Any]:
    """What would make a recording of a video now.

    Parameters
    ----------
    source, options
        The video, and what is asked for.
    models
        A detector or lifter that is loaded already, by these names.
    lifts
        Whether stage 2 is asked for, too.
    meta
        Facts of an earlier run, or none.
    """
    facts = provenance.detection_facts(source, options, models.get("detector"), meta)
    if lifts:
        facts |= provenance.lifting_facts(facts, options, models.get("lifter"))
    return facts


def check_alike(path: Path, meta: dict[str, Any], facts: dict[str, Any]) -> None:
    """Refuse to take a file for what other facts would have given."""
    if changed := provenance.differences(meta, facts):
        raise made_otherwise(path, changed)


def made_otherwise(path: Path, changed: Sequence[str]) -> MadeOtherwiseError:
    """The error that says what of a file is not as asked for now."""
    return MadeOtherwiseError(
        f"{path} exists and was made otherwise ({'; '.join(changed)}): --overwrite replaces it, "
        "-o DIR keeps it"
    )
