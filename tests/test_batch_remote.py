"""Results that go to a store."""

import json
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from click.testing import Result
from conftest import find_squares, upright
from test_cli import folder, names, run, walk

import pose3d
from pose3d import batch
from pose3d.batch.remote import placed
from pose3d.errors import PoseError, UsageError
from pose3d.files import address_of
from pose3d.sequence import Recording

Run = Callable[..., Result]
__all__ = ["folder", "run"]  # fixtures


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty store."""
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path / "cache"))
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield store
    store.store.clear()


def many(folder: Path, **options: Any) -> dict[str, batch.Outcome]:
    options = {"detector": find_squares, "lifter": upright} | options
    results = pose3d.infer_many(folder, "memory://bucket/out", **options)
    return {job.source.name: outcome for job, outcome in results}


def test_addresses_are_known_from_paths() -> None:
    assert address_of(Path("s3://bucket/out")) == "s3://bucket/out"
    assert address_of(Path("memory://out") / "a.npz") == "memory://out/a.npz"
    assert address_of(Path("file:///srv/out")) == "file:///srv/out"
    for local in ("out", "/srv/out", "C:/out", "a:b/out", "x/s3:/out"):
        assert address_of(Path(local)) is None, local


def test_results_are_put_and_found_again(memory: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "sub").mkdir()
    walk(folder / "a.mp4")
    walk(folder / "sub" / "b.mp4")
    (folder / "c.mp4").write_text("no video " * 40)
    first = many(folder, save=["npz", "csv", "openpose"])
    assert {name: o.status for name, o in first.items()} == {
        "a.mp4": "done", "b.mp4": "done", "c.mp4": "failed"
    }  # fmt: skip
    files = {name.removeprefix("/bucket/out/") for name in memory.store}
    assert {"a.pose3d.npz", "a.pose3d.csv", "sub/b.pose3d.npz", "sub/b.pose3d.csv"} <= files
    assert sum(name.startswith("a.pose3d.openpose/") for name in files) == 12
    assert not [name for name in files if "part" in name or "journal" in name]
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert names(folder) == ["a.mp4", "c.mp4", "report.jsonl", "sub"]
    lines = [json.loads(line) for line in (folder / "report.jsonl").read_text().splitlines()]
    assert lines[0]["outputs"][0] == "memory://bucket/out/a.pose3d.npz"
    (tmp_path / "a.npz").write_bytes(memory.cat("/bucket/out/a.pose3d.npz"))
    assert Recording.load(tmp_path / "a.npz").meta["source"]["frames"] == 12
    before = {name: memory.modified(name) for name in memory.store}
    again = many(folder, save=["npz", "csv", "openpose"])
    assert [o.status for o in again.values()] == ["skipped", "failed", "skipped"]
    assert {name: memory.modified(name) for name in memory.store} == before


def test_other_options_and_what_is_missing(memory: Any, folder: Path) -> None:
    walk(folder / "a.mp4")
    many(folder, save=["npz"])
    other = many(folder, save=["npz"], people="main")["a.mp4"]
    assert other.status == "different"
    assert "memory://bucket/out/a.pose3d.npz exists" in other.reason
    assert "people all, now main" in other.reason
    seen = []

    def counting(pictures: list[np.ndarray]) -> Any:
        seen.append(len(pictures))
        return find_squares(pictures)

    more = many(folder, save=["npz", "csv"], detector=counting)["a.mp4"]
    assert {path.suffix for path in more.written} == {".csv"}
    assert not seen, "the recording that is there is enough"
    assert many(folder, save=["npz"], people="main", overwrite=True)["a.mp4"].status == "done"
    with memory.open("/bucket/out/a.pose3d.npz", "wb") as file:
        file.write(b"no recording")
    damaged = many(folder, save=["npz"])["a.mp4"]
    assert damaged.status == "failed"
    assert "memory://bucket/out/a.pose3d.npz is not a recording" in damaged.reason


def test_without_a_recording_the_report_remembers(memory: Any, folder: Path) -> None:
    walk(folder / "a.mp4")
    walk(folder / "b.mp4")
    assert [o.status for o in many(folder, save=["csv"]).values()] == ["done", "done"]
    assert [o.status for o in many(folder, save=["csv"]).values()] == ["skipped", "skipped"]
    other = many(folder, save=["csv"], people="main")
    assert [o.status for o in other.values()] == ["different", "different"]


def test_the_command_line_takes_an_address(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSE3D_CACHE", str(tmp_path / "cache"))
    walk(folder / "a.mp4")
    walk(folder / "b.mp4")
    where = f"file://{tmp_path / 'out'}"
    todo = run("infer", folder, "-o", where, "--save", "npz", "--dry-run")
    assert f"{folder / 'a.mp4'} -> {where}/a.pose3d.npz" in todo.stdout
    first = run("infer", folder, "-o", where, "--save", "npz")
    assert first.exit_code == 0, first.output
    assert f"  {where}/a.pose3d.npz" in first.stdout
    assert names(tmp_path / "out") == ["a.pose3d.npz", "b.pose3d.npz"]
    work = placed(batch.Work(batch.infer, batch.Options()), Path(where))
    there = batch.Job(folder / "a.mp4", {"npz": Path(where) / "a.pose3d.npz"})
    for some in (work, pickle.loads(pickle.dumps(work))):  # as workers get it
        assert some.settled(there).status == "skipped"
    again = run("infer", folder, "-o", where, "--save", "npz")
    assert again.stdout.count("nothing to do") == 2
    assert not list((tmp_path / "cache").rglob("*.*"))
    recording = tmp_path / "out" / "a.pose3d.npz"
    for command, save in (("render", "html"), ("export", "csv"), ("lift", "npz")):
        other = run(command, recording, "-o", f"{where}2", "--save", save)
        assert other.exit_code == 1
        assert "only infer and detect write to stores" in other.stderr
    assert not (tmp_path / "out2").exists()
    assert run("infer", folder, "-o", "gopher://hole/out").exit_code == 2


def test_a_store_that_takes_nothing(
    memory: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk(folder / "a.mp4")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "put_file", refuse)
        outcome = many(folder)["a.mp4"]
    assert outcome.status == "failed"
    assert "memory://bucket/out/a.pose3d.npz cannot be written: Permission denied" in outcome.reason
    assert not memory.store
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert many(folder)["a.mp4"].status == "done"
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(PoseError, match="s3fs"):
        pose3d.infer_many(folder, "s3://bucket/out", detector=find_squares, lifter=upright)
    with pytest.raises(UsageError, match="gopher"):
        pose3d.infer_many(folder, "gopher://hole", detector=find_squares, lifter=upright)


def test_a_killed_run_goes_on_from_its_journal(
    memory: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pose3d.journal.FLUSH_SECONDS", 0.0)
    walk(folder / "a.mp4", frames=40)
    seen = 0

    class Detector:
        def __init__(self, until: int) -> None:
            self.until = until

        def __call__(self, pictures: list[np.ndarray]) -> Any:
            nonlocal seen
            seen += len(pictures)
            if seen > self.until:
                raise KeyboardInterrupt
            return find_squares(pictures)

    with pytest.raises(KeyboardInterrupt):
        many(folder, detector=Detector(16))
    assert [path.name for path in (tmp_path / "cache").rglob("*.journal")] == ["a.pose3d.journal"]
    seen = 0
    assert many(folder, detector=Detector(1000))["a.mp4"].status == "done"
    assert seen == 24
    assert not list((tmp_path / "cache").rglob("*.journal"))
