"""How long tracking and the world take for eight people, and how much memory beyond them.

python benchmarks/world.py [MINUTES...]

The people are those of the rendered clip as a detector sees them, repeated there and back and
shifted, at 30 frames a second. Lifting is imitated, since it is not what is measured. Each length
runs in a process of its own. Seconds are of processor time. Memory is the peak of what is resident,
less what was before the first frame: `data` is what goes in and comes out (keypoints and poses),
`beyond` the rest, with what the C library keeps of memory that was given back.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from imitate import detected, lifted, walker  # noqa: E402

from pose3d.camera import choose_camera  # noqa: E402
from pose3d.recipe import Recipe  # noqa: E402
from pose3d.sequence import People, Person  # noqa: E402
from pose3d.track import Tracker  # noqa: E402

MINUTES = (1.0, 5.0, 10.0)
PEOPLE, FPS, FOCAL = 8, 30, 1120.0
SMALLER, APART, LOWER, LATER = 0.6, 260, 10, 17  # pixels between people, frames


def main(minutes: list[float]) -> None:
    """Print a line for every length."""
    print(f"{'minutes':>7} {'track s':>8} {'world s':>8} {'data MB':>8} {'beyond MB':>10}")
    for length in minutes:
        command = [sys.executable, __file__, "--one", str(length)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        print(
            f"{length:7g} {found['track']:8.1f} {found['world']:8.1f} {found['data']:8.0f} "
            f"{found['beyond']:10.0f}",
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
    people, _ = Recipe(lifter, camera).follow(people)
    end = time.process_time()
    assert len(people) == PEOPLE
    assert all(len(person.keypoints) == frames for person in people)
    data = sum(_bytes(person) for person in people) / 1e6
    return {
        "track": between - since,
        "world": end - between,
        "data": data,
        "beyond": _peak() - before - data,
    }


def _run(frames: int, lifter, camera) -> None:  # type: ignore[no-untyped-def]
    Recipe(lifter, camera).follow(_tracked(frames))


def _tracked(frames: int) -> tuple[Person, ...]:
    tracker = Tracker()
    for n, people in enumerate(crowd(frames)):
        tracker.update(n, n / FPS, people)
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


def _bytes(person: Person) -> int:
    arrays = [*vars(person.keypoints).values(), *vars(person.pose).values()]
    return sum(array.nbytes for array in arrays)


def _peak() -> float:
    """Most memory so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(float(sys.argv[2]))))
    else:
        main([float(text) for text in sys.argv[1:]] or list(MINUTES))
