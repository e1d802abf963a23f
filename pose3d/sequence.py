"""The types that flow between the stages, and the file of a recording.

A :class:`Recording` is what one video gives: for every :class:`Person` a 2D sequence
(:class:`Keypoints2D`) and, after lifting, a 3D one (:class:`Pose3D`).
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d import limits, npz
from pose3d.errors import PoseError
from pose3d.facts import check_facts
from pose3d.parse import from_json

SCHEMA = 1


@dataclass(frozen=True)
class People:
    """Everyone in one picture, as the detector sees them, the best first.

    Attributes
    ----------
    boxes
        (P, 4) float32, x0, y0, x1, y1 in pixels of the displayed picture.
    scores
        (P,) float32 in [0, 1].
    keypoints
        (P, 17, 2) float32, COCO order, pixels.
    keypoint_scores
        (P, 17) float32 in [0, 1].
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    keypoint_scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, chosen: Any) -> "People":
        """The people that an index array, mask or slice chooses."""
        return People(*(getattr(self, f.name)[chosen] for f in fields(self)))

    @classmethod
    def nobody(cls) -> "People":
        """An empty picture."""
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, 17, 2), np.float32),
            np.zeros((0, 17), np.float32),
        )


@dataclass(frozen=True)
class Keypoints2D:
    """One person's keypoints over time; rows run without gaps from first to last frame.

    Attributes
    ----------
    frame
        (T,) int64, index of the frame in the file.
    time
        (T,) float64, seconds, 0 at the first frame of the file.
    box
        (T, 4) float32, pixels; NaN where the person was not found.
    keypoints
        (T, 17, 2) float32, COCO order, pixels; NaN where missing.
    score
        (T, 17) float32 in [0, 1]; 0 where missing.
    """

    frame: NDArray[np.int64]
    time: NDArray[np.float64]
    box: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def found(self) -> NDArray[np.bool_]:
        """(T,) True where the person was detected."""
        return ~np.isnan(self.box[:, 0])


@dataclass(frozen=True)
class Pose3D:
    """One person's joints over time, aligned row by row with their :class:`Keypoints2D`.

    Attributes
    ----------
    joints
        (T, 17, 3) float32, Human3.6M order, metres, camera frame (x right, y down,
        z forward), relative to the hip; NaN where missing.
    root
        (T, 3) float32 hip in the camera frame, metres, or None where not estimated.
    world
        (T, 17, 3) float32 in the world frame (y up, floor at 0), metres, or None.
    contact
        (T, 2) bool, left and right foot on the ground, or None.
    """

    joints: NDArray[np.float32]
    root: NDArray[np.float32] | None = None
    world: NDArray[np.float32] | None = None
    contact: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Person:
    """One identity: its number, its 2D sequence and, after lifting, its 3D one."""

    id: int
    keypoints: Keypoints2D
    pose: Pose3D | None = None


@dataclass(frozen=True)
class Recording:
    """What one video gives.

    Attributes
    ----------
    meta
        JSON-able facts: schema, source video, options, weights, steps.
    people
        Everyone followed, in the order of their ids.

    Examples
    --------
    >>> recording = Recording.load("walk.pose3d.npz")          # doctest: +SKIP
    >>> recording.people[0].pose.joints.shape                  # doctest: +SKIP
    (230, 17, 3)
    """

    meta: dict[str, Any]
    people: tuple[Person, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.people)

    def with_people(self, people: tuple[Person, ...], **meta: Any) -> "Recording":
        """A copy with other people and further facts."""
        return replace(self, meta={**self.meta, **meta}, people=people)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``NAME.pose3d.npz``: to a temporary name first, then renamed."""
        arrays = {"meta": np.array(json.dumps({"schema": SCHEMA, **self.meta}))}
        for i, person in enumerate(self.people):
            for name, value in _arrays(person):
                arrays[f"person_{i}/{name}"] = value
        path = Path(path)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with open(part, "wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Recording":
        """Read a file of :meth:`save`.

        Raises
        ------
        PoseError
            If the file is missing, damaged, of a newer schema or no recording.
        """
        path = Path(path)
        try:
            with npz.opened(path) as archive:
                meta = _meta(archive)
                if meta.get("schema", 0) > SCHEMA:
                    raise PoseError(f"{path} was written by a newer pose3d: please upgrade")
                count = len({n.split("/")[0] for n in archive.names if n.startswith("person_")})
                if count > limits.PEOPLE:
                    raise ValueError(f"{count:,} people are too many")
                people = tuple(_person(archive, i) for i in range(count))
                if len({person.id for person in people}) < count:
                    raise ValueError("two people have the same number")
        except FileNotFoundError:
            raise PoseError(f"{path}: no such file") from None
        except OSError as error:
            raise PoseError(f"{path} cannot be read: {error.strerror or error}") from error
        except (ValueError, npz.DamagedError) as error:
            raise PoseError(
                f"{path} is not a recording of pose3d ({error}); `pose3d infer` makes them"
            ) from error
        return cls(meta, people)


# File name of every array, and where it lives.
_KEYPOINT_ARRAYS = {
    "frame": "frame",
    "time": "time",
    "box": "box",
    "keypoints_2d": "keypoints",
    "score_2d": "score",
}
_POSE_ARRAYS = {
    "joints_3d": "joints",
    "root": "root",
    "joints_world": "world",
    "contact": "contact",
}


def _arrays(person: Person) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "id", np.array(person.id, np.int64)
    for name, attribute in _KEYPOINT_ARRAYS.items():
        yield name, getattr(person.keypoints, attribute)
    for name, attribute in _POSE_ARRAYS.items():
        value = getattr(person.pose, attribute, None)
        if value is not None:
            yield name, value


def _meta(archive: npz.Archive) -> dict[str, Any]:
    """The facts of a recording, checked."""
    text = archive["meta"]
    if text.shape != () or text.dtype.kind != "U" or text.nbytes > 4 * limits.META_BYTES:
        raise ValueError("its facts are no text, or too long a one")
    meta = from_json(str(text))
    check_facts(meta)
    return dict(meta)


def _person(archive: npz.Archive, i: int) -> Person:
    def array(name: str, kind: str, *shape: int) -> NDArray[Any]:
        found = archive[f"person_{i}/{name}"]
        if found.dtype.kind not in kind or found.shape != shape:
            raise ValueError(f"person {i}: {name} is of shape {found.shape}, or no number")
        return found

    def places(name: str, *shape: int) -> NDArray[np.float32]:
        found = array(name, "f", *shape)
        if (np.abs(found) > limits.COORDINATE).any():
            raise ValueError(f"person {i}: {name} is beyond everything")
        return found.astype(np.float32, copy=False)

    number, frame = array("id", "iu"), archive[f"person_{i}/frame"]
    if frame.ndim != 1 or frame.dtype.kind not in "iu":
        raise ValueError(f"person {i}: frame is of shape {frame.shape}, or no number")
    length = len(frame)
    time, score = array("time", "f", length), array("score_2d", "f", length, 17)
    if not 0 < number < limits.NUMBER:
        raise ValueError(f"person {i} has an impossible number")
    if not length:
        raise ValueError(f"person {i} is nowhere")
    if not (0 <= frame[0] < limits.FRAMES and (np.diff(frame) == 1).all()):
        raise ValueError(f"person {i} has frames that are not in a row")
    if not (time[0] >= 0 and (np.diff(time) > 0).all()):
        raise ValueError(f"person {i} has times that do not rise from 0")
    if not time[-1] <= limits.HOURS * 3600:
        raise ValueError(f"person {i} has times beyond {limits.HOURS} hours")
    if not ((score >= 0) & (score <= 1)).all():
        raise ValueError(f"person {i}: score_2d is outside of 0 to 1")
    keypoints = Keypoints2D(
        frame.astype(np.int64, copy=False),
        time.astype(np.float64, copy=False),
        places("box", length, 4),
        places("keypoints_2d", length, 17, 2),
        score.astype(np.float32, copy=False),
    )
    if f"person_{i}/joints_3d" not in archive:
        return Person(int(number), keypoints)
    more: dict[str, Any] = {}
    for name, shape in (("root", (3,)), ("joints_world", (17, 3))):
        if f"person_{i}/{name}" in archive:
            more[_POSE_ARRAYS[name]] = places(name, length, *shape)
    if f"person_{i}/contact" in archive:
        more["contact"] = array("contact", "b", length, 2)
    return Person(int(number), keypoints, Pose3D(places("joints_3d", length, 17, 3), **more))
