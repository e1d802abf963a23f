"""How long tracking and the world take for eight people, and how much memory beyond them.

python benchmarks/world.py [MINUTES...]

The people are those of the rendered clip as a detector sees them, repeated there and back and
shifted, at 30 frames a second, before a picture in which the tracker looks at what they wear.
Lifting is imitated, since it is not what is measured. Each length runs in a process of its own.

Seconds are of processor time. What goes in and comes out must grow with the length: `keypoints` are
the arrays that tracking gives (box, keypoints and scores of everyone, frame and time once),
`poses` those that stage 2 adds (joints, root, world, contact). What is beyond them should not:
`beyond, track` is the peak of resident memory while tracking, less what was before the first frame
and less the keypoints; `beyond, world` the peak of the whole run, less the keypoints and the poses.
Both include what the C library keeps of memory that was given back.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from imitate import detected, lifted, walker  # noqa: E402

from pose3d.camera import choose_camera  # noqa: E402
from pose3d.frame import Frame  # noqa: E402
from pose3d.recipe import Recipe  # noqa: E402
from pose3d.sequence import People, Person  # noqa: E402
from pose3d.track import Tracker  # noqa: E402

MINUTES = (1.0, 10.0, 60.0)
PEOPLE, FPS, FOCAL = 8, 30, 1120.0
SMALLER, APART, LOWER, LATER = 0.6, 260, 10, 17  # pixels between people, frames


def main(minutes: list[float]) -> None:
    """Print a line for every length."""
    print(f"{'':7} {'seconds':>14} {'MB':>16} {'MB beyond':>14}")
    print("minutes   track   world keypoints  poses   track   world")
    for length in minutes:
        command = [sys.executable, __file__, "--one", str(length)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        print(
            f"{length:7g} {found['track']:7.1f} {found['world']:7.1f} {found['keypoints']:9.0f} "
            f"{found['poses']:6.0f} {found['beyond_track']:7.0f} {found['beyond_world']:7.0f}",
            flush=True,
        )


def measured(minutes: float) -> dict[str, float]:
    """Seconds and megabytes of one run in this process."""
    frames = round(minutes * 60 * FPS)
    camera = choose_camera((1280, 720), focal_length=FOCAL)
    lifter = _lifter()
    _run(60, lifter, camera)  # imports
    before = _peak()
    since = time.process_time()
    people = _tracked(frames)
    between = time.process_time()
    keypoints = _megabytes([person.keypoints for person in people])
    beyond_track = _peak() - before - keypoints
    people, _ = Recipe(lifter, camera).follow(people)
    end = time.process_time()
    assert len(people) == PEOPLE
    assert all(len(person.keypoints) == frames for person in people)
    poses = _megabytes([person.pose for person in people])
    return {
        "track": between - since,
        "world": end - between,
        "keypoints": keypoints,
        "poses": poses,
        "beyond_track": beyond_track,
        "beyond_world": _peak() - before - keypoints - poses,
    }


def _run(frames: int, lifter, camera) -> None:  # type: ignore[no-untyped-def]
    Recipe(lifter, camera).follow(_tracked(frames))


def _tracked(frames: int) -> tuple[Person, ...]:
    tracker = Tracker()
    picture = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    for n, people in enumerate(crowd(frames)):
        tracker.update(n, n / FPS, people, Frame(picture, n, n / FPS))
    return tracker.finish()


def crowd(frames: int) -> Iterator[People]:
    """Everyone in one frame after the other."""
    seen = detected(walker())
    for n in range(frames):
        rows = _there_and_back(n + LATER * np.arange(PEOPLE), len(seen))
        shift = np.arange(PEOPLE)[:, None] * [APART, LOWER] - [3.5 * APART, 0]
        points = (SMALLER * seen.keypoints[rows] + shift[:, None]).astype(np.float32)
        boxes = np.concatenate([points.min(1) - 8, points.max(1) + 8], 1)
        yield People(boxes, np.full(PEOPLE, 0.9, np.float32), points, seen.score[rows])


def _there_and_back(n: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Rows for frames, as if the clip ran forwards and backwards for ever."""
    return np.minimum(np.abs((n + count) % (2 * count) - count), count - 1)


def _lifter():  # type: ignore[no-untyped-def]
    joints = lifted(walker())

    def lift(keypoints, *_):  # type: ignore[no-untyped-def]
        return joints[_there_and_back(np.arange(len(keypoints)), len(joints))]

    return lift


def _megabytes(parts: list[Any]) -> float:
    """Of all arrays; those that several share count once."""
    arrays = {}
    for array in (array for part in parts for array in vars(part).values()):
        arrays[array.__array_interface__["data"]] = array.nbytes
    return sum(arrays.values()) / 1e6


def _peak() -> float:
    """Most memory so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(float(sys.argv[2]))))
    else:
        main([float(text) for text in sys.argv[1:]] or list(MINUTES))
