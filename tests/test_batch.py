"""Many videos: which there are, what is done already, what failed, what is said."""

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from conftest import find_squares, upright, write_clip
from test_cli import folder, names, run, walk

import pose3d
from pose3d import batch, pipeline, provenance
from pose3d.batch import run as running
from pose3d.batch.report import default_path
from pose3d.errors import PoseError, UsageError
from pose3d.sequence import Recording

Run = Callable[..., Result]
__all__ = ["folder", "run"]  # fixtures


def lines(report: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in report.read_text("utf-8").splitlines()]


def found(root: Path, *arguments: object, **options: object) -> list[tuple[str, str]]:
    items = batch.expand([str(a) for a in arguments], batch.VIDEOS, **options)  # type: ignore[arg-type]
    return [(str(i.path.relative_to(root)), i.inside.as_posix()) for i in items]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders of empty files."""
    root = tmp_path / "tree"
    for name in ("a.mp4", "x/b.MOV", "x/y/c.mkv", "x/notes.txt", ".hidden/d.mp4", "x/.e.mp4"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "x" / "y" / "c.pose3d.mp4").touch()  # written by us
    return root


def test_folders_patterns_and_lists(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [("a.mp4", "."), ("x/b.MOV", "x"), ("x/y/c.mkv", "x/y")]
    assert found(tree, tree) == whole
    assert found(tree, tree, tree / "a.mp4") == whole
    assert found(tree, tree / "**" / "*.mkv") == [("x/y/c.mkv", "x/y")]
    assert found(tree, tree / "x" / "*") == [("x/b.MOV", "."), ("x/notes.txt", ".")]
    assert found(tree, tree / "a.mp4") == [("a.mp4", ".")]
    assert found(tree, tree, pattern="y/c.*") == [("x/y/c.mkv", "x/y")]
    (tree / "list.txt").write_text("# comment\n\na.mp4\nx/y/c.mkv\n")
    assert found(tree, f"@{tree / 'list.txt'}") == [whole[0], whole[2]]
    monkeypatch.chdir(tree)
    (tmp_path / "other.txt").write_text(f"x\n{tree / 'x' / '..' / 'a.mp4'}\n")
    items = batch.expand([f"@{tmp_path / 'other.txt'}"], batch.VIDEOS)
    assert [item.inside.as_posix() for item in items] == ["x", "x/y", "."]


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), (b"\n# nothing\n", "names no file"), (b"\xff\xfe\x00", "UTF-8")],
)
def test_lists_that_are_none(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(PoseError, match=says):
        batch.expand([f"@{tmp_path / 'list.txt'}"], batch.VIDEOS)


def test_lists_say_which_line_is_wrong(run: Run, folder: Path, tmp_path: Path) -> None:
    walk(folder / "a.mp4")
    (folder / "empty").mkdir()
    listed = folder / "list.txt"
    listed.write_text("# today's\na.mp4\n\nmissing.mp4\n")
    result = run("infer", f"@{listed}", "-o", tmp_path / "out", "--save", "npz")
    assert result.exit_code == 1
    assert f"{listed}, line 4: {folder / 'missing.mp4'}: no such file" in result.stderr
    assert names(tmp_path / "out") == ["a.pose3d.npz", "report.jsonl"]
    listed.write_text("a.mp4\nempty\n")
    result = run("infer", f"@{listed}")
    assert result.exit_code == 1
    assert f"{listed}, line 2: {folder / 'empty'} holds nothing" in result.stderr


def test_outputs_lie_as_inputs_do(tree: Path, tmp_path: Path) -> None:
    jobs = batch.plan(batch.expand([tree], batch.VIDEOS), tmp_path / "out", {"npz": ".pose3d.npz"})
    places = [str(job.outputs["npz"].relative_to(tmp_path)) for job in jobs]
    assert places == ["out/a.pose3d.npz", "out/x/b.pose3d.npz", "out/x/y/c.pose3d.npz"]


def test_equal_names_do_not_collide(tree: Path, tmp_path: Path) -> None:
    suffixes = {"npz": ".pose3d.npz"}

    def outputs(*paths: Path, out: Path | None = None) -> list[str]:
        jobs = batch.plan([batch.Input(path) for path in paths], out, suffixes)
        return [job.outputs["npz"].name for job in jobs]

    (tree / "A.mov").touch()
    assert outputs(tree / "a.mp4", tree / "A.mov") == ["a.mp4.pose3d.npz", "A.mov.pose3d.npz"]
    assert outputs(tree / "a.mp4") == ["a.mp4.pose3d.npz"], "alone it is called the same"
    (tree / "x" / "a.mkv").touch()
    both = outputs(tree / "x" / "a.mkv", tree / "x" / "b.MOV", out=tmp_path)
    assert both == ["a.pose3d.npz", "b.pose3d.npz"]
    (tree / "x" / "a.mp4").touch()
    with pytest.raises(UsageError, match="would write"):
        outputs(tree / "x" / "a.mp4", tree / "a.mp4", out=tmp_path)


def test_two_formats_of_a_name_are_both_done(run: Run, folder: Path) -> None:
    walk(folder / "a.mp4")
    walk(folder / "a.mkv", frames=20)
    assert run("infer", folder, "--save", "npz").exit_code == 0
    assert Recording.load(folder / "a.mp4.pose3d.npz").meta["source"]["frames"] == 12
    assert Recording.load(folder / "a.mkv.pose3d.npz").meta["source"]["frames"] == 20
    assert run("export", folder, "--save", "csv").exit_code == 0
    assert (folder / "a.mkv.pose3d.csv").exists()


def test_the_report_says_what_became_of_each(run: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "sub").mkdir()
    walk(folder / "a.mp4")
    walk(folder / "sub" / "b.mp4")
    (folder / "c.mp4").write_text("no video " * 40)
    out = tmp_path / "out"
    result = run("infer", folder, "-o", out, "--save", "npz")
    assert result.exit_code == 1
    assert names(out) == ["a.pose3d.npz", "report.jsonl", "sub"]
    assert names(out / "sub") == ["b.pose3d.npz"]
    first = lines(out / "report.jsonl")
    assert [Path(str(line["input"])).name for line in first] == ["a.mp4", "c.mp4", "b.mp4"]
    assert [line["status"] for line in first] == ["done", "failed", "done"]
    assert first[0]["frames"] == 12 and first[0]["people"] == 1 and float(first[0]["seconds"]) > 0  # type: ignore[arg-type]
    assert first[0]["outputs"] == [str(out / "a.pose3d.npz")]
    assert "not a video" in str(first[1]["reason"])
    assert "done            2   24 frames, 2 people" in result.stdout
    assert "failed          1" in result.stdout
    assert f"failed {folder / 'c.mp4'}: not a video" in result.stdout
    again = run("infer", folder, "-o", out, "--save", "npz", "--people", "main")
    second = [line["status"] for line in lines(out / "report.jsonl")[3:]]
    assert second == ["different", "different", "failed"]
    assert "people all, now main" in again.stderr


def test_a_reason_is_said_once_in_one_place(folder: Path) -> None:
    for name in "ab":
        (folder / f"{name}.mp4").write_text("no video " * 40)
    command = [sys.executable, "-m", "pose3d", "infer", str(folder), "--save", "npz"]
    alone = subprocess.run(command, capture_output=True, text=True, check=False)
    assert alone.stderr.count("not a video") == alone.stdout.count("not a video") == 2
    command += ["--retry-failed"]
    together = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert together.stdout.count("not a video") == 2
    assert "failed          2" in together.stdout


def test_what_failed_stays_failed(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk(folder / "a.mp4")
    walk(folder / "b.mp4")
    out = tmp_path / "out"
    arguments = ("infer", folder, "-o", out, "--save", "npz")
    broken = pipeline.detect

    def fails(path: Path, **options: object) -> Recording:
        if path.name == "b.mp4":
            raise PoseError(f"{path}: the disk is full")
        return broken(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "detect", fails)
    assert run(*arguments).exit_code == 1
    monkeypatch.setattr(pipeline, "detect", broken)
    for _ in range(2):
        again = run(*arguments)
        assert again.exit_code == 1
        assert again.stderr.count("failed before; --retry-failed tries again") == 1
        assert not (out / "b.pose3d.npz").exists()
    single = run("infer", folder / "b.mp4", "-o", tmp_path / "single", "--save", "npz")
    assert single.exit_code == 0, "who names a file means it"
    assert run(*arguments, "--retry-failed").exit_code == 0
    assert (out / "b.pose3d.npz").exists()
    assert run(*arguments).exit_code == 0


def test_a_failed_file_that_changed_is_tried_again(run: Run, folder: Path) -> None:
    walk(folder / "a.mp4")
    (folder / "b.mp4").write_text("no video " * 40)
    assert run("infer", folder, "--save", "npz").exit_code == 1
    walk(folder / "b.mp4")
    assert run("infer", folder, "--save", "npz").exit_code == 0


def test_a_touched_file_is_the_same(run: Run, folder: Path) -> None:
    video = walk(folder / "walk.mp4")
    assert run("infer", video, "--save", "npz").exit_code == 0
    video.touch()
    assert "nothing to do" in run("infer", video, "--save", "npz").stdout


def test_a_file_that_nobody_touched_is_not_read(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = walk(folder / "walk.mp4")
    assert run("infer", video, "--save", "npz").exit_code == 0
    read: list[Path] = []
    digest = provenance.sha256
    monkeypatch.setattr(provenance, "sha256", lambda path: read.append(path) or digest(path))
    run("infer", video, "--save", "npz")
    assert video not in read
    video.touch()
    run("infer", video, "--save", "npz")
    assert video in read


@pytest.mark.parametrize("save", ["json", "openpose"])
def test_without_a_recording_options_are_compared_too(run: Run, folder: Path, save: str) -> None:
    walk(folder / "a.mp4")
    walk(folder / "b.mp4")
    assert run("infer", folder, "--save", save).exit_code == 0
    assert run("infer", folder, "--save", save).stdout.count("nothing to do") == 2
    other = run("infer", folder, "--save", save, "--people", "main")
    assert other.exit_code == 1
    assert other.stderr.count("--overwrite") == 2
    assert run("infer", folder, "--save", save, "--people", "main", "--overwrite").exit_code == 0


def test_a_dry_run_does_nothing(run: Run, folder: Path) -> None:
    walk(folder / "a.mp4")
    assert run("infer", folder, "--save", "npz", "--report", folder / "r.jsonl").exit_code == 0
    walk(folder / "b.mp4")
    before = names(folder)
    result = run("infer", folder, "--save", "npz", "--dry-run")
    assert result.exit_code == 0
    assert f"to do      {folder / 'b.mp4'} -> {folder / 'b.pose3d.npz'}" in result.stdout
    assert f"skipped    {folder / 'a.mp4'}" in result.stdout
    assert "1 of 2 files to do" in result.stdout
    assert names(folder) == before


def test_a_dry_run_says_what_would_fail(run: Run, folder: Path) -> None:
    walk(folder / "a.mp4")
    (folder / "b.mp4").write_text("no video " * 40)
    assert run("infer", folder, "--save", "npz", "--dry-run").exit_code == 0, "nobody knows yet"
    assert run("infer", folder, "--save", "npz").exit_code == 1
    known = run("infer", folder, "--save", "npz", "--dry-run")
    assert known.exit_code == 1
    assert f"failed     {folder / 'b.mp4'}" in known.stdout
    again = ("infer", folder, "--save", "npz", "--dry-run", "--retry-failed")
    assert run(*again).exit_code == 0
    other = run(*again, "--people", "main")
    assert other.exit_code == 1
    assert f"different  {folder / 'a.mp4'}" in other.stdout
    gone = run("infer", folder / "a.mp4", folder / "gone.mp4", "--dry-run")
    assert gone.exit_code == 1
    assert f"failed     {folder / 'gone.mp4'} no such file" in gone.stdout
    assert run("infer", folder, "--dry-run", "--people", "none").exit_code == 2


def test_shards_share_the_work(run: Run, folder: Path) -> None:
    first = walk(folder / "a.mp4")
    for name in "bcde":
        shutil.copy(first, folder / f"{name}.mp4")
    assert run("infer", folder, "--save", "npz", "--shard", "1/2").exit_code == 0
    assert names(folder)[-1] == "report.1-of-2.jsonl"
    done = [path.name[0] for path in folder.glob("*.npz")]
    assert sorted(done) == ["a", "c", "e"]
    assert run("infer", folder, "--save", "npz", "--shard", "2/2").exit_code == 0
    assert len(list(folder.glob("*.npz"))) == 5
    assert run("infer", folder, "--shard", "3/2").exit_code == 2


def test_a_report_with_a_torn_line_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    path.write_text('[1]\n{"input": "/a.mp4", "status": "fai')
    report = batch.Report(path)
    job = batch.Job(tmp_path / "b.mp4", {})
    report.append(job, batch.Outcome(batch.FAILED, "broken"), "x")
    assert json.loads(path.read_text().splitlines()[2])["reason"] == "broken"
    assert batch.Report(path).failure(job, "x") == "broken"
    assert batch.Report(path).failure(job, "y") is None


def test_the_longest_comes_first(tmp_path: Path) -> None:
    jobs = [
        batch.Job(write_clip(tmp_path / f"{frames}.mp4", frames=frames), {})
        for frames in (10, 60, 30)
    ]
    jobs.append(batch.Job(tmp_path / "none.mp4", {}))
    order = [job.source.stem for job in running.longest_first(jobs)]
    assert order == ["60", "30", "10", "none"]


def test_the_report_is_where_it_can_be_written(tmp_path: Path) -> None:
    def place(*sources: Path, **where: Path) -> Path:
        jobs = [batch.Job(source, {}) for source in sources]
        return default_path(jobs, where.get("output"), None)

    one, other = tmp_path / "x" / "a.mp4", tmp_path / "x" / "y" / "b.mp4"
    one.parent.mkdir()
    assert place(one, other) == tmp_path / "x" / "report.jsonl"
    assert place(one, other, output=tmp_path) == tmp_path / "report.jsonl"
    assert place(one, Path("/elsewhere/b.mp4")) == tmp_path / "x" / "report.jsonl"


def test_python_does_many(folder: Path, tmp_path: Path) -> None:
    walk(folder / "a.mp4")
    (folder / "b.mp4").write_text("no video " * 40)
    heard: list[str] = []

    class Ear(batch.Listener):
        def ended(self, job: batch.Job, outcome: batch.Outcome) -> None:
            heard.append(outcome.status)

    models = {"detector": find_squares, "lifter": upright}
    results = pose3d.infer_many(folder, tmp_path / "out", listener=Ear(), **models)  # type: ignore[arg-type]
    assert [(job.source.name, o.status) for job, o in results] == [
        ("a.mp4", "done"),
        ("b.mp4", "failed"),
    ]
    assert heard == ["done", "failed"]
    assert results[0][1].written == (tmp_path / "out" / "a.pose3d.npz",)
    again = pose3d.infer_many([folder], tmp_path / "out", **models)  # type: ignore[arg-type]
    assert [outcome.status for _, outcome in again] == ["skipped", "failed"]
    with pytest.raises(UsageError, match="'xls' is no format"):
        pose3d.infer_many(folder, save=["xls"])


def test_events_have_a_line_each_in_the_log(run: Run, folder: Path, tmp_path: Path) -> None:
    walk(folder / "a.mp4")
    (folder / "b.mp4").write_text("no video " * 40)
    log = tmp_path / "logs" / "night.log"
    result = run("infer", folder, "--save", "npz", "--log-file", log)
    assert result.exit_code == 1
    text = log.read_text()
    assert " INFO started " in text
    assert f"INFO done {folder / 'a.mp4'} in " in text
    assert f"INFO failed {folder / 'b.mp4'}: " in text
    assert text.splitlines()[0][:2] == "20", "every line begins with its time"
    assert "INFO" not in result.output
    logging.getLogger("pose3d").info("after the command nobody listens")
    assert "nobody listens" not in log.read_text()
