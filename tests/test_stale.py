"""Files that an earlier run left are never taken for what other options would give."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from conftest import find_squares
from numpy.typing import NDArray
from performers import performance
from test_cli import folder, walk
from test_cli import run as typed

from pose3d import pipeline
from pose3d.sequence import People, Recording
from pose3d.stamp import stamp

Run = Callable[..., Result]
__all__ = ["folder", "typed"]  # fixtures
JOINTS = performance(1).people[0].pose.joints  # type: ignore[union-attr]


def stand(keypoints: NDArray[np.floating], *_: object) -> NDArray[np.float32]:
    """A lifter to whom everybody stands still."""
    return np.repeat(JOINTS, len(keypoints), 0)


@pytest.fixture
def looks() -> list[int]:
    """How many pictures every call of the detector saw."""
    return []


@pytest.fixture
def run(typed: Run, monkeypatch: pytest.MonkeyPatch, looks: list[int]) -> Run:
    """Run a command; its detector notes how much it looks at."""

    def detector(pictures: Sequence[NDArray[np.uint8]]) -> list[People]:
        looks.append(len(pictures))
        return find_squares(pictures)

    monkeypatch.setattr(pipeline, "loaded_detector", lambda options: detector)
    monkeypatch.setattr(pipeline, "loaded_lifter", lambda options: stand)
    return typed


@pytest.fixture
def video(folder: Path) -> Path:
    return walk(folder / "walk.mp4")


def sibling(video: Path, suffix: str) -> Path:
    return video.with_name(f"walk.pose3d{suffix}")


@pytest.mark.parametrize("form", ["mp4", "html", "png"])
def test_what_shows_a_recording_knows_its_options(run: Run, video: Path, form: str) -> None:
    options = ("infer", video, "--save", form)
    assert run(*options, "--fov", "50").exit_code == 0
    assert not sibling(video, ".npz").exists()
    again = run(*options, "--fov", "50")
    assert (again.exit_code, "nothing to do" in again.stdout) == (0, True)
    assert ", but" not in again.stdout
    before = sibling(video, f".{form}").read_bytes()
    result = run(*options, "--min-score", "0.4")
    assert result.exit_code == 1
    assert "made otherwise (min-score 0.2, now 0.4; fov 50.0, now none)" in result.stderr
    assert "--overwrite replaces it" in result.stderr
    assert sibling(video, f".{form}").read_bytes() == before


def test_a_file_without_facts_is_compared_with_the_recording(
    run: Run, video: Path, looks: list[int]
) -> None:
    assert run("infer", video, "--save", "npz").exit_code == 0
    looks.clear()
    assert run("infer", video, "--save", "bvh").exit_code == 0
    assert not looks  # the recording beside it was of use
    again = run("infer", video, "--save", "bvh")
    assert "nothing to do" in again.stdout and ", but" not in again.stdout
    of_all = run("infer", video, "--save", "bvh", "--people", "main")
    assert of_all.exit_code == 1
    assert "walk.pose3d.bvh exists and was made otherwise (people all, now main)" in of_all.stderr
    assert run("infer", video, "--save", "bvh", "--height", "1.5", "--overwrite").exit_code == 0
    result = run("infer", video, "--save", "bvh")
    assert result.exit_code == 1
    assert "made otherwise (not of the recording beside it)" in result.stderr
    result = run("infer", video, "--save", "bvh,trc")
    assert result.exit_code == 1
    assert "walk.pose3d.bvh exists and was made otherwise" in result.stderr


def test_a_file_that_nothing_tells_about_is_doubted(run: Run, video: Path) -> None:
    assert run("infer", video, "--save", "bvh").exit_code == 0
    result = run("infer", video, "--save", "bvh", "--height", "1.5")
    assert result.exit_code == 0
    assert "but nothing tells the options that made walk.pose3d.bvh (--overwrite" in result.stdout
    times = sibling(video, ".bvh").stat()
    os.utime(video, (times.st_atime, times.st_mtime + 5))
    result = run("infer", video, "--save", "bvh")
    assert result.exit_code == 1
    assert "made otherwise (of an earlier walk.mp4)" in result.stderr


@pytest.mark.parametrize("form", ["bvh", "csv", "mp4", "json"])
def test_what_a_recording_left_behind_is_made_anew(
    run: Run, video: Path, form: str, looks: list[int]
) -> None:
    options = ("infer", video, "--save", f"npz,{form}")
    assert run(*options).exit_code == 0
    npz, made = sibling(video, ".npz"), sibling(video, f".{form}")
    before = made.read_bytes()
    assert run("lift", npz, "--skip", "feet,world", "--overwrite").exit_code == 0
    os.utime(npz, (made.stat().st_atime, made.stat().st_mtime + 5))
    looks.clear()
    result = run(*options, "--skip", "world,feet")
    assert result.exit_code == 0, result.output
    assert (str(made) in result.stdout, str(npz) in result.stdout) == (True, False)
    assert made.read_bytes() != before
    os.utime(made, (npz.stat().st_atime, npz.stat().st_mtime + 5))
    assert "nothing to do" in run(*options, "--skip", "world,feet").stdout
    assert not looks


@pytest.mark.parametrize("form", ["bvh", "mp4"])
def test_other_motion_with_equal_options_is_seen(run: Run, video: Path, form: str) -> None:
    options = ("infer", video, "--save", f"npz,{form}")
    assert run(*options).exit_code == 0
    npz, made = sibling(video, ".npz"), sibling(video, f".{form}")
    recording = Recording.load(npz)
    (person,) = recording.people
    assert person.pose is not None and person.pose.world is not None
    person.pose.world[:, 3] += 0.2  # as another version of pose3d may have it
    recording.save(npz)
    os.utime(npz, (made.stat().st_atime, made.stat().st_mtime + 5))
    result = run(*options)
    assert (result.exit_code, str(made) in result.stdout) == (0, True)
    assert "nothing to do" not in result.stdout


def test_copies_with_newer_times_are_not_made_anew(run: Run, video: Path) -> None:
    options = ("infer", video, "--save", "npz,bvh,mp4,coco")
    assert run(*options).exit_code == 0
    newest = sibling(video, ".mp4").stat().st_mtime + 5
    os.utime(sibling(video, ".npz"), (newest, newest))
    assert "nothing to do" in run(*options).stdout


def test_lifting_otherwise_is_refused(run: Run, video: Path) -> None:
    assert run("detect", video).exit_code == 0
    npz = sibling(video, ".npz")
    for form, says in (("bvh", "with other options"), ("angles.png", "height 1.5m, now none")):
        options = ("lift", npz, "--save", "" if form == "angles.png" else form)
        options += ("--plot", form) if form == "angles.png" else ()
        assert run(*options, "--height", "1.5").exit_code == 0, form
        assert "nothing to do" in run(*options, "--height", "150cm").stdout
        result = run(*options, "--skip", "world")
        assert result.exit_code == 1, result.output
        assert f"exists and was made otherwise ({says}" in result.stderr
    assert Recording.load(npz).meta["steps"] == ["detect", "track"]


def test_facts_of_strangers_are_no_danger(run: Run, video: Path) -> None:
    assert run("infer", video, "--save", "npz,mp4").exit_code == 0
    for facts in ({}, {"of": 3}, {"of": {"weights": {"detector": 1}, "options": []}, "look": None}):
        stamp(sibling(video, ".mp4"), facts)
        result = run("infer", video, "--save", "mp4")
        assert result.exit_code == 1
        assert "another video" in result.stderr
        result = run("render", sibling(video, ".npz"))
        assert result.exit_code == 1
        assert "made otherwise" in result.stderr
