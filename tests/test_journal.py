"""A run that ends in the middle goes on, and gives what an undisturbed one does."""

import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import find_squares
from numpy.typing import NDArray

from pose3d import journal, pipeline
from pose3d.errors import PoseError
from pose3d.journal import Journal
from pose3d.sequence import People, Recording
from pose3d.video import Video

Pictures = Sequence[NDArray[np.uint8]]


class Counting:
    """A detector that counts the pictures it saw, and breaks after some."""

    def __init__(self, until: int = 10**9) -> None:
        self.seen = 0
        self.until = until

    def __call__(self, pictures: Pictures) -> list[People]:
        if self.seen + len(pictures) > self.until:
            raise KeyboardInterrupt
        self.seen += len(pictures)
        return find_squares(pictures)


@pytest.fixture(autouse=True)
def _flush_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FLUSH_SECONDS", 0.0)


def same(one: Recording, other: Recording) -> bool:
    def arrays(recording: Recording) -> list[NDArray[np.generic]]:
        return [array for p in recording.people for array in vars(p.keypoints).values()]

    return one.meta == other.meta and all(
        a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
        for a, b in zip(arrays(one), arrays(other), strict=True)
    )


def detect(clip: Path, detector: Counting, notes: Path | None, size: int = 4) -> Recording:
    return pipeline.detect(clip, detector=detector, journal=notes, batch_size=size)


@pytest.mark.parametrize("size", [4, 7])
def test_a_run_goes_on_where_it_was_killed(clip: Path, tmp_path: Path, size: int) -> None:
    notes = tmp_path / "walk.pose3d.journal"
    undisturbed = detect(clip, Counting(), None, size)
    with pytest.raises(KeyboardInterrupt):
        detect(clip, Counting(until=18), notes)
    rest = Counting()
    assert same(detect(clip, rest, notes, size), undisturbed)
    assert rest.seen == 30 - 16 // size * size, "a batch is seen whole or not at all"
    again = Counting()
    assert same(detect(clip, again, notes, size), undisturbed)
    assert again.seen == 0


def test_every_torn_or_damaged_end_is_dropped(clip: Path, tmp_path: Path) -> None:
    notes = tmp_path / "walk.pose3d.journal"
    undisturbed = detect(clip, Counting(), notes, 10)
    whole = notes.read_bytes()
    chance = np.random.default_rng(0)
    for cut in sorted(int(n) for n in chance.integers(0, len(whole), 12)):
        notes.write_bytes(whole[:cut])
        torn = Counting()
        assert same(detect(clip, torn, notes, 10), undisturbed)
        assert torn.seen % 10 == 0
        assert torn.seen > 0
        assert notes.read_bytes() == whole
        damaged = bytearray(whole)
        damaged[cut] ^= 1
        notes.write_bytes(damaged)
        assert same(detect(clip, Counting(), notes, 10), undisturbed)


def test_a_journal_of_other_options_is_not_used(clip: Path, tmp_path: Path) -> None:
    notes = tmp_path / "walk.pose3d.journal"
    detect(clip, Counting(), notes)
    other = Counting()
    pipeline.detect(clip, detector=other, journal=notes, batch_size=4, min_score=0.5)
    assert other.seen == 30


def test_two_runs_do_not_share_a_journal(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LOCK_SECONDS", 0.2)
    notes = tmp_path / "walk.pose3d.journal"
    frames = list(Video(clip))[:2]
    with Journal(notes, {}) as first:
        first.add(frames, find_squares([frame.image for frame in frames]))
        with pytest.raises(PoseError, match="another run"), Journal(notes, {}):
            pass


def test_frames_of_another_video_are_noticed(clip: Path, tmp_path: Path) -> None:
    notes = tmp_path / "walk.pose3d.journal"
    frames = list(Video(clip))[:4]
    with Journal(notes, {}) as first:
        first.add(frames[:2], [People.nobody()] * 2)
    with Journal(notes, {}) as second:
        assert second.frames == 2
        with pytest.raises(PoseError, match="another video"):
            second.recall(frames[2:])


def test_a_full_disk_is_said(clip: Path, tmp_path: Path) -> None:
    notes = tmp_path / "walk.pose3d.journal"
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, usual[1]))
        with pytest.raises(PoseError, match="journal cannot be written: File too large"):
            detect(clip, Counting(), notes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert same(detect(clip, Counting(), notes), detect(clip, Counting(), None))


def test_short_videos_have_none(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "FLUSH_SECONDS", 60.0)
    notes = tmp_path / "walk.pose3d.journal"
    detect(clip, Counting(), notes)
    assert not notes.exists()
