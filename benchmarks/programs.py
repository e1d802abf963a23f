"""One program on one video, for speed.py: prints its frames, wall and processor seconds.

python benchmarks/programs.py NAME VIDEO SECONDS FRAMES

Programs of other packages run in environments without ours, so that everything is imported where
it is used.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
Work = Callable[[], int]  # does it all once; says how many frames there were


def decode(video: str, seconds: float, _frames: int) -> Work:
    """Read frames as ours does, and nothing else."""
    from pose3d.video import Video

    return lambda: sum(1 for _ in Video(video, end=seconds))


def pose3d(video: str, seconds: float, _frames: int, engine: str = "auto") -> Work:
    """Everything but pictures: decode, detect, track, lift, place in the room, save."""
    from pose3d import pipeline
    from pose3d.options import Options
    from pose3d.video import Video

    chosen = {"end": seconds, "engine": engine, "device": "cpu"}
    detector: Any = pipeline.loaded_detector(Options(**chosen))
    pipeline.loaded_lifter(Options(**chosen))
    detector.follow([next(iter(Video(video)))] * 8)  # every thread's first look is slow

    def work() -> int:
        recording = pipeline.infer(video, **chosen)
        with tempfile.TemporaryDirectory() as folder:
            recording.save(Path(folder) / "recording.pose3d.npz")
        return int(recording.meta["source"]["frames"])

    return work


def pose3d_torch(video: str, seconds: float, frames: int) -> Work:
    """The same without OpenVINO."""
    return pose3d(video, seconds, frames, "torch")


def mediapipe(video: str, seconds: float, complexity: int) -> Work:
    """MediaPipe's Pose on a video, as its documentation shows it."""
    import cv2
    from mediapipe.python.solutions.pose import Pose

    model = Pose(model_complexity=complexity)
    model.process(cv2.cvtColor(next(_captured(video, seconds)), cv2.COLOR_BGR2RGB))

    def work() -> int:
        done = 0
        for frame in _captured(video, seconds):
            model.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            done += 1
        return done

    return work


def _captured(video: str, seconds: float) -> Iterator[object]:
    import cv2

    capture = cv2.VideoCapture(video)
    rate = capture.get(cv2.CAP_PROP_FPS)
    done = 0
    while done < seconds * rate and capture.isOpened():
        there, frame = capture.read()
        if not there:
            return
        yield frame
        done += 1


def mediapipe_full(video: str, seconds: float, _frames: int) -> Work:
    """The middle one of its models, its default."""
    return mediapipe(video, seconds, 1)


def mediapipe_heavy(video: str, seconds: float, _frames: int) -> Work:
    """The largest one."""
    return mediapipe(video, seconds, 2)


def torchvision(video: str, seconds: float, frames: int) -> Work:
    """torchvision's Keypoint R-CNN, one picture after another, as its documentation shows it.

    Random weights, which take random boxes for people: two of them are let through, so that its
    keypoint head has as much to do as on a clip of two people.
    """
    import torch
    from torchvision.models.detection import keypointrcnn_resnet50_fpn
    from torchvision.transforms.functional import to_tensor

    from pose3d.video import Video

    model = keypointrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, box_detections_per_img=2
    ).eval()

    def work() -> int:
        done = 0
        with torch.no_grad():
            for frame in Video(video, end=seconds):
                model([to_tensor(frame.image)])
                done += 1
                if done == frames:
                    break
        return done

    return work


PROGRAMS = {
    "decode": decode,
    "pose3d": pose3d,
    "pose3d-torch": pose3d_torch,
    "mediapipe-full": mediapipe_full,
    "mediapipe-heavy": mediapipe_heavy,
    "torchvision": torchvision,
}


def main(name: str, video: str, seconds: str, frames: str) -> None:
    """Measure one program."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line has it
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != ROOT / "benchmarks"]
    sys.path.insert(0, str(ROOT))
    work = PROGRAMS[name](video, float(seconds), int(frames))
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"frames": done, "wall": wall, "cpu": cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:])
