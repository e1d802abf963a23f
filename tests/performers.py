"""Recordings whose motion is known in the world, for files of other programs."""

from dataclasses import replace
from typing import Any

import numpy as np
from imitate import person, walker
from numpy.typing import NDArray

from pose3d.sequence import Keypoints2D, Person, Pose3D, Recording
from pose3d.skeleton import H36M_PARENTS

SIZE = (1280, 720)


def performance(
    frames: int = 60, fps: float = 30000 / 1001, times: NDArray[np.float64] | None = None
) -> Recording:
    """Two people who walk: the second comes later, is lost for some frames."""
    times = np.arange(frames) / fps if times is None else times
    first = _walk(1, 0, frames, times)
    late = frames // 3
    second = _walk(2, late, frames - late, times, offset=(1.5, 0.0, -0.5), lost=slice(5, 9))
    meta = {
        "source": {"name": "walk.mp4", "sha256": "0" * 64, "size": list(SIZE), "frames": frames,
                   "fps": fps},
        "steps": ["detect", "track", "lift", "world"],
    }  # fmt: skip
    return Recording(meta, (first, second))


def _walk(
    number: int,
    first: int,
    length: int,
    times: NDArray[np.float64],
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0),
    lost: slice = slice(0, 0),
) -> Person:
    scene = walker()
    known = person(scene)
    at = (np.arange(first, first + length) * 2) % len(scene.joints)
    camera = _rigid(scene.joints)[at] + offset
    world = camera @ scene.rotation
    world[..., 1] -= world[..., 1].min()
    keypoints = known.keypoints
    box, points, score = (
        a[at].copy() for a in (keypoints.box, keypoints.keypoints, keypoints.score)
    )
    for array in (box, points, camera, world):
        array[lost] = np.nan
    score[lost] = 0
    root = camera[:, 0]
    frame = np.arange(first, first + length)
    return Person(
        number,
        Keypoints2D(frame, times[frame], box, points, score),
        Pose3D(
            (camera - root[:, None]).astype(np.float32),
            root.astype(np.float32),
            world.astype(np.float32),
            np.zeros((length, 2), bool),
        ),
    )


def _rigid(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same motion with bones that keep their length."""
    result = joints.copy()
    for joint, parent in enumerate(H36M_PARENTS[1:], 1):
        bone = joints[:, joint] - joints[:, parent]
        length = np.linalg.norm(bone, axis=-1, keepdims=True)
        result[:, joint] = result[:, parent] + bone / length * np.median(length)
    return result


def wavering(recording: Recording) -> Recording:
    """The same people as a lifter sees them: with bones that change their length."""
    chance = np.random.default_rng(1)
    people = []
    for n, each in enumerate(recording.people):
        world = world_of(recording, n)
        world += chance.normal(0, 0.01, world.shape)
        assert each.pose is not None
        people.append(replace(each, pose=replace(each.pose, world=world.astype(np.float32))))
    return recording.with_people(tuple(people))


def lost(person: Person) -> Person:
    """The same one, not found in any frame."""

    def nothing(array: NDArray[Any]) -> NDArray[Any]:
        return np.full_like(array, np.nan)

    keypoints, pose = person.keypoints, person.pose
    assert pose is not None
    assert pose.world is not None
    assert pose.root is not None
    return Person(
        person.id,
        replace(
            keypoints,
            box=nothing(keypoints.box),
            keypoints=nothing(keypoints.keypoints),
            score=np.zeros_like(keypoints.score),
        ),
        Pose3D(nothing(pose.joints), nothing(pose.root), nothing(pose.world), pose.contact),
    )


def world_of(recording: Recording, n: int) -> NDArray[np.float64]:
    """(T, 17, 3) joints of a person in the world."""
    pose = recording.people[n].pose
    assert pose is not None
    assert pose.world is not None
    return pose.world.astype(float)
