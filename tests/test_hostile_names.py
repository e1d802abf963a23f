"""Names of inputs, and names within them, make no file anywhere but among the results."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import write_clip

from pose3d import batch, export
from pose3d.errors import PoseError
from pose3d.sequence import Recording
from pose3d.video import Video

SUFFIXES = {"npz": ".pose3d.npz", "json": ".pose3d.json"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Videos at ``in/a.mp4``, ``in/x/y/b.mp4`` and ``c.mp4``; ``in/link`` leads outside."""
    for name in ("in/a.mp4", "in/x/y/b.mp4", "c.mp4", "other/d.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "in/link").symlink_to(tmp_path / "other")
    (tmp_path / "in/e.mp4").symlink_to(tmp_path / "c.mp4")
    return tmp_path


def results(out: Path, *inputs: object) -> list[Path]:
    jobs = batch.plan(batch.expand(list(map(str, inputs)), batch.VIDEOS), out, SUFFIXES)
    return [path for job in jobs for path in [*job.outputs.values(), job.journal] if path]


@pytest.mark.parametrize(
    "asked",
    [
        "in",
        "in/../in",
        "in/x/../x",
        "in/link",
        "in/**/*.mp4",
        "in/*/../*.mp4",
        "../{name}/in",
        "@list",
    ],
)
def test_results_stay_in_their_folder(
    asked: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    lines = ["in/a.mp4", "../../../../../../.." + str(tree / "c.mp4"), str(tree / "in/x/y/b.mp4")]
    (tree / "list").write_text("\n".join(lines))
    out = tree / "out"
    places = results(out, asked.replace("{name}", tree.name))
    assert places
    for place in places:
        assert place.resolve().is_relative_to(out)


def test_results_of_patterns_that_climb(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    for place in results(tree / "out", "in/x/*/../../../*.mp4"):
        assert place.resolve().is_relative_to(tree / "out")


@pytest.mark.parametrize(
    "name", ["..", "../../evil.mp4", "/etc/evil.mp4", "a/../../b.mp4", ".hidden", "CON.mp4"]
)
def test_names_in_a_recording_make_no_path(name: str, recording: Recording, tmp_path: Path) -> None:
    meta = {**recording.meta, "source": {**recording.meta["source"], "name": name}}
    folder = tmp_path / "deep" / "in"
    folder.mkdir(parents=True)
    replace(recording, meta=meta).save(folder / "a.pose3d.npz")
    hostile = Recording.load(folder / "a.pose3d.npz")
    for form in ("openpose", "coco", "csv", "bvh", "glb", "videopose3d"):
        for path in export.write(hostile, folder / f"out{export.FORMATS[form].suffix}", form=form):
            assert path.parent == folder
    outside = [p for p in tmp_path.rglob("*") if not p.is_relative_to(folder)]
    assert outside == [tmp_path / "deep"]


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, 7, ["a"], {"a": 1}])
def test_names_that_are_none(name: object, recording: Recording, tmp_path: Path) -> None:
    meta = {**recording.meta, "source": {**recording.meta["source"], "name": name}}
    replace(recording, meta=json.loads(json.dumps(meta))).save(tmp_path / "a.npz")
    with pytest.raises(PoseError, match="its name cannot be right"):
        Recording.load(tmp_path / "a.npz")


def test_results_with_too_long_a_name_are_refused_in_one_line(
    recording: Recording, tmp_path: Path
) -> None:
    with pytest.raises(PoseError, match="cannot be written") as caught:
        export.write(recording, tmp_path / ("x" * 250 + ".pose3d.npz"), form="npz")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_names_that_would_control_a_terminal(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a\x1b[2J\nb.mp4", frames=2)
    assert Video(path).info.width == 160
    path.write_bytes(b"nothing")
    with pytest.raises(PoseError) as caught:
        Video(path)
    assert str(caught.value).isprintable()
