"""Options of the command line: their values, spellings and places, and help about them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result
from test_cli import folder, names, run, walk

from pose3d import pipeline
from pose3d.cli import main
from pose3d.commands.console import Bars
from pose3d.errors import UsageError
from pose3d.sequence import Recording

Run = Callable[..., Result]
__all__ = ["folder", "run"]  # fixtures


def test_wrong_usage_is_code_2(run: Run, folder: Path) -> None:
    video = walk(folder / "walk.mp4")
    for arguments in (
        ["--start", "soon"],
        ["--start", "5", "--end", "2"],
        ["--people", "0"],
        ["--save", "xls"],
        ["--nonsense"],
    ):
        result = run("infer", video, *arguments)
        assert result.exit_code == 2, arguments
    assert run("infer").exit_code == 2
    assert names(folder) == ["walk.mp4"]


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--height", "9m"], "nobody is 9m tall"),
        (["--height", "1=tall"], "1.78m or 178cm"),
        (["--focal-length", "-3"], "a focal length of -3"),
        (["--fov", "300"], "sees 300 degrees"),
        (["--fov", "60", "--focal-length", "900"], "give one"),
        (["--camera", "none.toml"], "--camera none.toml"),
        (["--camera-up", "up"], "0,-1,0"),
        (["--batch-size", "0"], "--batch-size"),
        (["--short-side", "9999"], "--short-side"),
        (["--min-score", "7"], "--min-score"),
        (["--device", "gpu?"], "no device is called 'gpu?'"),
        (["--dialect", "klingon"], "no dialect is called 'klingon'"),
        (["--save", "npz,xls"], "'xls' is none of npz"),
    ],
)
def test_wrong_values_are_refused_before_anything_is_loaded(
    run: Run,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
    more: tuple[str, ...],
) -> None:
    for name in ("loaded_detector", "loaded_lifter", "weight_facts"):
        monkeypatch.setattr(pipeline, name, lambda *_args: pytest.fail("is loaded"))
    (folder / "walk.mp4").write_text("is not looked at")
    result = run("infer", folder / "walk.mp4", *arguments, *more)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert names(folder) == ["walk.mp4"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"precision": "fp8"},
        {"engine": "steam"},
        {"decoder": "tape"},
        {"min_score": 2.0},
        {"max_people": 0},
        {"person": 0},
        {"short_side": 3},
        {"min_track": float("nan")},
        {"focal_length": 0.0},
        {"height": "9m"},
    ],
)
def test_python_refuses_wrong_values_too(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        pipeline.infer("walk.mp4", **wrong)


def test_spellings_of_an_option_are_one(run: Run, folder: Path) -> None:
    video = walk(folder / "walk.mp4")
    said = ("--height", "178", "--camera-up", "0,-1,0", "--skip", "feet,clean")
    assert run("infer", video, *said).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    for height in ("178cm", "1.78m", "1.78", "1780mm"):
        said = ("--height", height, "--camera-up", "0,-2.0,0", "--skip", "clean,feet")
        result = run("infer", video, *said)
        assert result.exit_code == 0, result.output
        assert "nothing to do" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert Recording.load(folder / "walk.pose3d.npz").meta["options"]["height"] == "1.78m"
    one, other = pipeline.Options(height="2=165cm, 1=1.8"), pipeline.Options(height="1=180,2=1.65m")
    assert one == other
    assert run("infer", video, "--height", "1.79").exit_code == 1


@pytest.mark.parametrize(
    ("command", "given", "says"),
    [
        ("lift", "walk.mp4", "walk.mp4 is a video: `pose3d infer "),
        ("render", "walk.mp4", "walk.mp4 is a video: `pose3d infer "),
        ("view", "walk.mp4", "walk.mp4 is a video: `pose3d infer "),
        ("export", "walk.mp4 walk.bvh", "walk.mp4 is a video: `pose3d infer "),
        ("export", "walk.mp4 --save bvh", "walk.mp4 is a video: `pose3d infer "),
        ("lift", "photo.JPG", "photo.JPG is a picture: `pose3d detect "),
        ("infer", "walk.pose3d.npz --overwrite", "no video: `pose3d lift`, `render`"),
        ("detect", "walk.pose3d.npz --overwrite", "no video: `pose3d lift`, `render`"),
        ("lift", "walk.pose3d.npz --device cuda:0,cuda:1", "no device is called"),
        ("infer", "https://example.com/walk.mp4", "is an address: download the video first"),
    ],
)
def test_what_another_command_takes_is_sent_there(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, given: str, says: str
) -> None:
    monkeypatch.chdir(folder)
    for name in ("walk.mp4", "photo.JPG", "walk.pose3d.npz"):
        Path(name).write_text(name)
    result = run(command, *given.split())
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert Path("walk.pose3d.npz").read_text() == "walk.pose3d.npz"


def test_what_was_drawn_is_not_worked_on_with_the_rest(run: Run, folder: Path) -> None:
    """As when a shell makes the names of `pose3d infer *.mp4`, and the command is run again."""
    video = walk(folder / "walk.mp4")
    assert run("infer", video).exit_code == 0
    before = names(folder)
    result = run("infer", *sorted(folder.glob("*.mp4")))
    assert result.exit_code == 0
    assert "nothing to do" in result.stdout
    assert (
        result.stderr == f"{folder / 'walk.pose3d.mp4'} is left out: its name is that of a result\n"
    )
    assert names(folder) == before
    assert run("infer", folder / "walk.pose3d.mp4", "-o", folder / "of it").exit_code == 0


@pytest.mark.parametrize("command", ["infer", "detect", "lift", "bench"])
def test_help_puts_every_option_under_one_heading(run: Run, command: str) -> None:
    text = run(command, "--help").stdout
    listed = text[text.index("\nOptions:") :]
    told = [line.split()[0].rstrip(",") for line in listed.splitlines() if line[:3] == "  -"]
    for param in main.commands[command].params:
        if isinstance(param, click.Option):
            assert told.count(param.opts[0]) == 1, param.opts
    last = listed.index("\nIn general:")
    assert 0 < listed.index("\nWeights:") < last < listed.index("-h, --help")


def test_options_from_file_and_environment(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = walk(folder / "walk.mp4")
    file = tmp_path / "options.toml"
    file.write_text('people = "main"\n[infer]\nsave = ["json"]\nstart = 0.1\n')
    assert run("infer", video, "--config", file).exit_code == 0
    assert names(folder) == ["walk.mp4", "walk.pose3d.json"]
    options = json.loads((folder / "walk.pose3d.json").read_text("utf-8"))["meta"]["options"]
    assert (options["people"], options["start"]) == ("main", 0.1)

    monkeypatch.setenv("POSE3D_INFER_START", "0.2")
    monkeypatch.setenv("POSE3D_INFER_SAVE", "npz")
    assert run("infer", video, "--config", file, "--people", "all").exit_code == 0
    options = Recording.load(folder / "walk.pose3d.npz").meta["options"]
    assert (options["people"], options["start"]) == ("all", 0.2)

    monkeypatch.setenv("POSE3D_PEOPLE", "2")  # for all commands; the one for infer goes before
    monkeypatch.setenv("POSE3D_START", "0.3")
    assert run("infer", video, "--config", file, "--overwrite").exit_code == 0
    options = Recording.load(folder / "walk.pose3d.npz").meta["options"]
    assert (options["people"], options["start"]) == (2, 0.2)
    monkeypatch.setenv("POSE3D_DEVICE", "gpu?")
    monkeypatch.setenv("POSE3D_MIN_SCORE", "much")
    assert run("infer", video).exit_code == 2

    file.write_text("peopel = 3\n")
    result = run("infer", video, "--config", file)
    assert result.exit_code == 2
    assert "peopel is no option" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["infer"], "Missing argument"),
        (["infer", "walk.mp4", "--start", "5", "--end", "2"], "end it later"),
        (["infer", "walk.mp4", "--save", "xls"], "'xls' is none of npz"),
        (["render", "walk.mp4"], "walk.mp4 is a video"),
        (["export", "walk.pose3d.npz"], "say what to write"),
        (["lift", "none.npz"], "none.npz: no such file"),
    ],
)
def test_a_log_file_says_what_went_wrong(
    run: Run, tmp_path: Path, arguments: list[str], says: str
) -> None:
    log = tmp_path / "logs" / "run.log"
    result = run(*arguments, "--log-file", log)
    assert result.exit_code == (1 if "lift" in arguments else 2)
    [line] = log.read_text().splitlines()
    assert " ERROR " in line and says in line and "Error: " not in line


def test_nothing_to_log_leaves_no_file(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    assert run("weights", "default", "--log-file", log).exit_code == 0
    assert run("infer", "--log-file", log, "--nonsense").exit_code == 2
    assert not log.exists()
    log.write_text("of yesterday\n")
    assert run("infer", "--log-file", log).exit_code == 2
    assert log.read_text().startswith("of yesterday\n")
    log.write_text("")
    assert run("weights", "default", "--log-file", log).exit_code == 0
    assert log.exists()  # somebody else's


def test_wrong_usage_is_code_2_however_verbose(run: Run) -> None:
    result = run("infer", "walk.mp4", "--start", "5", "--end", "2", "--verbose")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: nothing lies between")
    assert "Traceback" in result.stderr


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: to read what is shown, and to show it."""
    pty = pytest.importorskip("pty", reason="there are no terminals here")
    ends = pty.openpty()
    termios = pytest.importorskip("termios")
    termios.tcsetwinsize(ends[1], (24, 80))
    os.set_blocking(ends[0], False)
    yield ends
    for end in ends:
        os.close(end)


def test_a_terminal_is_told_that_it_loads(terminal: tuple[int, int], tmp_path: Path) -> None:
    shown, end = terminal
    command = [sys.executable, "-m", "pose3d", "infer", str(tmp_path / "none.mp4")]
    for more, begin in (([], b"loading pose3d\r"), (["-q"], b"")):
        assert subprocess.run([*command, *more], stdout=end, stderr=end).returncode == 1
        seen = os.read(shown, 10_000)
        assert seen.startswith(begin + b"\x1b[K" * bool(begin) + bytes(tmp_path))
    told = subprocess.run(command, capture_output=True)
    assert told.stderr.startswith(bytes(tmp_path))


def test_the_networks_loading_is_shown(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(terminal[1], "w", closefd=False) as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        for shown in (False, True):
            bars = Bars("walk.mp4", shown=shown)
            with bars.stage("load"):
                pass
            bars.advance("detect", 1, 2)
            bars.close()
    assert os.read(terminal[0], 10_000).count(b"walk.mp4: loading") == 1


def test_nothing_is_written_into_a_video(run: Run, folder: Path) -> None:
    video = walk(folder / "walk.mp4")
    before = video.read_bytes()
    for option in ("--report", "--log-file"):
        result = run("infer", video, option, video)
        assert result.exit_code == 2
        assert f"{video} is there and no text: give another file" in result.stderr
    assert video.read_bytes() == before
    assert names(folder) == ["walk.mp4"]


def test_empty_names_are_refused(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shell makes of a variable that is not set."""
    walk(folder / "walk.mp4")
    monkeypatch.chdir(folder)
    assert run("nonsense").exit_code == 2
    for command in ("infer", "detect", "lift", "render", "view", "bench"):
        result = run(command, "")
        assert result.exit_code == 2, result.output
        assert "Traceback" not in result.output
    for arguments in (["infer", "walk.mp4"], ["render", "walk.pose3d.npz"]):
        result = run(*arguments, "--save", "")
        assert (result.exit_code, "say which files to write" in result.stderr) == (2, True)
    assert names(folder) == ["walk.mp4"]


def test_a_reason_names_its_file(run: Run, folder: Path) -> None:
    result = run("infer", walk(folder / "walk.mp4"), "--person", "9")
    assert result.exit_code == 1
    assert result.stderr == f"{folder}/walk.mp4: there is no person 9: there is only person 1\n"


def test_no_fault_of_ours_is_a_page_of_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pose3d.weights.default", lambda _: {}["fault"])
    result = run("weights", "default")
    assert result.exit_code == 1
    assert result.stderr == "Error: KeyError: 'fault' (--verbose shows where)\n"
    assert "Traceback" in run("weights", "default", "--verbose").stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["weights", "convert", "compact", "compact.bin"], "let its name end like that"),
        (["weights", "export", "compact", "compact.txt"], "is .onnx"),
        (["train", "lifter", "--archive", "{file}", "--out", "runs", "--rate", "nan"], "no number"),
        (["train", "lifter", "--archive", "{file}", "--out", "runs", "--minutes", "inf"], "'inf'"),
        (["lift", "walk.json", "--fps", "nan"], "no number"),
    ],
)
def test_odd_values_of_other_commands(
    run: Run, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "file").touch()
    result = run(*(text.format(file=tmp_path / "file") for text in arguments))
    assert result.exit_code == 2, result.output
    assert says in result.stderr


def test_results_are_no_annotations(run: Run, tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text("[]")
    (tmp_path / "images").mkdir()
    files = ("--annotations", tmp_path / "found.json", "--images", tmp_path / "images")
    result = run("evaluate", "detector", *files)
    assert result.exit_code == 1
    assert "found.json has no images and annotations" in result.stderr
