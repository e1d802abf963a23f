"""Disks that are full or read-only, and videos that go away: errors that say so, nothing half."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from conftest import find_squares, upright
from test_cli import folder, run, walk

import pose3d
from pose3d import pipeline
from pose3d.sequence import Recording
from pose3d.video import Video

Run = Callable[..., Result]
TESTS = Path(__file__).parent
__all__ = ["folder", "run"]  # fixtures
MODELS: dict[str, Any] = {"detector": find_squares, "lifter": upright}


def whole(out: Path) -> list[str]:
    """Names of the files in a folder, all of which can be read."""
    for path in out.rglob("*.npz"):
        Recording.load(path)
    for path in out.rglob("*.mp4"):
        video = Video(path)
        assert len(list(video)) == 60 and not video.warnings
    return sorted(path.name for path in out.rglob("*") if path.is_file())


@pytest.mark.parametrize("save", ["npz", "mp4", "csv", "html", "json", "gif"])
def test_files_that_may_not_grow(run: Run, folder: Path, tmp_path: Path, save: str) -> None:
    """What a full disk does to each writer, without one."""
    walk(folder / "a.mp4", frames=24)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, usual[1]))
        results = pose3d.infer_many(folder, tmp_path / "out", save=[save], **MODELS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    [(_, outcome)] = results
    assert outcome.status == "failed"
    assert "cannot be written: File too large" in outcome.reason, outcome.reason
    assert not whole(tmp_path / "out")
    [(_, outcome)] = pose3d.infer_many(folder, tmp_path / "out", save=[save], **MODELS)
    assert outcome.status == "done", outcome.reason


ON_SMALL_DISKS = """
import json, shutil, subprocess, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from conftest import find_squares, upright
import pose3d

videos, out, kept = {videos!r}, {out!r}, {kept!r}

def mounted(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", out], check=True)

def batch():
    report = Path(kept, "report.jsonl")
    report.unlink(missing_ok=True)
    results = pose3d.infer_many(
        videos, out, save=["npz", "mp4"], report=report, detector=find_squares, lifter=upright
    )
    print(json.dumps([[outcome.status, outcome.reason] for _, outcome in results]))

mounted("size=28k")
batch()
shutil.copytree(out, Path(kept, "full"))
mounted("remount,size=20m")
batch()
shutil.copytree(out, Path(kept, "large"))
mounted("remount,ro")
batch()
mounted("ro")
batch()
"""


def test_a_full_disk_and_one_that_is_read_only(folder: Path, tmp_path: Path) -> None:
    if not shutil.which("unshare"):
        pytest.skip("disks of a size are mounted where nobody else sees them, with unshare")
    for name in "ab":
        walk(folder / f"{name}.mp4", frames=60)
    out, kept = tmp_path / "out", tmp_path / "kept"
    for place in (out, kept):
        place.mkdir()
    places = {"videos": folder, "out": out, "kept": kept, "tests": TESTS}
    code = ON_SMALL_DISKS.format(**{name: str(path) for name, path in places.items()})
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    done = subprocess.run(
        [*unshare, sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "ermission denied" in done.stderr or "not permitted" in done.stderr:
        pytest.skip(f"this system lets nobody mount a disk: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    full, large, fixed, empty = map(json.loads, done.stdout.splitlines())
    before = [status for status, _ in full]
    assert "failed" in before
    for status, reason in full:
        assert (status == "failed") == ("cannot be written: No space left on device" in reason)
    assert len(whole(kept / "full")) < 4
    expected = ["done" if status == "failed" else "skipped" for status in before]
    assert [status for status, _ in large] == expected
    assert whole(kept / "large") == sorted(f"{n}.pose3d.{s}" for n in "ab" for s in ("npz", "mp4"))
    assert [status for status, _ in fixed] == ["skipped", "skipped"]
    assert [status for status, _ in empty] == ["failed", "failed"]
    assert all("cannot be written to: give another folder with -o" in why for _, why in empty)


@pytest.mark.parametrize("save", ["npz", "npz,mp4"])
def test_a_video_that_goes_away_meanwhile(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: str
) -> None:
    for name in "ab":
        walk(folder / f"{name}.mp4", frames=60)
    update = pipeline.Tracker.update

    def deleting(self: pipeline.Tracker, index: int, *rest: Any) -> None:
        if index == 5:
            (folder / "a.mp4").unlink(missing_ok=True)
        update(self, index, *rest)

    monkeypatch.setattr(pipeline.Tracker, "update", deleting)
    result = run("infer", folder, "-o", tmp_path / "out", "--save", save)
    # Who has opened a file can read it to its end; who draws it opens it once more.
    drawn = "mp4" in save
    assert result.exit_code == drawn
    assert (f"{folder / 'a.mp4'}: no such file" in result.stderr) == drawn
    theirs = [f"b.pose3d.{suffix}" for suffix in save.split(",")]
    assert whole(tmp_path / "out") == sorted(["a.pose3d.npz", *theirs, "report.jsonl"])
    again = run("infer", folder / "a.mp4", folder / "b.mp4", "-o", tmp_path / "out", "--save", save)
    assert again.exit_code == 1
    assert f"{folder / 'a.mp4'}: no such file" in again.stderr
