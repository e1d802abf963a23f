"""CSV, TRC and MOT, read by rules of their own."""

import csv
import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from performers import performance, world_of

from pose3d import export
from pose3d.angles import angles
from pose3d.certainty import whole_scores
from pose3d.export.digits import as_text, before, lines
from pose3d.export.space import JOINTS
from pose3d.sequence import Pose3D, Recording

TENTH_OF_A_MILLIMETRE = 1e-4


def test_numbers_are_written_as_python_writes_them() -> None:
    chance = np.random.default_rng(0)
    numbers = np.concatenate(
        [[0, -0.0, 0.05, -0.05, 1, -1, 9.9999, 99.99999, 0.00004, -0.00004, 12345.6789],
         chance.normal(size=400) * 10.0 ** chance.integers(-6, 8, 400)]
    )  # fmt: skip
    for decimals in (0, 2, 5):
        got = lines(as_text(numbers, decimals)).decode().split("\n")[:-1]
        expected = [f"{number:.{decimals}f}" for number in numbers]
        assert [g for g, e in zip(got, expected, strict=True) if g != e and "-0" not in e] == []
        np.testing.assert_allclose(np.array(got, float), numbers, atol=0.500001 * 10.0**-decimals)


def test_missing_numbers_are_what_is_asked_for() -> None:
    numbers = np.array([[1.5, np.nan], [np.inf, -2.25]])
    assert lines(before(",", as_text(numbers, 2))) == b",1.50,\n,,-2.25\n"
    assert lines(before("\t", as_text(numbers, 1, "nan"))) == b"\t1.5\tnan\n\tnan\t-2.2\n"
    with pytest.raises(ValueError, match="too large"):
        as_text(np.array([1e15]), 5)


def cells(path: Path) -> tuple[list[str], list[list[str]]]:
    with open(path, encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    return head, rows


def number(text: str) -> float:
    return float(text) if text else np.nan


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_csv_comes_back(layout: str, tmp_path: Path) -> None:
    recording = performance()
    path = tmp_path / "walk.csv"
    assert export.write(recording, path, layout=layout) == (path, tmp_path / "walk.angles.csv")
    head, rows = cells(path)
    assert head[:3] == ["person", "frame", "time"]
    for n, person in enumerate(recording.people):
        own = [row for row in rows if row[0] == str(person.id)]
        if layout == "long":
            assert head[3:] == ["joint", "x", "y", "z", "score"]
            assert [row[3] for row in own] == list(JOINTS) * len(person.keypoints)
            table = np.array([[number(t) for t in row[4:]] for row in own]).reshape(-1, 17, 4)
            own = own[::17]
        else:
            assert head[3:8] == ["Hip_x", "Hip_y", "Hip_z", "Hip_score", "RHip_x"]
            table = np.array([[number(t) for t in row[3:]] for row in own]).reshape(-1, 17, 4)
        assert [int(row[1]) for row in own] == person.keypoints.frame.tolist()
        times = np.array([float(row[2]) for row in own])
        np.testing.assert_allclose(times, person.keypoints.time, atol=1e-6, rtol=0)
        world = world_of(recording, n)
        np.testing.assert_allclose(table[..., :3], world, atol=TENTH_OF_A_MILLIMETRE, rtol=0)
        score = person.keypoints.score
        np.testing.assert_allclose(table[:, 2, 3], score[:, 14], atol=0.00051)  # the right knee
        np.testing.assert_allclose(table[:, 0, 3], score[:, 11:13].mean(1), atol=0.00051)


def test_csv_of_angles(tmp_path: Path) -> None:
    recording = performance()
    _, path = export.write(recording, tmp_path / "walk.csv")
    head, rows = cells(path)
    for person in recording.people:
        assert person.pose is not None
        own = [row for row in rows if row[0] == str(person.id)]
        for name, values in angles(person.pose).items():
            column = head.index(name)
            read = np.array([number(row[column]) for row in own])
            np.testing.assert_allclose(read, values, atol=0.0001)
        certain = [number(row[head.index("score")]) for row in own]
        np.testing.assert_allclose(certain, whole_scores(person), atol=0.001)


def read_trc(path: Path) -> tuple[dict[str, str], list[str], NDArray[np.float64]]:
    """Header, markers and rows (T, 1 + 3 M), as OpenSim reads them.

    Its rules: eight facts of these names, a name in every third column, X1 Y1 Z1 X2... below, as
    many cells in every row as that makes, a tab at the end of a row not counting as a cell.
    """

    def split(line: str) -> list[str]:
        parts = line.split("\t")
        return parts[:-1] if not parts[-1] else parts

    first, keys, values, names, axes, blank, *rows = path.read_text("utf-8").split("\n")
    assert first.split("\t")[:3] == ["PathFileType", "4", "(X/Y/Z)"]
    assert first.split("\t")[3] == path.name
    assert keys.split("\t") == [
        "DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate",
        "OrigDataStartFrame", "OrigNumFrames",
    ]  # fmt: skip
    header = dict(zip(keys.split("\t"), values.split("\t"), strict=True))
    markers = [name for name in names.split("\t") if name]
    assert markers[:2] == ["Frame#", "Time"]
    count = int(header["NumMarkers"])
    assert len(markers) == count + 2
    expected = [f"{axis}{n}" for n in range(1, count + 1) for axis in "XYZ"]
    assert [axis for axis in axes.split("\t") if axis] == expected
    assert blank == ""
    assert rows.pop() == ""
    assert len(rows) == int(header["NumFrames"])
    table = [split(row) for row in rows]
    assert {len(row) for row in table} == {3 * count + 2}
    assert [int(row[0]) for row in table] == list(range(1, len(rows) + 1))
    numbers = np.array([[number(cell) for cell in row[1:]] for row in table])
    return header, markers[2:], numbers


@pytest.mark.parametrize(("unit", "size"), [("m", 1), ("cm", 100), ("mm", 1000)])
def test_trc_comes_back(unit: str, size: float, tmp_path: Path) -> None:
    recording = performance()
    files = export.write(recording, tmp_path / "walk.trc", unit=unit)
    assert [file.name for file in files] == ["walk.trc", "walk.2.trc"]
    for n, file in enumerate(files):
        header, markers, table = read_trc(file)
        assert header["Units"] == unit
        assert float(header["DataRate"]) == pytest.approx(30000 / 1001, rel=1e-8)
        assert markers == list(JOINTS)
        keypoints = recording.people[n].keypoints
        assert int(header["OrigDataStartFrame"]) == keypoints.frame[0] + 1
        np.testing.assert_allclose(table[:, 0], keypoints.time, atol=1e-6, rtol=0)
        joints = table[:, 1:].reshape(-1, 17, 3) / size
        np.testing.assert_allclose(
            joints, world_of(recording, n), atol=TENTH_OF_A_MILLIMETRE, rtol=0
        )
    assert np.isnan(joints[5:9]).all()  # missing, not at the origin
    assert np.isfinite(joints[9:]).all()


def test_trc_without_a_world_is_upright_in_front_of_the_camera(tmp_path: Path) -> None:
    recording = performance(9)
    pose = recording.people[0].pose
    assert pose is not None
    assert pose.root is not None
    for root in (pose.root, None):
        person = recording.people[0]
        alone = Recording(
            recording.meta,
            (type(person)(1, person.keypoints, Pose3D(pose.joints, root)),),
        )
        export.write(alone, tmp_path / "walk.trc")
        joints = read_trc(tmp_path / "walk.trc")[2][:, 1:].reshape(-1, 17, 3)
        camera = pose.joints + (0 if root is None else root[:, None])
        np.testing.assert_allclose(joints, camera * [1, -1, -1], atol=TENTH_OF_A_MILLIMETRE)
        assert (joints[:, 10, 1] > joints[:, 3, 1]).all()  # the head above the foot


def test_irregular_times_are_resampled_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="pose3d")  # whatever --quiet of another test left
    steps = np.where(np.arange(59) % 5 == 4, 2 / 30, 1 / 30)  # a phone that skips every fifth
    times = np.concatenate([[0.0], np.cumsum(steps)])
    recording = performance(times=times)
    person = recording.people[0]
    export.write(recording, tmp_path / "walk.trc")
    assert "30 frames/s" in caplog.text
    header, _, table = read_trc(tmp_path / "walk.trc")
    assert float(header["DataRate"]) == 30
    np.testing.assert_allclose(np.diff(table[:, 0]), 1 / 30, atol=1e-6)
    assert table[-1, 0] == pytest.approx(person.keypoints.time[-1], abs=1e-6)
    world = world_of(recording, 0).reshape(60, -1)
    for column in range(51):
        expected = np.interp(table[:, 0], times, world[:, column])
        np.testing.assert_allclose(table[:, 1 + column], expected, atol=TENTH_OF_A_MILLIMETRE)
    # A gap stays one, as long as it is between the frames around it.
    second = read_trc(tmp_path / "walk.2.trc")[2]
    seen = recording.people[1].keypoints.time
    inside = (second[:, 0] > seen[4] + 1e-4) & (second[:, 0] < seen[9] - 1e-4)
    np.testing.assert_array_equal(np.isnan(second[:, 1]), inside)


def test_milliseconds_of_a_container_are_a_constant_rate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="pose3d")
    times = np.round(np.arange(60) / 30, 3)
    recording = performance(fps=30, times=times)
    export.write(recording, tmp_path / "walk.trc")
    assert caplog.text == ""
    header, _, table = read_trc(tmp_path / "walk.trc")
    assert float(header["DataRate"]) == 30
    np.testing.assert_allclose(table[:, 0], times, atol=1e-6)
    joints = table[:, 1:].reshape(-1, 17, 3)
    np.testing.assert_allclose(joints, world_of(recording, 0), atol=TENTH_OF_A_MILLIMETRE)


def test_mot_comes_back(tmp_path: Path) -> None:
    recording = performance()
    files = export.write(recording, tmp_path / "walk.mot")
    assert [file.name for file in files] == ["walk.mot", "walk.2.mot"]
    for file, person in zip(files, recording.people, strict=True):
        head, _, body = file.read_text("utf-8").partition("endheader\n")
        names, *rows = body.removesuffix("\n").split("\n")
        facts = dict(line.split("=") for line in head.splitlines()[1:])
        assert facts["inDegrees"] == "yes"
        assert int(facts["nRows"]) == len(rows) == len(person.keypoints)
        columns = names.split("\t")
        assert int(facts["nColumns"]) == len(columns)
        table = np.array([row.split("\t") for row in rows], float)
        assert columns[0] == "time"
        np.testing.assert_allclose(table[:, 0], person.keypoints.time, atol=1e-6, rtol=0)
        assert person.pose is not None
        expected = angles(person.pose)
        assert columns[1:] == list(expected)
        for column, values in enumerate(expected.values(), 1):
            np.testing.assert_allclose(table[:, column], values, atol=1e-4)
