"""How fast every writer is: frames a second of one person, of processor time.

python benchmarks/export.py [FORMAT...]
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from performers import performance  # noqa: E402

from pose3d import export  # noqa: E402

FRAMES = 50_000
FILES = 5_000  # frames of formats with a file for every one


def main(names: list[str]) -> None:
    """Print a line for every format."""
    for name in names or export.FORMATS:
        frames = FILES if name == "openpose" else FRAMES
        one = performance(frames).people[0]
        assert one.pose is not None
        assert one.pose.world is not None
        # Real motion does not repeat itself; compression must not profit from that.
        chance = np.random.default_rng(0)
        shake = chance.normal(0, 1e-4, one.pose.world.shape).astype(np.float32)
        pose = replace(one.pose, joints=one.pose.joints + shake, world=one.pose.world + shake)
        seen = one.keypoints.keypoints
        seen = seen + chance.normal(0, 0.5, seen.shape).astype(np.float32)
        recording = performance(3).with_people(
            (replace(one, keypoints=replace(one.keypoints, keypoints=seen), pose=pose),)
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"walk{export.FORMATS[name].suffix}"
            export.write(performance(3), path)  # imports
            seconds = []
            for _ in range(3):
                since = time.process_time()
                export.write(recording, path)
                seconds.append(time.process_time() - since)
            size = path.stat().st_size if path.is_file() else 0
        print(
            f"{name:12} {frames / min(seconds):10,.0f} frames/s {size / frames:7,.0f} bytes/frame"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
