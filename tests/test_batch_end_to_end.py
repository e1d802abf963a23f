"""Clips through the bundled networks in two processes: the same as one after another."""

import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np

import pose3d
from pose3d.video import Video, VideoWriter

ROOT = Path(__file__).resolve().parents[1]


def test_workers_give_what_one_process_does(tmp_path: Path) -> None:
    frames = list(islice(Video(ROOT / "data" / "rendered_walk.mp4"), 12))
    for n in range(2):
        folder = tmp_path / "in" / str(n)
        folder.mkdir(parents=True)
        with VideoWriter(folder / "walk.mp4") as sink:
            for frame in frames[3 * n : 3 * n + 6]:
                sink.write(frame.image[::2, ::2], frame.time)
    (tmp_path / "in" / "broken.mp4").write_text("no video " * 40)
    words = ["infer", "in", "-o", "out", "--save", "npz", "--device", "cpu", "--workers", "2"]
    command = [sys.executable, "-m", "pose3d", *words]
    for status in ("done", "skipped"):
        run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert run.returncode == 1, run.stderr
        assert f"{status:10}      2" in run.stdout, run.stdout + run.stderr
        assert "failed          1" in run.stdout
    left = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*"))
    logs = ["report.cpu.1.log", "report.cpu.2.log"]
    results = ["0/walk.pose3d.npz", "1/walk.pose3d.npz"]
    assert left == sorted(["0", "1", *results, *logs, "report.jsonl"])
    for n in range(2):
        theirs = pose3d.load(tmp_path / "out" / str(n) / "walk.pose3d.npz")
        ours = pose3d.infer(tmp_path / "in" / str(n) / "walk.mp4", device="cpu")
        assert len(ours) == len(theirs)
        assert len(ours) >= 1
        for one, other in zip(ours.people, theirs.people, strict=True):
            np.testing.assert_array_equal(one.keypoints.keypoints, other.keypoints.keypoints)
            assert one.pose is not None
            assert other.pose is not None
            # Sums of other numbers of threads are rounded otherwise.
            np.testing.assert_allclose(one.pose.world, other.pose.world, atol=1e-5)
