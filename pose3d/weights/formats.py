"""What a file of weights is, by its content, and reading it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from pose3d import limits
from pose3d.errors import PoseError, UsageError
from pose3d.parse import from_json
from pose3d.weights import (
    caffe2,
    detectron2,
    keypoint_rcnn,
    torchvision_pth,
    videopose3d,
)
from pose3d.weights.arrays import NUMPY_NAMES, Array, Reader
from pose3d.weights.checkpoint import Checkpoint
from pose3d.weights.checksum import sha256
from pose3d.weights.native import load_safetensors
from pose3d.weights.torchfile import LEGACY_START, ZIP_START, load_legacy, load_zip
from pose3d.weights.unpickle import MalformedError, load

DIALECTS = {
    "caffe2": ("caffe2",),
    "detectron2": ("detectron2", "detectron2-d1"),
    "torchvision": ("torchvision",),
    "videopose3d": (
        "videopose3d",
        "videopose3d-causal",
        "videopose3d-h36m",
        "videopose3d-h36m-causal",
    ),
}

LIFTERS = {"temporal"}  # architectures; all others are detectors


def read(path: Path | str, dialect: str | None = None) -> Checkpoint:
    """Read a file of weights of any family.

    Parameters
    ----------
    path
        Caffe2 Detectron's or detectron2's ``.pkl``, detectron2's or torchvision's ``.pth``,
        VideoPose3D's ``.bin``, or safetensors of our own; what it is shows in its content.
    dialect
        What the content does not show: ``detectron2-d1`` for detectron2's Detectron1-Comparisons;
        ``videopose3d-h36m`` for a lifter that takes Human3.6M's keypoints instead of COCO's,
        ``videopose3d-causal`` for one that looks only back, ``videopose3d-h36m-causal`` for one
        that does both. Else the family's own.

    Raises
    ------
    PoseError
        If the file is anything else, is damaged, or asks for code to be run; its name and the
        reason in one line.
    UsageError
        If the family has no such dialect.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size > limits.WEIGHTS_BYTES:
                raise MalformedError(f"is larger than {limits.in_words(limits.WEIGHTS_BYTES)}")
            head = file.read(512)
            if _is_safetensors(head, size):
                return _read_native(path, dialect)
            _refuse_what_is_no_weights(head)
            return _read_pickle(path, file, size, head, dialect)
    except MalformedError as error:
        raise PoseError(f"{path} {error}") from None
    except (RecursionError, MemoryError, UnicodeError):
        raise PoseError(f"{path} is damaged, or was made to do harm") from None
    except OSError as error:
        raise PoseError(f"{path} cannot be read: {error.strerror}") from None


def _is_safetensors(head: bytes, size: int) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size


def _read_native(path: Path, dialect: str | None) -> Checkpoint:
    tensors, metadata = load_safetensors(path)
    if "architecture" not in metadata:
        raise MalformedError("is a safetensors file, but does not say for which architecture")
    try:
        config = from_json(metadata.get("config", "{}"))
    except ValueError:
        raise MalformedError("has a configuration that is no JSON") from None
    if not isinstance(config, dict):
        raise MalformedError("has a configuration that is no table")
    family = metadata.get("family", "pose3d")
    known = DIALECTS.get(family, (family,))
    if metadata["architecture"] == "keypoint_rcnn":
        keypoint_rcnn.check(keypoint_rcnn.plan_of(config), tensors)
        known = DIALECTS.get(family, ())
    if metadata.get("dialect", family) not in known:
        raise MalformedError(f"is of no family that pose3d knows: {family[:40]!r}")
    return Checkpoint(
        kind="lifter" if metadata["architecture"] in LIFTERS else "detector",
        family=family,
        dialect=_dialect(family, dialect, metadata.get("dialect", family)),
        architecture=metadata["architecture"],
        config=config,
        tensors=tensors,
        metadata=metadata,
    )


def _dialect(family: str, wanted: str | None, default: str) -> str:
    if wanted is None or wanted == default:
        return default
    known = DIALECTS.get(family, (default,))
    if wanted not in known:
        raise UsageError(
            f"{family} weights have no dialect {wanted!r}: there is {', '.join(known)}"
        )
    return wanted


def _refuse_what_is_no_weights(head: bytes) -> None:
    start = head.lstrip().lower()
    if not head:
        raise MalformedError("is empty: fetch it again")
    if start.startswith(b"version https://git-lfs"):
        raise MalformedError(
            "is a Git LFS pointer, not the weights: run `git lfs pull` where it lies"
        )
    if start.startswith(b"<"):
        raise MalformedError(
            "is a web page, perhaps a server's error message, not weights: fetch it again"
        )
    if start.startswith(b"\x1f\x8b"):
        raise MalformedError("is compressed by gzip: unpack it first")


def _read_pickle(
    path: Path, file: BinaryIO, size: int, head: bytes, dialect: str | None
) -> Checkpoint:
    content = _unpickle(file, size, head)
    family, arrays = _sort(content)
    dialect = _dialect(family, dialect, family)
    reader = Reader(file, size)
    if family == "videopose3d":
        config, tensors = videopose3d.read(arrays, reader)
        return Checkpoint("lifter", family, dialect, "temporal", config, tensors)
    plan, tensors = _read_keypoint_rcnn(family, arrays, content, reader, path)
    config = keypoint_rcnn.config(plan)
    return Checkpoint("detector", family, dialect, "keypoint_rcnn", config, tensors)


def _unpickle(file: BinaryIO, size: int, head: bytes) -> Any:
    if head.startswith(ZIP_START):
        return load_zip(file)
    if head.startswith(LEGACY_START):
        return load_legacy(file)
    if head[:1] not in (b"\x80", b"(", b"c", b"}", b"]"):
        raise MalformedError("is no file of weights that pose3d knows")
    file.seek(0)
    return load(file, NUMPY_NAMES, end=size)


def _sort(content: Any) -> tuple[str, dict[str, Array]]:
    """The family, and the arrays of the network."""
    if not isinstance(content, dict):
        raise MalformedError("holds no table of parameters")
    for key in ("model_pos", "blobs", "model"):
        if isinstance(content.get(key), dict):
            table = content[key]
            break
    else:
        key, table = "", content
    for name, value in table.items():
        if type(name) is not str or not isinstance(value, Array):
            raise MalformedError(f"holds {str(name)[:80]!r}, which is no array")
    if key == "model_pos":
        return "videopose3d", table
    keypoint_rcnn.refuse_other_networks(table)
    if any(name.startswith("backbone.bottom_up.") for name in table):
        return "detectron2", table
    if any(name.startswith("backbone.body.") for name in table):
        return "torchvision", table
    if key == "blobs":
        return "caffe2", table
    raise MalformedError("is a network that pose3d does not know")


_LAYOUTS = {
    "caffe2": caffe2.LAYOUT,
    "detectron2": detectron2.LAYOUT,
    "torchvision": torchvision_pth.LAYOUT,
}


def _read_keypoint_rcnn(
    family: str, arrays: Mapping[str, Array], content: dict[Any, Any], reader: Reader, path: Path
) -> tuple[keypoint_rcnn.Plan, dict[str, Tensor]]:
    if family == "torchvision":
        arrays = torchvision_pth.renamed(arrays)
    plan, tensors = keypoint_rcnn.read(arrays, _LAYOUTS[family], reader)
    match family:
        case "caffe2":
            facts = caffe2.facts(content.get("cfg"), reader.file)
        case "detectron2":
            facts = detectron2.facts(plan.groups)
        case _:
            facts = torchvision_pth.facts(sha256(path))
    return replace(plan, **facts), tensors
