"""``pose3d lift`` on keypoints of other tools."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
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
    (tmp_path / "cat.json").write_text(json.dumps({"cat": 1}))
    result = run("lift", tmp_path / "cat.json")
    assert result.exit_code == 1
    assert "no keypoints in a known way" in result.output


def test_the_command_line_knows_all_formats() -> None:
    assert keypoints.FORMATS == FORMATS
