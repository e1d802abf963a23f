"""The command line from end to end, with a detector and a lifter that need no weights."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import ROOT, find_squares, upright, write_clip

from pose3d import pipeline, provenance
from pose3d.cli import main
from pose3d.counted import counted
from pose3d.sequence import Recording
from pose3d.video import Video

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command; weights are files that hold their name."""
    weights = tmp_path / "weights"
    weights.mkdir()

    def find(name: str, kind: str) -> Path:
        path = weights / f"{kind}-{name}"
        path.write_text(name)
        return path

    monkeypatch.setattr(provenance, "find", find)
    monkeypatch.setattr(pipeline, "loaded_detector", lambda options: find_squares)
    monkeypatch.setattr(pipeline, "loaded_lifter", lambda options: upright)
    for name in [name for name in os.environ if name.startswith("POSE3D_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("POSE3D_CONFIG", str(tmp_path / "none.toml"))
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place for videos only."""
    path = tmp_path / "videos"
    path.mkdir()
    return path


def walk(path: Path, frames: int = 12) -> Path:
    return write_clip(path, frames=frames, squares=(lambda n: (20 + 3 * n, 60),))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_video_becomes_a_recording_and_a_video(run: Run, folder: Path) -> None:
    result = run("infer", walk(folder / "walk.mp4"))
    assert result.exit_code == 0, result.output
    assert names(folder) == ["walk.mp4", "walk.pose3d.mp4", "walk.pose3d.npz"]
    recording = Recording.load(folder / "walk.pose3d.npz")
    assert len(recording) == 1
    assert recording.meta["options"]["people"] == "all"
    assert recording.meta["weights"]["detector"]["name"] == "compact"
    rendered = list(Video(folder / "walk.pose3d.mp4"))
    assert len(rendered) == 12
    assert rendered[0].image.shape == (480, 640 + 640, 3)
    assert "12 frames, 1 person" in result.stdout
    assert str(folder / "walk.pose3d.npz") in result.stdout
    assert "frames/s" in result.stdout


def test_what_is_finished_is_not_done_again(run: Run, folder: Path) -> None:
    video = walk(folder / "walk.mp4")
    assert run("infer", video).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    result = run("infer", video)
    assert result.exit_code == 0
    assert "nothing to do" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert run("infer", video, "--overwrite").exit_code == 0
    assert all(path.stat().st_mtime_ns != before[path] for path in folder.glob("*.pose3d.*"))


def test_a_missing_file_is_made_up_for(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = walk(folder / "walk.mp4")
    assert run("infer", video, "--save", "npz").exit_code == 0
    monkeypatch.setattr(pipeline, "loaded_detector", lambda options: pytest.fail("detects again"))
    result = run("infer", video, "--save", "npz,mp4,json")
    assert result.exit_code == 0, result.output
    assert "walk.pose3d.json" in names(folder)
    assert "walk.pose3d.mp4" in names(folder)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--people", "main"], "people all, now main"),
        (["--start", "0.1"], "start none, now 0.1"),
        (["--detector", "other"], "detector compact, now other"),
        (["--lifter", "other"], "lifter temporal, now other"),
    ],
)
def test_changed_options_are_named(run: Run, folder: Path, options: list[str], says: str) -> None:
    video = walk(folder / "walk.mp4")
    assert run("infer", video).exit_code == 0
    before = (folder / "walk.pose3d.npz").read_bytes()
    result = run("infer", video, *options)
    assert result.exit_code == 1
    assert says in result.stderr
    assert "--overwrite" in result.stderr
    assert (folder / "walk.pose3d.npz").read_bytes() == before
    assert run("infer", video, *options, "--overwrite").exit_code == 0


def test_device_and_batch_size_change_nothing(run: Run, folder: Path) -> None:
    video = walk(folder / "walk.mp4")
    assert run("infer", video).exit_code == 0
    result = run("infer", video, "--device", "cpu", "--batch-size", "2")
    assert result.exit_code == 0
    assert "nothing to do" in result.stdout


def test_a_changed_video_is_noticed(run: Run, folder: Path) -> None:
    video = walk(folder / "walk.mp4")
    assert run("infer", video).exit_code == 0
    walk(video, frames=20)
    result = run("infer", video)
    assert result.exit_code == 1
    assert "another video" in result.stderr


def test_one_broken_video_does_not_stop_the_others(run: Run, folder: Path, tmp_path: Path) -> None:
    walk(folder / "a.mp4")
    (folder / "b.mp4").write_text("not a video at all " * 20)
    walk(folder / "c.mkv")
    (folder / "notes.txt").write_text("not looked at")
    out = tmp_path / "out"
    result = run("infer", folder, "-o", out, "--save", "npz")
    assert result.exit_code == 1
    assert names(out) == ["a.pose3d.npz", "c.pose3d.npz", "report.jsonl"]
    assert "b.mp4: not a video" in result.stderr
    assert "1 of 3 files failed" in result.stderr
    again = run("infer", folder, "-o", out, "--save", "npz")
    assert again.exit_code == 1
    assert again.stdout.count("nothing to do") == 2


def test_one_is_not_called_several(run: Run, folder: Path) -> None:
    walk(folder / "a.mp4")
    forecast = run("infer", folder, "--dry-run")
    assert forecast.stdout.splitlines()[-1] == "1 of 1 file to do"
    (folder / "b.mp4").write_text("not a video at all " * 20)
    result = run("infer", folder, "--save", "npz")
    assert "12 frames, 1 person, 0:00:0" in result.stdout
    assert "people" not in result.stdout
    assert counted(2, "person", "people") == "2 people"
    assert counted(0, "frame") == "0 frames"
    assert counted(1234, "frame") == "1,234 frames"


def sound(path: Path) -> None:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(8000))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_text("Dear diary " * 50), "not a video"),
        (lambda path: path.write_bytes(b""), "not a video"),
        (sound, "only sound"),
        (lambda path: walk(path, frames=1), "1 frame to use"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    run: Run, folder: Path, make: Callable[[Path], object], says: str
) -> None:
    video = folder / "clip.mp4"
    make(video)
    before = names(folder)
    result = run("infer", video)
    assert result.exit_code == 1
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""
    assert names(folder) == before
    assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)


def test_a_video_that_is_gone_after_its_recording(run: Run, folder: Path) -> None:
    video = walk(folder / "walk.mp4")
    assert run("infer", video).exit_code == 0
    video.unlink()
    result = run("infer", video)
    assert result.exit_code == 1
    assert "walk.mp4: no such file" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_an_empty_folder(run: Run, folder: Path) -> None:
    result = run("infer", folder)
    assert result.exit_code == 1
    assert "holds nothing to work on" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert names(folder) == []


def test_a_pattern_without_a_match(run: Run, folder: Path) -> None:
    result = run("infer", folder / "*.mp4")
    assert result.exit_code == 1
    assert "matches no file" in result.stderr


def test_nobody_is_a_success(run: Run, folder: Path) -> None:
    result = run("infer", write_clip(folder / "empty.mp4", frames=10))
    assert result.exit_code == 0, result.output
    assert "nobody found" in result.stdout
    recording = Recording.load(folder / "empty.pose3d.npz")
    assert len(recording) == 0
    assert recording.meta["source"]["frames"] == 10
    assert len(list(Video(folder / "empty.pose3d.mp4"))) == 10


def test_warnings_reach_the_user(run: Run, folder: Path) -> None:
    video = walk(folder / "walk.mkv", frames=60)
    content = video.read_bytes()
    video.write_bytes(content[: int(0.7 * len(content))])
    result = run("infer", video)
    assert result.exit_code == 0, result.output
    assert "breaks off" in result.stderr
    assert (folder / "walk.pose3d.mp4").exists()


def test_an_unwritable_place_is_said_at_once(run: Run, folder: Path) -> None:
    video = walk(folder / "walk.mp4")
    result = run("infer", video, "-o", video / "out")
    assert result.exit_code in (1, 2)
    assert names(folder) == ["walk.mp4"]


@pytest.mark.parametrize("command", ["render", "export"])
def test_the_video_is_found_where_it_was(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(folder.parent)
    (folder / "clips").mkdir()
    video = walk(folder / "clips" / "walk.mp4")
    assert run("infer", f"{folder.name}/clips", "-o", "out", "--save", "npz").exit_code == 0
    result = run(command, "out/walk.pose3d.npz", "--save", "png")
    assert (result.exit_code, result.stderr) == (0, "")
    assert run("lift", "out", "-o", "out/deep/er").exit_code == 0
    monkeypatch.chdir(tmp_path / "out" / "deep")
    result = run(command, "er/walk.pose3d.npz", "--save", "png")
    assert (result.exit_code, result.stderr) == (0, "")
    video.rename(video.with_name("away.mp4"))
    monkeypatch.chdir(folder.parent)
    result = run(command, "out/walk.pose3d.npz", "--save", "gif")
    assert result.exit_code == 1
    looked = f"not in out nor in {folder.name}/clips nor here: say where with --video"
    assert looked in result.stderr
    (folder / "clips" / "walk.mp4").write_bytes(b"of another size")
    result = run(command, "out/walk.pose3d.npz", "--save", "gif")
    assert f"{folder.name}/clips/walk.mp4 is another file than its video" in result.stderr
    again = run(
        command, "out/walk.pose3d.npz", "--save", "gif", "--video", f"{folder.name}/clips/away.mp4"
    )
    assert again.exit_code == 0, again.stderr


def test_stage_by_stage_is_the_same(run: Run, folder: Path, tmp_path: Path) -> None:
    video = walk(folder / "walk.mp4")
    assert run("infer", video, "-o", tmp_path / "whole").exit_code == 0
    assert run("detect", video).exit_code == 0
    file = folder / "walk.pose3d.npz"
    detected = Recording.load(file)
    assert detected.meta["steps"] == ["detect", "track"]
    assert detected.people[0].pose is None
    assert run("lift", file).exit_code == 0
    assert "nothing to do" in run("lift", file).stdout
    assert run("render", file).exit_code == 0
    assert names(folder) == ["walk.mp4", "walk.pose3d.mp4", "walk.pose3d.npz"]
    whole = Recording.load(tmp_path / "whole" / "walk.pose3d.npz")
    staged = Recording.load(file)
    assert whole.meta["source"].pop("folder") == f"../{folder.name}"
    assert whole.meta == staged.meta
    assert whole.people[0].pose is not None
    assert staged.people[0].pose is not None
    np.testing.assert_array_equal(whole.people[0].pose.joints, staged.people[0].pose.joints)


def test_rendering_elsewhere_needs_the_video(run: Run, folder: Path, tmp_path: Path) -> None:
    video = walk(folder / "walk.mp4")
    out = tmp_path / "out"
    assert run("infer", video, "-o", out, "--save", "npz").exit_code == 0
    moved = Path(shutil.move(folder, tmp_path / "moved"))
    result = run("render", out)
    assert result.exit_code == 1
    assert "--video" in result.stderr
    assert names(out) == ["walk.pose3d.npz"]
    assert run("render", out, "--video", moved).exit_code == 0
    assert names(out) == ["walk.pose3d.mp4", "walk.pose3d.npz"]


def test_pictures_give_json_and_a_drawn_copy(run: Run, folder: Path) -> None:
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[56:64, 76:84, 1] = 255
    cv2.imwrite(str(folder / "photo.png"), picture)
    result = run("detect", folder)
    assert result.exit_code == 0, result.output
    assert names(folder) == ["photo.png", "photo.pose3d.jpg", "photo.pose3d.json"]
    content = json.loads((folder / "photo.pose3d.json").read_text("utf-8"))
    assert len(content["people"]) == 1
    drawn = cv2.imread(str(folder / "photo.pose3d.jpg"))
    assert (np.abs(drawn.astype(int) - picture).max(-1) > 60).sum() > 50
    assert "nothing to do" in run("detect", folder).stdout
    (folder / "photo.pose3d.json").unlink()
    assert str(folder / "photo.pose3d.jpg") in run("detect", folder).stdout  # drawn anew, too
    assert run("detect", folder, "--save", "json").exit_code == 0
    result = run("detect", folder, "--save", "coco", "--overwrite")
    assert result.exit_code == 2
    assert "photo.png is a picture, which gives JSON and a drawn copy, no coco" in result.stderr
    result = run("infer", folder)
    assert result.exit_code == 1
    says = f"{folder}: pictures, no video: `pose3d detect` takes them"
    assert says in result.stderr
    assert says in run("infer", folder / "none.mp4", folder).stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "`pose3d detect` takes pictures" in run("infer", folder / "photo.png").stderr
    assert names(folder) == ["photo.png", "photo.pose3d.jpg", "photo.pose3d.json"]
    walk(folder / "walk.mp4")
    chosen = ("--pattern", "*.mp4", "--save", "coco")
    assert run("detect", folder, *chosen).exit_code == 0
    assert "walk.coco.json" in names(folder)


def test_a_lifted_recording_is_lifted_anew_elsewhere(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    assert run("infer", walk(folder / "walk.mp4"), "--save", "npz").exit_code == 0
    before, out = folder / "walk.pose3d.npz", tmp_path / "other"
    assert run("lift", before, "--fov", "30", "-o", out).exit_code == 0
    assert Recording.load(out / "walk.pose3d.npz").meta["options"]["fov"] == 30
    assert run("lift", before, "--height", "banana", "-o", tmp_path / "third").exit_code == 2


def test_errors_are_told_with_their_units(run: Run) -> None:
    truth = ROOT / "data" / "rendered_walk.truth.npz"
    lines = [line.split() for line in run("evaluate", "poses", truth, truth).stdout.splitlines()]
    assert lines[0] == ["frames", "found", "MPJPE", "PA-MPJPE", "N-MPJPE", "MPJVE"]
    assert lines[1] == ["mm", "mm", "mm", "mm/s"]
    assert lines[2] == ["person", "1", "240", "100%", "0.0", "0.0", "0.0", "0.0"]
    assert lines[-1] == ["RWrist", "0.0"]
    found = json.loads(run("evaluate", "poses", truth, truth, "--json").stdout)
    assert found["people"]["person 1"]["mpjpe"] == 0


def test_quiet_says_nothing(run: Run, folder: Path) -> None:
    result = run("infer", walk(folder / "walk.mp4"), "--quiet")
    assert result.exit_code == 0
    assert result.output == ""


@pytest.mark.parametrize("code", ["import pose3d", "from pose3d.cli import main"])
def test_heavy_packages_are_imported_where_they_are_used(code: str) -> None:
    """So that --help takes a moment, not seconds."""
    heavy = ["torch", "torchvision", "cv2", "av", "scipy", "numpy"]
    script = f"import sys\n{code}\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_help_runs_as_a_module() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "pose3d", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "infer" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "torchvision", "cv2", "av", "scipy", "numpy"}


def test_angles_are_plotted_and_steps_skipped(run: Run, folder: Path) -> None:
    video = walk(folder / "walk.mp4")
    result = run("infer", video, "--save", "npz", "--plot", "angles.png", "--skip", "feet,clean")
    assert result.exit_code == 0
    assert (folder / "walk.angles.pose3d.png").stat().st_size > 0
    steps = Recording.load(folder / "walk.pose3d.npz").meta["steps"]
    assert steps == ["detect", "track", "scenes", "lift", "steady", "world"]
    assert run("infer", video, "--save", "npz", "--skip", "dance").exit_code == 2
