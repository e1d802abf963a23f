"""Clips through the bundled networks in two processes: the same as one after another."""

import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import pose3d
from pose3d import batch
from pose3d.batch import split
from pose3d.batch.run import one_by_one
from pose3d.batch.seats import Seat
from pose3d.encode import VideoWriter
from pose3d.video import Video

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


def test_a_split_video_is_what_it_is_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(split, "LEAST", 16)
    with VideoWriter(tmp_path / "walk.mp4") as sink:
        for frame in islice(Video(ROOT / "data" / "rendered_walk.mp4"), 32):
            sink.write(np.ascontiguousarray(frame.image[::3, ::3]), frame.time)
    job = batch.Job(
        tmp_path / "walk.mp4", {"npz": tmp_path / "walk.npz"}, journal=tmp_path / "journal"
    )
    work = batch.Work(batch.infer, batch.Options(device="cpu"))
    helpers = split.Helpers([Seat("cpu.1", "cpu", 1), Seat("cpu.2", "cpu", 1)])
    [(_, outcome)] = one_by_one([job], work.helped(helpers), batch.Listener())
    assert outcome.status == "done", outcome.reason
    assert not caplog.records, "it was split"
    pose3d.infer(job.source, device="cpu").save(tmp_path / "whole.npz")
    theirs, ours = (pose3d.load(tmp_path / name) for name in ("walk.npz", "whole.npz"))
    assert theirs.meta == ours.meta
    assert len(theirs) == len(ours) == 1
    for one, other in zip(theirs.people, ours.people, strict=True):
        assert one.id == other.id
        for mine, yours in ((one.keypoints, other.keypoints), (one.pose, other.pose)):
            for name, array in vars(mine).items():
                np.testing.assert_array_equal(array, getattr(yours, name), name)
