"""``pose3d lift`` on keypoints of other tools."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import ROOT
from performers import performance

from pose3d import export, pipeline, provenance
from pose3d.cli import main
from pose3d.commands import keypoints
from pose3d.read2d import FORMATS
from pose3d.sequence import Recording


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(autouse=True)
def flat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A lifter that needs no weights: x and y as seen, 1 m for 200 pixels."""

    def lift(points: np.ndarray, *_: object) -> np.ndarray:
        joints = np.zeros((len(points), 17, 3), np.float32)
        joints[..., :2] = points[:, :17] / 200
        return joints - joints[:, :1]

    weights = tmp_path / "flat.safetensors"
    weights.write_bytes(b"none")
    monkeypatch.setattr(provenance, "find", lambda *_, **__: weights)
    monkeypatch.setattr(pipeline, "loaded_lifter", lambda _: lift)


def test_a_folder_of_openpose(tmp_path: Path) -> None:
    folder = tmp_path / "walk.openpose"
    export.write(performance(12), folder)
    result = run("lift", folder, "--size", "1280x720")
    assert result.exit_code == 1
    assert "--fps 30" in result.output
    steps = ["--skip", "clean,steady,world"]
    result = run("lift", folder, "--size", "1280x720", "--fps", "25", "--save", "npz,trc", *steps)
    assert result.exit_code == 0, result.output
    recording = Recording.load(tmp_path / "walk.pose3d.npz")
    assert recording.meta["source"]["format"] == "openpose"
    assert recording.people[0].pose is not None
    assert (tmp_path / "walk.pose3d.trc").exists()
    again = run("lift", folder, "--size", "1280x720", "--fps", "25", "--save", "npz,trc", *steps)
    assert "nothing to do" in again.output
    changed = run("lift", folder, "--size", "1280x720", "--fps", "30", "--save", "npz,trc", *steps)
    assert changed.exit_code == 1
    assert "fps 25.0, now 30.0" in changed.output


def test_wrong_usage(tmp_path: Path) -> None:
    path = tmp_path / "walk.pose3d.npz"
    performance(12).save(path)
    result = run("lift", path, "--fps", "25")
    assert result.exit_code == 2
    assert "says its rate and size itself" in result.output
    for size in ("1920", "x", "0x3", "axb"):
        result = run("lift", path, "--size", size)
        assert result.exit_code == 2
        assert "1920x1080" in result.output
    for name in ("text.json", "text.npz"):
        (tmp_path / name).write_text("hello")
        result = run("lift", tmp_path / name)
        assert (result.exit_code, "not what its suffix says" in result.stderr) == (1, True)
    (tmp_path / "cat.json").write_text(json.dumps({"cat": 1}))
    result = run("lift", tmp_path / "cat.json")
    assert result.exit_code == 1
    assert "no keypoints in a known way" in result.output


def test_the_command_line_knows_all_formats() -> None:
    assert keypoints.FORMATS == FORMATS


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A recording's keypoints in the formats of other tools, and its JSON."""
    folder = tmp_path / "files"
    for name in ("walk.openpose", "walk.coco.json", "walk.videopose3d.npz", "walk.pose3d.json"):
        export.write(performance(12), folder / name)
    return folder


def test_a_folder_of_several_files_names_them(files: Path, tmp_path: Path) -> None:
    result = run("lift", files)
    assert result.exit_code == 1
    there = "walk.coco.json, walk.openpose/, walk.videopose3d.npz"
    assert f"{files} holds no .pose3d.npz, but {there}: give `pose3d lift` the one" in result.stderr
    loose = tmp_path / "loose"
    loose.mkdir()
    for n, path in enumerate(sorted((files / "walk.openpose").iterdir())):
        path.rename(loose / f"frame{n}.json")
    result = run("lift", loose)
    assert "frame0.json, frame1.json, frame10.json and 9 more" in result.stderr
    assert "NAME_000000000000_keypoints.json" in result.stderr
    (tmp_path / "empty").mkdir()
    assert run("lift", tmp_path / "empty").stderr.endswith("empty holds no .pose3d.npz\n")


def test_a_folder_of_two_videos_is_refused(files: Path) -> None:
    for path in sorted((files / "walk.openpose").iterdir()):
        (path.parent / f"run_{path.name.partition('_')[2]}").write_bytes(path.read_bytes())
    result = run("lift", files / "walk.openpose", "--fps", "25", "--size", "1280x720")
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert "holds files of several videos, such as run_000000000000" in result.output


@pytest.mark.parametrize("command", ["render", "view", "export", "lift"])
def test_what_is_no_recording_is_named(command: str, files: Path) -> None:
    more = {"export": ["--save", "bvh"], "view": ["--no-browser"]}.get(command, [])
    says = {"walk.pose3d.json": f"give the recording, {files / 'walk.pose3d.npz'}"}
    if command != "lift":
        says |= dict.fromkeys(
            ("walk.coco.json", "walk.openpose", "walk.videopose3d.npz"), "`pose3d lift "
        )
    (files / "photo.pose3d.json").write_text(
        json.dumps({"meta": {}, "keypoint_names": [], "people": []})
    )
    (files / "truth.npz").write_bytes((ROOT / "data" / "rendered_walk.truth.npz").read_bytes())
    says |= {"photo.pose3d.json": "found in one picture", "truth.npz": "`pose3d evaluate poses`"}
    for name, words in says.items():
        result = run(command, files / name, *more)
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output
        assert str(files / name) in result.stderr
        assert words in result.stderr


def test_of_a_folder_one_recording_is_viewed(tmp_path: Path) -> None:
    performance(12).save(tmp_path / "walk.pose3d.npz")
    result = run("view", tmp_path, "--no-browser")
    assert result.exit_code == 2
    assert f"give one of its recordings, such as {tmp_path / 'walk.pose3d.npz'}" in result.stderr
    (tmp_path / "walk.pose3d.mp4").touch()
    result = run("view", tmp_path / "walk.pose3d.mp4", "--no-browser")
    assert f"was drawn of {tmp_path / 'walk.pose3d.npz'}: give that" in result.stderr
