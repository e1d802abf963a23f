"""What people look at: a video, an animated picture, a sheet of pictures, a page."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pose3d.look import Look, decisive
from pose3d.options import WITHOUT_EFFECT, Options
from pose3d.progress import Progress
from pose3d.sequence import Recording
from pose3d.stamp import stamp

SOURCE = ("sha256", "bytes", "modified")  # of a video, by which it is known
# Options that decide nothing, or are told by the weights, and may be paths.
UNSAID = (*WITHOUT_EFFECT, "detector", "lifter")


def show(
    form: str,
    recording: Recording,
    video: Path | None,
    path: Path,
    look: Look,
    progress: Progress | None = None,
    final: Path | None = None,
) -> None:
    """Write what one of :data:`pose3d.look.SUFFIXES` names.

    Parameters
    ----------
    form
        ``mp4``, ``gif``, ``png`` or ``html``.
    recording, video
        The video may be None where :func:`~pose3d.look.needs_video` says so.
    path
        To write. Half-written after an error: give a temporary name.
    look
        How it shall look; a page always has both views.
    progress
        Hears how many frames are drawn.
    final
        What `path` will be called, from which a page finds a video beside it.

    Raises
    ------
    PoseError
        If the video cannot be read, or has other frames than the recording.
    """
    if form == "html":
        from pose3d.viewer import write_viewer

        write_viewer(recording, video, path, look, progress, final)
    else:
        from pose3d import render

        writers = {"mp4": render.render_video, "gif": render.render_gif, "png": render.render_sheet}
        writers[form](recording, video, path, progress=progress, look=look)
    sign(path, recording, decisive(form, look, video is not None))


def sign(path: Path, recording: Recording, look: dict[str, Any] | None = None) -> None:
    """Let a finished file to look at say what made it; what is usual is left out."""
    facts, usual = facts_of(recording), usual_options()
    chosen = {k: v for k, v in facts["options"].items() if usual.get(k) != v}
    stamp(path, {"of": facts | {"options": chosen}, "look": look or {}})


def facts_of(recording: Recording) -> dict[str, Any]:
    """What made a recording, in the order of its `meta`, and a digest of everyone's motion.

    Nothing that would tell strangers more than the picture does: of files, names without folders.
    """
    meta = recording.meta
    options = usual_options() | meta.get("options", {})
    weights = {
        kind: {"name": Path(str(fact["name"])).name, "sha256": fact["sha256"]}
        for kind, fact in meta.get("weights", {}).items()
    }
    return {
        "source": {name: meta.get("source", {}).get(name) for name in SOURCE},
        "options": {k: v for k, v in options.items() if k not in UNSAID},
        "weights": weights,
        "lifted": "lift" in meta.get("steps", ()),
        "motion": _digest(recording),
    }


def usual_options() -> dict[str, Any]:
    """Options by default, as `meta` has them."""
    return asdict(Options()) | {"skip": []}


def _digest(recording: Recording) -> str:
    """The beginning of a SHA-256 of everyone's keypoints and joints."""
    digest = hashlib.sha256()
    for person in recording.people:
        digest.update(str(person.id).encode())
        for part in (person.keypoints, person.pose):
            for array in vars(part).values() if part is not None else ():
                if array is not None:
                    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
