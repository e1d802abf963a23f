"""A long video over several workers: equal to a run in one piece."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import stand_ins
from conftest import upright, write_clip
from test_video import number, write

from pose3d import batch, pipeline, provenance
from pose3d.batch import devices, split
from pose3d.batch.run import Listener, one_by_one
from pose3d.batch.seats import Seat
from pose3d.journal import parts_of
from pose3d.options import Options
from pose3d.progress import Progress
from pose3d.sequence import Recording
from pose3d.video import Video


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small parts, and models that need no weights."""
    weights = tmp_path / "weights"
    weights.write_text("weights")
    monkeypatch.setattr(provenance, "find", lambda name, kind: weights)
    monkeypatch.setattr(pipeline, "loaded_detector", lambda options: stand_ins.Chunky())
    monkeypatch.setattr(pipeline, "loaded_lifter", lambda options: upright)
    monkeypatch.setattr(split, "search", stand_ins.search)
    monkeypatch.setattr(split, "LEAST", 16)
    monkeypatch.setattr(split, "PARTS", 2)


def places(count: int) -> list[Seat]:
    return [Seat(f"cpu.{n}", "cpu", 1) for n in range(1, count + 1)]


def job_of(video: Path) -> batch.Job:
    out = {"npz": video.with_suffix(".pose3d.npz")}
    return batch.Job(video, out, journal=video.with_suffix(".pose3d.journal"))


def same(one: Recording, other: Recording) -> bool:
    def arrays(recording: Recording) -> Iterator[np.ndarray]:
        for person in recording.people:
            yield from vars(person.keypoints).values()
            yield from (
                (a for a in vars(person.pose).values() if a is not None) if person.pose else ()
            )

    mine, theirs = list(arrays(one)), list(arrays(other))
    return (
        one.meta == other.meta
        and len(mine) == len(theirs) > 0
        and all(
            a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
            for a, b in zip(mine, theirs, strict=True)
        )
    )


WAYS = (
    lambda n: (10 + n, 60) if n < 140 else None,
    lambda n: None if 30 <= n < 45 else (130 - n / 2, 30),
)


def shared(video: Path, workers: int, **options: object) -> Recording:
    """Stage 1 of a video, shared by processes."""
    helpers = split.Helpers(places(workers))
    return helpers(job_of(video), Options(device="cpu", **options), Progress())  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [2, 4])
def test_a_split_video_is_the_same(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(devices, "LONG", 1.0)
    video = write_clip(tmp_path / "walk.mp4", frames=150, squares=WAYS)
    recording = pipeline.infer(video, device="cpu")
    recording.save(tmp_path / "whole.npz")
    work = batch.Work(batch.infer, Options())
    job = job_of(video)
    with caplog.at_level(logging.INFO):
        [(_, outcome)] = devices.on_devices([job], work, Listener(), "cpu", workers, None)
    assert outcome.status == "done", outcome.reason
    assert outcome.frames == 150
    assert len(recording) == 2
    assert same(Recording.load(job.outputs["npz"]), Recording.load(tmp_path / "whole.npz"))
    said = [record.getMessage() for record in caplog.records]
    assert not [text for text in said if "not split" in text]
    assert {text.split()[-1] for text in said if "from frame" in text} == {
        seat.name for seat in places(workers)
    }
    left = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("walk"))
    assert left == ["walk.mp4", "walk.pose3d.npz"]


def test_a_range_of_a_video_is_split_too(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "walk.mp4", frames=150, squares=WAYS)
    whole = pipeline.detect(video, device="cpu", start=0.9, end=4.3)
    assert same(shared(video, 2, start=0.9, end=4.3), whole)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("gop", ["open-gop=1:bframes=3", "bframes=0:intra-refresh=1"])
def test_parts_have_the_frames_of_the_whole(tmp_path: Path, suffix: str, gop: str) -> None:
    """Of variable rate, with groups of pictures that lean on others."""
    steps = np.random.default_rng(1).integers(200, 9000, 100)
    stamps = 5000 + np.cumsum(steps)
    path = write(tmp_path / f"clip{suffix}", stamps, Fraction(1, 90_000), **{"x264-params": gop})
    video = Video(path)
    whole = list(video)
    assert [f.index for f in whole] == list(range(100))
    np.testing.assert_array_equal(video.times(), [f.time for f in whole])
    parts = split.cut(job_of(path), video, {}, 16, 3)
    assert [part.first for part in parts] == [0, 32, 64, 96]
    frames = [frame for part in parts for frame in Video(path, part.start, part.end)]
    assert [(f.index, f.time) for f in frames] == [(f.index, f.time) for f in whole]
    assert [number(f.image) for f in frames] == list(range(100))
    for one, other in zip(frames, whole, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_pictures_that_differ_are_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = write_clip(tmp_path / "other.mp4", frames=100, squares=WAYS)
    whole = pipeline.detect(video, device="cpu")
    with caplog.at_level(logging.WARNING):
        recording = shared(video, 2)
    assert "not split" in caplog.text
    assert same(recording, whole)


def test_two_frames_of_one_time_stay_together(tmp_path: Path) -> None:
    times = np.arange(100) / 30
    times[48] = times[47]
    assert split.edges(times, 0, 99, 16) == [16, 32, 64, 80, 96]
    assert split.edges(times, 20, 70, 16) == [32, 64]


def test_a_worker_that_dies_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video = write_clip(tmp_path / "dies.mp4", frames=100, squares=WAYS)
    with caplog.at_level(logging.WARNING):
        recording = shared(video, 2)
    assert "killed by signal 9" in caplog.text
    assert "not split" not in caplog.text
    assert same(recording, pipeline.detect(video, device="cpu"))


def test_a_part_that_fails_is_the_videos_failure(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "fails.mp4", frames=100, squares=WAYS)
    job, work = job_of(video), batch.Work(batch.detect, Options())
    [(_, outcome)] = one_by_one([job], work.helped(split.Helpers(places(2))), Listener())
    assert outcome.status == "failed"
    assert "the detector is broken" in outcome.reason
    assert not job.outputs["npz"].exists()


def test_what_was_found_before_a_kill_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = write_clip(tmp_path / "walk.mp4", frames=100, squares=WAYS)
    whole = pipeline.detect(video, device="cpu")
    tracker, seen = pipeline.Tracker.update, []

    def killed(self: pipeline.Tracker, index: int, *rest: object) -> None:
        seen.append(index)
        if index == 90:
            raise KeyboardInterrupt
        tracker(self, index, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline.Tracker, "update", killed)
    with pytest.raises(KeyboardInterrupt):
        shared(video, 2)
    monkeypatch.setattr(pipeline.Tracker, "update", tracker)
    folder = parts_of(job_of(video).journal)
    assert len(list(folder.iterdir())) >= 3
    video.with_suffix(".mp4.broken").touch()  # nobody may look at a picture any more
    assert same(shared(video, 2), whole)


def test_short_videos_and_loaded_detectors_stay_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split.Helpers, "__call__", None)  # to be called would be an error
    video = write_clip(tmp_path / "walk.mp4", frames=40, squares=WAYS)
    work = batch.Work(batch.infer, Options())
    [(_, outcome)] = devices.on_devices([job_of(video)], work, Listener(), "cpu", 2, None)
    assert outcome.status == "done", outcome.reason
    monkeypatch.setattr(devices, "LONG", 1.0)
    monkeypatch.setattr(devices, "seats", lambda *_: places(2))
    [(_, outcome)] = devices.on_devices(
        [job_of(video)], replace(work, overwrite=True), Listener(), "cuda", None, None
    )
    assert outcome.status == "done", "one video is for one GPU, unless several are named"
    loaded = replace(work, overwrite=True, models={"detector": stand_ins.Chunky()})
    [(_, outcome)] = devices.on_devices([job_of(video)], loaded, Listener(), "cpu", 2, None)
    assert outcome.status == "done", outcome.reason
