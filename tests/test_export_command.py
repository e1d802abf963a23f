"""``pose3d export``, and ``--save`` of other commands."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import write_clip
from performers import performance

from pose3d.cli import main
from pose3d.export import FORMATS
from pose3d.look import WRITTEN
from pose3d.sequence import Recording


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    path = tmp_path / "walk.pose3d.npz"
    performance(12).save(path)
    return path


def test_the_suffix_says_the_format(walk: Path) -> None:
    target = walk.with_name("out.bvh")
    result = run("export", walk, target, "--unit", "cm")
    assert result.exit_code == 0, result.output
    assert result.output.split("\n")[:2] == [
        f"{walk}: {target}",
        f"{walk}: {walk.with_name('out.2.bvh')}",
    ]
    assert target.read_text().startswith("HIERARCHY")
    before = target.read_bytes()
    assert run("export", walk, "out.bvh", "-o", walk.parent / "there").exit_code == 0
    assert (walk.parent / "there" / "out.bvh").exists()
    again = run("export", walk, target, "--unit", "cm")
    assert again.exit_code == 0
    assert "is there already (--overwrite replaces it)" in again.output
    other = run("export", walk, target)
    assert other.exit_code == 1
    assert "out.bvh exists and was made otherwise (unit cm, now m): --overwrite" in other.output
    assert target.read_bytes() == before
    run("export", walk, target, "--overwrite")  # in metres now
    assert target.read_bytes() != before


@pytest.mark.parametrize("name", FORMATS)
def test_files_of_another_state_are_refused(name: str, walk: Path) -> None:
    target = walk.parent / f"out{FORMATS[name].suffix}"
    assert run("export", walk, target).exit_code == 0
    again = run("export", walk, target)
    assert (again.exit_code, again.output.count("is there already")) == (0, 1)
    performance(15).save(walk)
    os.utime(walk, (target.stat().st_atime, target.stat().st_mtime + 5))
    result = run("export", walk, target)
    assert result.exit_code == 1
    assert f"{target} exists and was made otherwise (of an earlier walk.pose3d.npz)" in (
        result.output
    )
    os.utime(walk, (0, 0))
    assert "(not of walk.pose3d.npz as it is)" in run("export", walk, target).output
    assert run("export", walk, target, "--overwrite").exit_code == 0
    assert run("export", walk, target).exit_code == 0


def test_the_other_layout_is_named(walk: Path) -> None:
    assert run("export", walk, "--save", "csv", "--layout", "wide").exit_code == 0
    assert "(layout wide, now long)" in run("export", walk, "--save", "csv").output


def test_all_formats_at_once(walk: Path) -> None:
    folder = walk.parent / "files"
    result = run("export", walk, "--save", ",".join(FORMATS), "-o", folder)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in folder.iterdir()) == [
        "walk.coco.json",
        "walk.pose3d.2.bvh",
        "walk.pose3d.2.mot",
        "walk.pose3d.2.trc",
        "walk.pose3d.angles.csv",
        "walk.pose3d.bvh",
        "walk.pose3d.c3d",
        "walk.pose3d.csv",
        "walk.pose3d.glb",
        "walk.pose3d.json",
        "walk.pose3d.mot",
        "walk.pose3d.npz",
        "walk.pose3d.openpose",
        "walk.pose3d.trc",
        "walk.videopose3d.npz",
    ]


def test_what_people_look_at_is_what_render_draws(film: Path, tmp_path: Path) -> None:
    walk, video = Path(shutil.copy(film, tmp_path)), film.with_name("walk.mp4")
    assert run("render", walk, "--save", "html").exit_code == 0
    assert run("render", walk, "--save", "png", "--video", video).exit_code == 0
    page, large, sheet = (tmp_path / name for name in ("page.html", "large.html", "OF.PNG"))
    for target, options in ((page, ()), (large, ("--video", video)), (sheet, ("--video", video))):
        result = run("export", walk, target, *options)
        assert result.exit_code == 0, result.output
        assert result.stdout == f"{walk}: {target}\n"
        assert ("shows no video" in result.stderr) == (target == page)
    assert page.read_bytes() == walk.with_suffix(".html").read_bytes()
    assert sheet.read_bytes() == walk.with_suffix(".png").read_bytes()
    assert large.stat().st_size > page.stat().st_size + 1000  # it holds a copy of the video


def test_what_is_finished_is_named_beside_what_is_drawn(film: Path) -> None:
    assert run("render", film, "--save", "png").exit_code == 0
    more = run("render", film, "--save", "png,gif")
    assert more.exit_code == 0
    assert f"left as they are: {film.stem}.png" in more.output


def test_a_page_without_its_video_says_so(film: Path, tmp_path: Path) -> None:
    walk, video = Path(shutil.copy(film, tmp_path)), film.with_name("walk.mp4")
    page = tmp_path / "walk.pose3d.html"
    for command in ("render", "export"):
        result = run(command, walk, "--save", "html", "--overwrite")
        assert result.exit_code == 0, result.output
        where = f"as its video walk.mp4 is not in {tmp_path} nor here: say where with --video"
        assert result.stderr == f"{walk}: {page} shows no video, {where} FILE or FOLDER\n"
    without = page.stat().st_size
    result = run("render", walk, "--save", "html", "--video", video)
    assert result.exit_code == 1
    assert "video left out, now copied" in result.stderr
    result = run("render", walk, "--save", "html", "--video", video, "--overwrite")
    assert (result.exit_code, result.stderr) == (0, "")
    assert page.stat().st_size > without + 1000
    # What shows more than can be shown now stays.
    assert "nothing to do" in run("render", walk, "--save", "html").stdout


def test_what_can_be_drawn_without_the_video_is(film: Path, tmp_path: Path) -> None:
    walk = Path(shutil.copy(film, tmp_path))
    result = run("render", walk, "--save", "png,html")
    assert result.exit_code == 1
    page = tmp_path / "walk.pose3d.html"
    assert f"wrote {page}; no png, as its video" in result.stderr
    assert "say where with --video" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["walk.pose3d.html", walk.name]


@pytest.mark.parametrize(
    ("form", "before", "now", "says"),
    [
        ("png", [], ["--view", "overlay"], "view side-by-side, now overlay"),
        ("gif", ["--view", "3d"], [], "view 3d, now side-by-side"),
        ("mp4", ["--no-trail"], ["--audio"], "trail False, now True; audio False, now True"),
        ("html", ["--link"], [], "video linked, now copied"),
    ],
)
def test_another_look_is_named(
    form: str, before: list[str], now: list[str], says: str, film: Path, tmp_path: Path
) -> None:
    walk = Path(shutil.copy(film, tmp_path))
    options = ("render", walk, "--save", form, "--video", film.with_name("walk.mp4"))
    assert run(*options, *before).exit_code == 0
    drawn = walk.with_suffix(f".{form}").read_bytes()
    assert "nothing to do" in run(*options, *before).stdout
    result = run(*options, *now)
    assert result.exit_code == 1
    assert f"exists and was made otherwise ({says}): --overwrite" in result.stderr
    assert walk.with_suffix(f".{form}").read_bytes() == drawn
    assert run(*options, *now, "--overwrite").exit_code == 0
    assert "nothing to do" in run(*options, *now).stdout


def test_what_was_drawn_of_another_state_is_refused(film: Path, tmp_path: Path) -> None:
    walk = Path(shutil.copy(film, tmp_path))
    options = ("render", walk, "--save", "png", "--view", "3d")
    assert run(*options).exit_code == 0
    recording = Recording.load(walk)
    recording.with_people(recording.people[:1]).save(walk)
    assert "another state of the recording" in run(*options).stderr
    with_other = recording.meta.get("options", {}) | {"fov": 30.0}
    recording.with_people(recording.people, options=with_other).save(walk)
    result = run(*options)
    assert (result.exit_code, "fov none, now 30.0" in result.stderr) == (1, True)
    (tmp_path / "walk.pose3d.png").write_bytes(b"a picture of somebody else's")
    assert "it does not say how" in run(*options).stderr


def test_a_page_needs_no_video_but_a_film_does(walk: Path) -> None:
    result = run("export", walk, "--save", "html,bvh,mp4", "-o", walk.parent / "files")
    assert result.exit_code == 1
    assert "say where with --video" in result.output
    written = sorted(path.name for path in (walk.parent / "files").iterdir())
    assert written == ["walk.pose3d.2.bvh", "walk.pose3d.bvh", "walk.pose3d.html"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that is as long and as large as the video beside it."""
    recording = performance(30, fps=30)
    clip = write_clip(tmp_path_factory.mktemp("film") / "walk.mp4")
    source = recording.meta["source"] | {"size": [160, 120], "bytes": clip.stat().st_size}
    path = clip.with_name("walk.pose3d.npz")
    recording.with_people(recording.people, source=source).save(path)
    return path


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of 4 kB, less than any of the files takes."""
    place = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(place)]
    try:
        subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_the_video_may_be_in_the_current_folder(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, other = tmp_path / "results", tmp_path / "other"
    results.mkdir()
    other.mkdir()
    walk = Path(shutil.copy(film, results))
    monkeypatch.chdir(film.parent)
    assert run("export", walk, results / "walk.png").exit_code == 0
    shutil.copy(film.with_name("walk.mp4"), other)
    with open(other / "walk.mp4", "ab") as file:
        file.write(b"0")  # it has the name and is another one
    monkeypatch.chdir(other)
    result = run("export", walk, results / "another.png")
    assert result.exit_code == 1
    assert "walk.mp4 is another file than its video: say where with --video" in result.output


@pytest.mark.parametrize("name", WRITTEN)
def test_a_full_disk(name: str, film: Path, disk: Path) -> None:
    result = run("export", film, "--save", name, "-o", disk)
    assert result.exit_code == 1, result.output
    assert "cannot be written" in result.output
    assert len(result.output.splitlines()) == 1
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("name", WRITTEN)
def test_a_disk_that_cannot_be_written_to(name: str, film: Path, disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        result = run("export", film, "--save", name, "-o", disk)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert result.exit_code == 1, result.output
    assert "cannot be written" in result.output
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{walk}"], "say what to write"),
        (["{walk}", "out"], "say what to write"),
        (["{walk}", "{walk}", "out.bvh"], "--save"),
        (["{walk}", "out.docx"], ".bvh"),
        (["{walk}", "out.docx"], ".html"),
        (["{walk}", "here/out.bvh", "-o", "there"], "leave -o out"),
        (["{walk}", "bvh"], "--save bvh"),
        (["{walk}", "bvh,csv"], "walk.pose3d.npz --save bvh,csv"),
        (["{walk}", "out.bvh", "--save", "csv"], "out.bvh and --save both say what to write"),
        (["{folder}", "out.bvh"], "is a folder: --save bvh"),
        (["{walk}", "--save", "docx"], "'docx' is none of"),
        (["{walk}", "out.bvh", "--unit", "foot"], "foot"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, walk: Path) -> None:
    result = run("export", *(a.format(walk=walk, folder=walk.parent) for a in arguments))
    assert result.exit_code == 2
    assert words in result.output


def test_a_recording_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, a=np.zeros(3))
    result = run("export", path, tmp_path / "out.bvh")
    assert result.exit_code == 1
    assert "is not a recording" in result.output
    assert not (tmp_path / "out.bvh").exists()
