"""The stages in order, on squares that stand for people."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import find_squares, upright, write_clip
from numpy.typing import NDArray

from pose3d import pipeline
from pose3d.errors import PoseError, UsageError
from pose3d.frame import Stored
from pose3d.progress import Progress
from pose3d.sequence import People, Recording
from pose3d.video import Video, frames_for


def test_two_people_through_all_stages(clip: Path) -> None:
    skip = ("clean", "steady", "world")
    recording = pipeline.infer(clip, detector=find_squares, lifter=upright, skip=skip)
    assert [person.id for person in recording.people] == [1, 2]
    first, second = recording.people
    assert first.keypoints.found.all()
    np.testing.assert_array_equal(first.keypoints.frame, np.arange(30))
    np.testing.assert_allclose(first.keypoints.time, np.arange(30) / 30, atol=1e-9)
    lost = ~second.keypoints.found
    np.testing.assert_array_equal(np.flatnonzero(lost), np.arange(10, 20))
    assert np.isnan(second.keypoints.keypoints[lost]).all()
    assert (second.keypoints.score[lost] == 0).all()
    assert first.pose is not None
    across = first.pose.joints[:, 0, 0]
    assert across[-1] - across[0] == pytest.approx(3 * 29 / 160, abs=0.02)
    meta = recording.meta
    assert meta["steps"] == ["detect", "track", "scenes", "lift"]
    assert meta["source"]["size"] == [160, 120]
    assert meta["source"]["frames"] == 30
    assert meta["weights"]["detector"]["name"] == "function"
    assert meta["warnings"] == []


def test_the_file_gives_the_recording_back(clip: Path, tmp_path: Path) -> None:
    recording = pipeline.infer(clip, detector=find_squares, lifter=upright)
    recording.save(tmp_path / "walk.pose3d.npz")
    loaded = pipeline.load(tmp_path / "walk.pose3d.npz")
    assert loaded.meta == recording.meta
    for ours, theirs in zip(recording.people, loaded.people, strict=True):
        np.testing.assert_array_equal(ours.keypoints.keypoints, theirs.keypoints.keypoints)
        assert ours.pose is not None
        assert theirs.pose is not None
        np.testing.assert_array_equal(ours.pose.joints, theirs.pose.joints)


def test_a_range_keeps_index_and_time(clip: Path) -> None:
    recording = pipeline.detect(clip, detector=find_squares, start=0.5, end=0.8)
    keypoints = recording.people[0].keypoints
    np.testing.assert_array_equal(keypoints.frame, np.arange(15, 24))
    np.testing.assert_allclose(keypoints.time, np.arange(15, 24) / 30, atol=1e-9)
    assert recording.meta["options"]["start"] == 0.5


def test_batches_change_nothing(clip: Path) -> None:
    answers = [
        pipeline.detect(clip, detector=find_squares, batch_size=size).people for size in (1, 7, 64)
    ]
    for people in answers[1:]:
        for one, other in zip(answers[0], people, strict=True):
            np.testing.assert_array_equal(one.keypoints.keypoints, other.keypoints.keypoints)


def test_a_turned_video_is_worked_on_upright(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "plain.mp4", squares=(lambda n: (20 + 3 * n, 60),))
    turned = tmp_path / "phone.mp4"
    with av.open(str(path)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(-90)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    recording = pipeline.detect(turned, detector=find_squares)
    assert recording.meta["source"]["size"] == [120, 160]
    assert recording.meta["source"]["rotation"] == 90
    moved = recording.people[0].keypoints.keypoints[:, 0]
    moved = moved[-1] - moved[0]
    assert abs(moved[0]) < 4
    assert moved[1] == pytest.approx(3 * 29, abs=4)


def test_nobody_gives_an_empty_recording(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "empty.mp4")
    recording = pipeline.infer(path, detector=find_squares, lifter=upright)
    assert len(recording) == 0
    recording.save(tmp_path / "empty.pose3d.npz")
    assert len(Recording.load(tmp_path / "empty.pose3d.npz")) == 0


def test_one_frame_is_no_motion(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "one.mp4", frames=1, squares=(lambda n: (80, 60),))
    with pytest.raises(PoseError, match="1 frame to use"):
        pipeline.detect(path, detector=find_squares)


def test_a_broken_end_is_told(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "cut.mkv", frames=60, squares=(lambda n: (20 + n, 60),))
    content = path.read_bytes()
    path.write_bytes(content[: int(0.8 * len(content))])
    recording = pipeline.detect(path, detector=find_squares)
    assert "breaks off" in recording.meta["warnings"][0]
    assert 20 < recording.meta["source"]["frames"] < 60
    assert recording.people[0].keypoints.found.all()


def test_a_detector_that_fails_ends_the_decoding(clip: Path) -> None:
    def broken(pictures: Sequence[NDArray[np.uint8]]) -> list[People]:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        pipeline.detect(clip, detector=broken, batch_size=1)
    assert not [t for t in threading.enumerate() if t.name == "read_ahead"]


def test_stages_are_timed_and_counted(clip: Path) -> None:
    progress = Progress()
    pipeline.infer(clip, detector=find_squares, lifter=upright, progress=progress)
    assert {"load", "decode", "detect", "track", "lift"} <= progress.seconds.keys()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"colour": "red"}, "no option 'colour'"),
        ({"people": "nobody"}, "all, main or a number"),
        ({"start": 2.0, "end": 1.0}, "nothing lies between"),
        ({"batch_size": 0}, "1 or more"),
        ({"min_track": -1.0}, "0 or more"),
        ({"skip": ("dance",)}, "no step to skip"),
    ],
)
def test_options_that_mean_nothing(clip: Path, options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        pipeline.detect(clip, detector=find_squares, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fov": 1.0}, "sees 1 degrees"),
        ({"focal_length": 2.0}, "fits no picture"),
        ({"fov": 60.0, "camera": "a.toml"}, "say the same"),
        ({"camera_up": "left"}, "X,Y,Z"),
        ({"height": "30m"}, "nobody is 30m tall"),
    ],
)
def test_a_world_that_cannot_be(clip: Path, options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        pipeline.infer(clip, detector=find_squares, lifter=upright, **options)


def test_a_recording_that_does_not_say_the_pictures_size_is_not_lifted(clip: Path) -> None:
    seen = pipeline.detect(clip, detector=find_squares)
    source = {name: value for name, value in seen.meta["source"].items() if name != "size"}
    with pytest.raises(PoseError, match="how large the pictures are"):
        pipeline.lift(replace(seen, meta=seen.meta | {"source": source}), lifter=upright)


def test_one_person_is_kept_by_id(clip: Path) -> None:
    (second,) = pipeline.detect(clip, detector=find_squares, person=2).people
    assert second.id == 2
    with pytest.raises(PoseError, match="no person 3: there are 1, 2"):
        pipeline.detect(clip, detector=find_squares, person=3)


def test_who_is_seen_too_briefly_is_left_out(tmp_path: Path) -> None:
    squares = (lambda n: (20 + n, 60), lambda n: (130, 30) if n < 20 else None)
    path = write_clip(tmp_path / "walk.mp4", frames=60, squares=squares)
    assert len(pipeline.detect(path, detector=find_squares, min_track=0.9)) == 1
    assert len(pipeline.detect(path, detector=find_squares, min_track=0.5)) == 2


def test_people_to_keep(clip: Path) -> None:
    for people, kept in (("all", 2), ("main", 1), (1, 1), (5, 2)):
        assert len(pipeline.detect(clip, detector=find_squares, people=people)) == kept


def test_gpus_get_pictures_as_they_are_decoded(clip: Path) -> None:
    video = Video(clip)
    here = list(frames_for(video, "cpu", "gpu"))
    there = list(frames_for(video, "cuda:0", "cpu"))
    assert all(isinstance(frame.picture, np.ndarray) for frame in here)
    assert all(isinstance(frame.picture, Stored) for frame in there)
    for one, other in zip(here, there, strict=True):
        assert (one.index, one.time) == (other.index, other.time)
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize(("skip", "people"), [((), 2), (("scenes",), 1)])
def test_cuts_can_be_left_out_of_account(
    clip: Path, monkeypatch: pytest.MonkeyPatch, skip: tuple[str, ...], people: int
) -> None:
    monkeypatch.setattr("pose3d.watch.Watch._is_cut", cuts_at(15))
    recording = pipeline.detect(clip, detector=find_squares, skip=skip, min_track=0.4, people=9)
    there = [person for person in recording.people if person.keypoints.box[0, 0] < 80]
    assert len(there) == people
    assert len(recording.meta["scenes"]) == (0 if skip else 2)


def cuts_at(frame: int) -> Callable[..., bool]:
    """Sees a cut at the frame of that number."""
    numbers = count()
    return lambda _watch, _grey: next(numbers) == frame
