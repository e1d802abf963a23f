"""C3D, read by ezc3d."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from performers import performance, world_of

from pose3d import export
from pose3d.export.space import JOINTS

ezc3d = pytest.importorskip("ezc3d", reason="ezc3d is not installed")

TENTH_OF_A_MILLIMETRE = 0.1  # in the file's unit


def test_c3d_comes_back(tmp_path: Path) -> None:
    recording = performance()
    path = tmp_path / "walk.c3d"
    assert export.write(recording, path) == (path,)
    file = ezc3d.c3d(str(path))
    header, point = file["header"]["points"], file["parameters"]["POINT"]
    assert header["frame_rate"] == np.float32(30000 / 1001)
    assert point["RATE"]["value"][0] == np.float32(30000 / 1001)
    assert point["UNITS"]["value"] == ["mm"]
    assert (header["first_frame"], header["last_frame"]) == (0, 59)
    assert point["LABELS"]["value"] == [f"Person{n}:{joint}" for n in (1, 2) for joint in JOINTS]
    assert file["parameters"]["POSE3D"]["FRAME"]["value"] == ["world"]
    assert file["parameters"]["POSE3D"]["SOURCE"]["value"] == ["walk.mp4"]
    points = file["data"]["points"].transpose(2, 1, 0)  # (T, P, 4)
    residuals = file["data"]["meta_points"]["residuals"][0].T
    for n, person in enumerate(recording.people):
        own = slice(17 * n, 17 * n + 17)
        expected = np.full((60, 17, 3), np.nan)
        expected[person.keypoints.frame] = world_of(recording, n) * 1000
        np.testing.assert_allclose(points[:, own, :3], expected, atol=TENTH_OF_A_MILLIMETRE, rtol=0)
        missing = np.isnan(expected[..., 0])
        np.testing.assert_array_equal(residuals[:, own], np.where(missing, -1, 0))


def test_the_first_frame_tells_the_time(tmp_path: Path) -> None:
    recording = performance()
    late = recording.with_people(recording.people[1:])
    export.write(late, tmp_path / "walk.c3d")
    file = ezc3d.c3d(str(tmp_path / "walk.c3d"))
    assert file["header"]["points"]["first_frame"] == recording.people[1].keypoints.frame[0]
    assert file["parameters"]["POINT"]["LABELS"]["value"] == list(JOINTS)


def test_an_hour_and_more_points_than_one_list_holds(tmp_path: Path) -> None:
    one = performance(70_000).people[0]
    recording = performance(3).with_people((one,))
    export.write(recording, tmp_path / "hour.c3d")
    file = ezc3d.c3d(str(tmp_path / "hour.c3d"))
    assert file["data"]["points"].shape == (4, 17, 70_000)
    last = file["data"]["points"][:3, :, -1].T / 1000
    np.testing.assert_allclose(last, one.pose.world[-1], atol=1e-4)  # type: ignore[union-attr,index]
    crowd = tuple(replace(performance(3).people[0], id=n) for n in range(1, 51))
    export.write(recording.with_people(crowd), tmp_path / "crowd.c3d")
    file = ezc3d.c3d(str(tmp_path / "crowd.c3d"))
    point = file["parameters"]["POINT"]
    labels = [label for n in ("", "2", "3", "4") for label in point[f"LABELS{n}"]["value"]]
    assert labels == [f"Person{n}:{joint}" for n in range(1, 51) for joint in JOINTS]
    assert file["data"]["points"].shape == (4, 850, 3)


def test_irregular_times_are_resampled_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="pose3d")  # whatever --quiet of another test left
    steps = np.where(np.arange(59) % 5 == 4, 2 / 30, 1 / 30)
    times = np.concatenate([[0.0], np.cumsum(steps)])
    recording = performance(times=times)
    export.write(recording, tmp_path / "walk.c3d")
    assert "30 frames/s" in caplog.text
    file = ezc3d.c3d(str(tmp_path / "walk.c3d"))
    assert file["parameters"]["POSE3D"]["RESAMPLED"]["value"][0] == 1
    points = file["data"]["points"].transpose(2, 1, 0)
    world = world_of(recording, 0) * 1000
    for joint in (0, 3, 13):
        for axis in range(3):
            expected = np.interp(np.arange(len(points)) / 30, times, world[:, joint, axis])
            np.testing.assert_allclose(points[:, joint, axis], expected, atol=TENTH_OF_A_MILLIMETRE)


def test_nobody_is_a_file_without_points(tmp_path: Path) -> None:
    export.write(performance(3).with_people(()), tmp_path / "nobody.c3d")
    file = ezc3d.c3d(str(tmp_path / "nobody.c3d"))
    assert file["data"]["points"].shape[1] == 0
