"""What made a recording: the part of its `meta` by which a run knows another's results again."""

from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from pose3d import __version__
from pose3d.camera import fingerprint
from pose3d.errors import PoseError
from pose3d.options import LIFTING, WITHOUT_EFFECT, Options
from pose3d.sequence import SCHEMA
from pose3d.weights import find, sha256


def tool() -> dict[str, Any]:
    """The part of `meta` that says who made the file."""
    return {"schema": SCHEMA, "tool": {"name": "pose3d", "version": __version__}}


def detection_facts(
    path: Path, options: Options, detector: Any = None, earlier: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The part of `meta` that decides what stage 1 gives: video, options, weights.

    Where the `meta` of an `earlier` run has the video's size and time, it is the same video: its
    SHA-256 is taken from there.
    """
    if not path.is_file():
        raise PoseError(f"{path}: no such file")
    values = asdict(options)
    before, stamp = (earlier or {}).get("source", {}), stamp_of(path)
    known = all(before.get(name) == value for name, value in stamp.items())
    digest = before.get("sha256") if known else None
    return {
        "source": {"name": path.name, **stamp, "sha256": digest or sha256(path)},
        "options": {name: value for name, value in values.items() if name not in LIFTING},
        "weights": {"detector": weight_facts(options, "detector", detector)},
    }


def stamp_of(path: Path) -> dict[str, Any]:
    """Size and time of a file, by which one that nobody has touched is known again."""
    status = path.stat()
    return {"bytes": status.st_size, "modified": status.st_mtime_ns}


def lifting_facts(meta: dict[str, Any], options: Options, lifter: Any = None) -> dict[str, Any]:
    """The parts of `meta` that lifting adds to."""
    weights = {"lifter": weight_facts(options, "lifter", lifter)}
    chosen = {name: getattr(options, name) for name in LIFTING} | {"skip": sorted(options.skip)}
    if options.camera is not None:
        chosen["camera"] = fingerprint(options.camera)
    return {
        "options": {**meta.get("options", {}), **chosen},
        "weights": {**meta.get("weights", {}), **weights},
    }


def weight_facts(options: Options, kind: str, model: Any) -> dict[str, str | None]:
    """Name and SHA-256 of the weights; a model that came loaded has only its class."""
    if callable(model):
        return {"name": type(model).__name__, "sha256": None}
    name = options.weights(kind)
    path = find(name, kind=kind)  # type: ignore[arg-type]
    return {"name": name, "sha256": _sha256(path, **stamp_of(path))}


def differences(meta: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    """What of `facts` is otherwise in a file's `meta`, in words; nothing where results are equal.

    Device and batch size make no difference; weights are compared by their SHA-256.
    """
    found = []
    if meta.get("source", {}).get("sha256") != facts["source"]["sha256"]:
        found.append("another video")
    lifted = "lift" in meta.get("steps", ())
    usual = {**asdict(Options()), "skip": []}
    before = usual | meta.get("options", {})
    for name, value in facts["options"].items():
        unused = name in LIFTING and not lifted
        by_weights = name in ("detector", "lifter")
        if name in WITHOUT_EFFECT or by_weights or unused or before.get(name) == value:
            continue
        found.append(f"{name.replace('_', '-')} {_said(before.get(name))}, now {_said(value)}")
    weights = meta.get("weights", {})
    for kind, now in facts["weights"].items():
        if kind == "lifter" and not lifted:
            continue  # it is yet to be used
        then = weights.get(kind) or {"name": "none", "sha256": None}
        if then["sha256"] != now["sha256"]:
            same = then["name"] == now["name"]
            found.append(f"{kind} {then['name']}, now {'newer' if same else now['name']}")
    return found


def _said(value: Any) -> str:
    """An option's value as one would write it."""
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    return "none" if value in (None, "") else str(value)


def decisive(facts: dict[str, Any]) -> dict[str, Any]:
    """The part of detection's facts on which a detector's answers depend."""
    chosen = {k: v for k, v in facts["options"].items() if k not in WITHOUT_EFFECT}
    return {
        "tool": tool(),
        "source": facts["source"]["sha256"],
        "options": chosen | {"detector": facts["weights"]["detector"]},
    }


@lru_cache(maxsize=16)
def _sha256(path: Path, **_stamp: int) -> str:
    """SHA-256 of a file, read again only if its size or time changes: batches ask often."""
    return sha256(path)
