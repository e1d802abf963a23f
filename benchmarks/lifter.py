"""How fast keypoints become joints, beside VideoPose3D written from its paper in plain torch.

python benchmarks/lifter.py [--frames 1000] [--rounds 3] [--device cpu] [--json FILE]

Both lift one person's sequence with a receptive field of 243 frames and 1024 channels, averaged
with its mirror image. The plain one does it as the paper describes for tests, all frames in one
pass, and also as a program does that has a window of frames for every one; ours from keypoints in
pixels to joints in metres. Frames a second, median of the rounds, which take turns, and
processor time of a frame, which other work on the machine disturbs less.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from table import Run, lines, rows  # noqa: E402

from pose3d.bench import machine  # noqa: E402
from pose3d.lift import load_lifter  # noqa: E402
from pose3d.lift.lifter import Lifter, default_intrinsics  # noqa: E402
from pose3d.lift.network import TemporalModel  # noqa: E402

FIELD, CHANNELS, JOINTS = 243, 1024, 17
SIZE = (1920, 1080)
RATE = 50.0
WINDOWS = 8  # in a batch
LEFT, RIGHT = [1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]  # COCO
LEFT3, RIGHT3 = [4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]  # Human3.6M


class Block(nn.Module):
    """Two convolutions of the paper's figure 2, norm, ReLU and dropout after each, and a skip."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.wide = nn.Conv1d(CHANNELS, CHANNELS, 3, dilation=dilation, bias=False)
        self.narrow = nn.Conv1d(CHANNELS, CHANNELS, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm1d(CHANNELS), nn.BatchNorm1d(CHANNELS)])
        self.drop = nn.Dropout(0.25)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, C, T - 2 * dilation)."""
        y = self.drop(self.norms[0](self.wide(x)).relu())
        y = self.drop(self.norms[1](self.narrow(y)).relu())
        return x[:, :, self.dilation : -self.dilation] + y


class Plain(nn.Module):
    """Section 3 of Pavllo et al., CVPR 2019: (B, T, 17, 2) to (B, T - 242, 17, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv1d(2 * JOINTS, CHANNELS, 3, bias=False),
            nn.BatchNorm1d(CHANNELS),
            nn.ReLU(),
            nn.Dropout(0.25),
        )
        self.blocks = nn.Sequential(*(Block(3**n) for n in range(1, 5)))
        self.last = nn.Conv1d(CHANNELS, 3 * JOINTS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """All frames that have a whole receptive field."""
        y = self.last(self.blocks(self.first(x.flatten(2).transpose(1, 2))))
        return y.transpose(1, 2).unflatten(2, (JOINTS, 3))


def mirrored(x: Tensor, left: list[int], right: list[int]) -> Tensor:
    """The mirror image of keypoints or joints (B, T, 17, D)."""
    x = x.clone()
    x[..., 0] *= -1
    x[..., left + right, :] = x[..., right + left, :]
    return x


@torch.no_grad()
def plain_sequence(model: Plain, points: Tensor) -> Tensor:
    """All frames (T, 17, 2) in one pass, ends repeated, with the mirror image."""
    half = FIELD // 2
    padded = torch.cat([points[:1].expand(half, -1, -1), points, points[-1:].expand(half, -1, -1)])
    both = model(torch.stack([padded, mirrored(padded, LEFT, RIGHT)]))
    return (both[0] + mirrored(both[1:], LEFT3, RIGHT3)[0]) / 2


@torch.no_grad()
def plain_windows(model: Plain, points: Tensor) -> Tensor:
    """The same, with 243 frames for each."""
    half = FIELD // 2
    padded = torch.cat([points[:1].expand(half, -1, -1), points, points[-1:].expand(half, -1, -1)])
    windows = padded.unfold(0, FIELD, 1).permute(0, 3, 1, 2)
    answers = []
    for part in windows.split(WINDOWS):
        both = model(torch.cat([part, mirrored(part, LEFT, RIGHT)]))
        n = len(part)
        answers.append((both[:n, 0] + mirrored(both[n:], LEFT3, RIGHT3)[:, 0]) / 2)
    return torch.cat(answers)


def shared_weights(device: str) -> tuple[Plain, Lifter]:
    """The same random network, plain and ours."""
    torch.manual_seed(0)
    ours, plain = TemporalModel(), Plain()
    names = {"first.0.weight": "expand_conv.weight", "last.weight": "shrink.weight"}
    names["last.bias"] = "shrink.bias"
    for n in range(4):
        names[f"blocks.{n}.wide.weight"] = f"layers_conv.{2 * n}.weight"
        names[f"blocks.{n}.narrow.weight"] = f"layers_conv.{2 * n + 1}.weight"
    state = ours.state_dict()
    plain.load_state_dict({name: state[theirs] for name, theirs in names.items()}, strict=False)
    return plain.eval().to(device), Lifter(ours, "image", RATE, device)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    frames, device = chosen.frames, chosen.device
    walk = np.random.default_rng(0).normal(0, 2, (frames, JOINTS, 2)).cumsum(0) % SIZE[1]
    scores, times = np.ones((frames, JOINTS)), np.arange(frames) / RATE
    plain, ours = shared_weights(device)
    bundled = load_lifter(device=device)
    camera = default_intrinsics(SIZE)
    seen = torch.from_numpy(walk / SIZE[0] * 2 - [1, SIZE[1] / SIZE[0]]).float().to(device)
    some = seen[: min(frames, 2 * WINDOWS)]
    expected = plain_sequence(plain, seen)
    found = torch.from_numpy(ours.lift_even(walk, scores, SIZE, camera))
    difference = (found - (expected - expected[:, :1]).cpu()).abs().max()
    assert difference < 1e-4, f"ours differs from the plain one by {difference}"
    work: dict[str, tuple[int, Callable[[], object]]] = {
        "ours, same network": (frames, lambda: ours(walk, scores, times, SIZE)),
        "ours, bundled weights": (frames, lambda: bundled(walk, scores, times, SIZE)),
        "plain, all frames at once": (frames, lambda: plain_sequence(plain, seen).cpu()),
        "plain, 243 frames for each": (len(some), lambda: plain_windows(plain, some).cpu()),
    }
    runs: dict[str, list[Run]] = {label: [] for label in work}
    for label in work:
        work[label][1]()  # warm
    for _ in range(chosen.rounds):
        for label, (count, run) in work.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            runs[label].append(Run(count, wall, cpu))
    found_rows = rows(runs, "ours, same network", 1e-6)
    about = machine()
    place = about.get("gpu", about["processor"]) if device != "cpu" else about["processor"]
    print(f"{frames} frames on {place}, {about['threads']} threads, load {about['load']}\n")
    print("\n".join(lines(found_rows, "us")))
    if chosen.json:
        content = {"frames": frames, "machine": about, "rows": [asdict(row) for row in found_rows]}
        chosen.json.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
