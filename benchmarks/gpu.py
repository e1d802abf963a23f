"""What a GPU makes of it: networks on pictures in its memory, and a video from file to motion.

python benchmarks/gpu.py [--only NAME ...] [--video FILE] [--pictures DIR] [--seconds 1.0]
                         [--json FILE]

Every line is one thing done again and again for so many seconds: the median of its pictures (or
frames) a second, lowest and highest, and the ratio to the peer named. Peers run in the same call,
in turns with ours. Without a GPU it runs on the CPU, tiny, to show that it runs.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda:0" if GPU else "cpu")
HD = (1080, 1920) if GPU else (90, 160)
WALK = ROOT / "data" / "rendered_walk.mp4"
Work = Callable[[], Any]


class Table:
    """Lines as they are measured."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.lines: list[dict[str, Any]] = []

    def compare(self, works: dict[str, tuple[Work, int]], warm: int = 2) -> None:
        """Several in turns; `works` are what is done and how many pictures that is."""
        rates: dict[str, list[float]] = {}
        for name, (work, _) in list(works.items()):
            try:
                for _ in range(warm):
                    work()
            except Exception as error:  # one that cannot run must not take the others along
                print(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
                works.pop(name)
        for _ in range(3):
            for name, (work, count) in works.items():
                stop = time.perf_counter() + self.seconds / 3
                while time.perf_counter() < stop or name not in rates:
                    _settle()
                    start = time.perf_counter()
                    work()
                    _settle()
                    rates.setdefault(name, []).append(count / (time.perf_counter() - start))
        for name, found in rates.items():
            line: dict[str, Any] = {"name": name, "rate": median(found), "runs": len(found)}
            line |= {"low": min(found), "high": max(found)}
            self.lines.append(line)
            first = median(next(iter(rates.values())))
            print(
                f"{name:58}{line['rate']:12,.0f}/s  {line['low']:10,.0f} to {line['high']:10,.0f}"
                f"   first / this {first / line['rate']:6.2f}",
                flush=True,
            )


def _settle() -> None:
    if GPU:
        torch.cuda.synchronize()


def detector(table: Table, _: argparse.Namespace) -> None:
    """R-50 Keypoint R-CNN of random weights, 1080p in the device's memory, beside torchvision."""
    import tempfile

    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    from pose3d.detect.keypoint_rcnn import build
    from pose3d.weights import load

    torch.manual_seed(0)
    peer = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
    for name, norm in peer.backbone.body.named_modules():
        if name.endswith("bn3"):  # random shortcuts add up to what half precision cannot hold
            norm.weight.fill_(0.2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.pth"
        torch.save(peer.state_dict(), path)
        network = build(load(path, "detector")).to(DEVICE)
    peer.to(DEVICE)
    run = None
    if GPU:
        from pose3d.detect.keypoint_rcnn.batched import BatchedRCNN

        run = BatchedRCNN(network, torch.float16)
    pictures = [torch.randint(0, 255, (*HD, 3), dtype=torch.uint8, device=DEVICE) for _ in range(8)]
    values = [p.permute(2, 0, 1).float() / 255 for p in pictures]

    def ours(count: int, people: int) -> Work:
        some = (pictures * 4)[:count]
        return lambda: network(some, max_people=people, run=run, at_once=count)

    for people in (100, 10):
        peer.roi_heads.detections_per_img = people
        batch = 16 if GPU else 1
        table.compare(
            {
                f"R-50, ours, fp16, batch {batch}, {people} people": (ours(batch, people), batch),
                f"R-50, ours, fp16, batch 8, {people} people": (ours(8, people), 8),
                f"R-50, torchvision one by one, {people} people": (lambda: peer(values[:1]), 1),
                f"R-50, torchvision in batches of 8, {people} people": (lambda: peer(values), 8),
            }
        )


def compact(table: Table, _: argparse.Namespace) -> None:
    """The compact network on pictures of 480 x 864 in the device's memory, with all heads."""
    from pose3d.detect.compact import Limits
    from pose3d.detect.load import load_detector

    batch = 64 if GPU else 1
    x = _frames(batch, (480, 864) if GPU else (96, 192))
    sizes = torch.tensor([[x.shape[3], x.shape[2]]] * batch, device=DEVICE)
    works: dict[str, tuple[Work, int]] = {}
    for engine in ("triton", "torch") if GPU else ("torch",):
        found = load_detector(engine=engine, device=str(DEVICE))
        parts = found.parts  # type: ignore[attr-defined]

        def all_of_it(found: Any = found, parts: Any = parts) -> object:
            return found.run(lambda: parts.people(x, sizes, Limits()))

        def dense(found: Any = found, parts: Any = parts) -> object:
            return found.run(lambda: parts.dense(x))

        people = len(all_of_it().boxes) / batch  # type: ignore[attr-defined]
        works[f"compact, {engine}, batch {batch}, {people:.1f} people"] = (all_of_it, batch)
        works[f"compact, {engine}, dense part alone"] = (dense, batch)
    table.compare(works)


def _frames(count: int, size: tuple[int, int]) -> torch.Tensor:
    """Frames of the rendered clip (count, 3, H, W), uint8."""
    from pose3d.video import Video

    images = []
    for frame in Video(WALK):
        images.append(torch.from_numpy(frame.image.copy()))
        if len(images) == min(count, 16):
            break
    some = torch.stack(images).permute(0, 3, 1, 2).float()
    some = torch.nn.functional.interpolate(some, size, mode="bilinear", antialias=True)
    some = some.round().to(torch.uint8).repeat(-(-count // len(some)), 1, 1, 1)[:count]
    return some.to(DEVICE).contiguous(memory_format=torch.channels_last)


def lifter(table: Table, _: argparse.Namespace) -> None:
    """Lifters on one long sequence, mirror image included, keypoints and joints in main memory."""
    from pose3d.lift import load_lifter
    from pose3d.lift.lifter import Lifter
    from pose3d.lift.network import TemporalModel

    frames = 300_000 if GPU else 300
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 500, (frames, 17, 2)).astype(np.float32)
    scores = np.ones((frames, 17), np.float32)
    k = np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]])
    public = Lifter(TemporalModel(), "image", 50, str(DEVICE))
    own = load_lifter(device=str(DEVICE))
    table.compare(
        {
            "lifter, 243 frames, 1024 channels (VideoPose3D's)": (
                lambda: public.lift_even(keypoints, scores, (1000, 1000), k), frames),
            "lifter, 135 frames, 768 channels (ours)": (
                lambda: own.lift_even(keypoints, scores, (1000, 1000), k), frames),
        }
    )  # fmt: skip


def agreement(_: Table, given: argparse.Namespace) -> None:
    """Half precision beside single, on the rendered clip and on what else is in `--pictures`."""
    from pose3d.detect.load import load_detector
    from pose3d.pictures import read_picture
    from pose3d.video import Video

    images = [frame.image for frame in Video(WALK, end=1.0)]
    images += [read_picture(p) for p in sorted(given.pictures.iterdir())] if given.pictures else []
    fine = load_detector(device=str(DEVICE), precision="fp32", engine="torch")(images)
    fast = load_detector(device=str(DEVICE))(images)
    shifts, lost = [], 0
    for a, b in zip(fine, fast, strict=True):
        for box, points, score in zip(a.boxes, a.keypoints, a.keypoint_scores, strict=True):
            near = np.abs(b.boxes - box).max(1) if len(b) else np.array([np.inf])
            if near.min() > 0.1 * max(box[2:] - box[:2]):
                lost += 1
                continue
            away = np.linalg.norm(b.keypoints[near.argmin()] - points, axis=1)
            shifts += away[score > 0.3].tolist()
    count = sum(map(len, fine))
    print(
        f"half beside single precision: {count - lost} of {count} people again, median shift "
        f"{np.median(shifts):.3f} px, 99 % within {np.percentile(shifts, 99):.2f} px",
        flush=True,
    )


def video(table: Table, given: argparse.Namespace) -> None:
    """A video from file to recording, beside decoding it and doing nothing."""
    import pose3d
    from pose3d.video import Video, frames_for

    path = given.video
    frames = sum(1 for _ in Video(path).stored())
    works: dict[str, tuple[Work, int]] = {}

    def decoding(decoder: str) -> Work:
        return lambda: sum(1 for _ in frames_for(Video(path), DEVICE, decoder))

    def inferring(decoder: str) -> Work:
        return lambda: pose3d.infer(path, device=str(DEVICE), decoder=decoder)

    for decoder in ("cpu", "gpu") if GPU else ("cpu",):
        pose3d.infer(path, device=str(DEVICE), decoder=decoder, end=2.0)  # compiles what it needs
        works[f"decoding alone, {decoder}"] = decoding(decoder), frames
        works[f"infer, decoded by the {decoder}"] = inferring(decoder), frames
    table.compare(works, warm=0)
    print("of decoding alone:")
    some = table.lines[-len(works) :]
    for alone, whole in zip(some[::2], some[1::2], strict=True):
        print(f"{whole['name']:58}{whole['rate'] / alone['rate']:12.0%}")


PARTS = {part.__name__: part for part in (agreement, compact, detector, lifter, video)}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--video", type=Path, default=WALK, help="for `video`")
    parser.add_argument("--pictures", type=Path, help="folder of pictures for `agreement`")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each line")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    name = torch.cuda.get_device_name(0) if GPU else "CPU"
    print(f"{name}, {os.cpu_count()} cores, torch {torch.__version__}")
    table = Table(given.seconds)
    for part in given.only:
        with torch.inference_mode():
            PARTS[part](table, given)
    if given.json:
        given.json.write_text(json.dumps({"device": name, "lines": table.lines}, indent=1))


if __name__ == "__main__":
    main()
