"""C3D, read by a package of the same name that has nothing to do with ezc3d, which writes it."""

import builtins
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from performers import performance, world_of

from pose3d import export
from pose3d.errors import PoseError
from pose3d.export.space import JOINTS

c3d = pytest.importorskip("c3d", reason="c3d is not installed")
pytest.importorskip("ezc3d", reason="ezc3d is not installed: it has no wheels for Linux on ARM")
pytestmark = pytest.mark.filterwarnings("ignore:No (analog|point) data found")

TENTH_OF_A_MILLIMETRE = 0.1  # in the file's unit


@dataclass(frozen=True)
class Markers:
    """What a file holds: (T, P, 3) points, NaN where the (T, P) residuals say that one is not."""

    reader: Any
    points: NDArray[np.float64]
    residuals: NDArray[np.float64]

    @classmethod
    def read(cls, path: Path) -> "Markers":
        with open(path, "rb") as file:
            reader = c3d.Reader(file)
            found = [points for _, points, _ in reader.read_frames()]
        frames = np.array(found, float).reshape(len(found), reader.point_used, 5)
        points, residuals = frames[..., :3], frames[..., 3]
        return cls(reader, np.where(residuals[..., None] < 0, np.nan, points), residuals)

    def text(self, name: str) -> str:
        return str(self.reader.get(name).string_value).strip()

    @property
    def labels(self) -> list[str]:
        names = [f"POINT:LABELS{n}" for n in ("", "2", "3", "4")]
        lists = [found.string_array for name in names if (found := self.reader.get(name))]
        return [label.strip() for labels in lists for label in labels]


def test_c3d_comes_back(tmp_path: Path) -> None:
    recording = performance()
    path = tmp_path / "walk.c3d"
    assert export.write(recording, path) == (path,)
    file = Markers.read(path)
    assert file.reader.header.frame_rate == np.float32(30000 / 1001)
    assert file.reader.point_rate == np.float32(30000 / 1001)
    assert file.text("POINT:UNITS") == "mm"
    assert (file.reader.first_frame, file.reader.last_frame) == (1, 60)
    assert file.labels == [f"Person{n}:{joint}" for n in (1, 2) for joint in JOINTS]
    assert file.text("POSE3D:FRAME") == "world"
    assert file.text("POSE3D:SOURCE") == "walk.mp4"
    for n, person in enumerate(recording.people):
        own = slice(17 * n, 17 * n + 17)
        expected = np.full((60, 17, 3), np.nan)
        expected[person.keypoints.frame] = world_of(recording, n) * 1000
        np.testing.assert_allclose(
            file.points[:, own], expected, atol=TENTH_OF_A_MILLIMETRE, rtol=0
        )
        missing = np.isnan(expected[..., 0])
        np.testing.assert_array_equal(file.residuals[:, own], np.where(missing, -1, 0))


def test_a_single_frame(tmp_path: Path) -> None:
    recording = performance(1)
    recording = recording.with_people(recording.people[:1])
    export.write(recording, tmp_path / "moment.c3d")
    file = Markers.read(tmp_path / "moment.c3d")
    assert (file.reader.first_frame, file.reader.last_frame) == (1, 1)
    np.testing.assert_allclose(
        file.points, world_of(recording, 0) * 1000, atol=TENTH_OF_A_MILLIMETRE, rtol=0
    )


def test_the_first_frame_tells_the_time(tmp_path: Path) -> None:
    recording = performance()
    late = recording.with_people(recording.people[1:])
    export.write(late, tmp_path / "walk.c3d")
    file = Markers.read(tmp_path / "walk.c3d")
    first = recording.people[1].keypoints.frame[0] + 1
    assert (file.reader.first_frame, file.reader.last_frame) == (first, 60)
    assert file.reader.header.first_frame == first
    assert file.labels == list(JOINTS)


def test_an_hour(tmp_path: Path) -> None:
    one = performance(70_000).people[0]
    export.write(performance(3).with_people((one,)), tmp_path / "hour.c3d")
    file = Markers.read(tmp_path / "hour.c3d")
    assert file.points.shape == (70_000, 17, 3)
    assert (file.reader.first_frame, file.reader.last_frame) == (1, 70_000)
    last = file.points[-1] / 1000
    np.testing.assert_allclose(last, one.pose.world[-1], atol=1e-4)  # type: ignore[union-attr,index]


@pytest.mark.filterwarnings("ignore:reached end of file")  # where it thinks the first one is
def test_late_in_a_day(tmp_path: Path) -> None:
    one = performance(70_000).people[0]
    end = {name: array[-9:] for name, array in vars(one.keypoints).items()}
    assert one.pose is not None
    pose = {name: array[-9:] for name, array in vars(one.pose).items()}
    late = replace(one, keypoints=type(one.keypoints)(**end), pose=type(one.pose)(**pose))
    export.write(performance(3).with_people((late,)), tmp_path / "late.c3d")
    file = Markers.read(tmp_path / "late.c3d")
    for name, frame in (("START", 69_992), ("END", 70_000)):
        words = file.reader.get(f"TRIAL:ACTUAL_{name}_FIELD").uint16_array
        assert words.tolist() == [frame % 65536, frame // 65536]
    np.testing.assert_allclose(
        file.points / 1000, pose["world"], atol=TENTH_OF_A_MILLIMETRE / 1000, rtol=0
    )


def test_more_points_than_one_list_of_names_holds(tmp_path: Path) -> None:
    recording = performance(3)
    crowd = tuple(replace(recording.people[0], id=n) for n in range(1, 51))
    export.write(recording.with_people(crowd), tmp_path / "crowd.c3d")
    file = Markers.read(tmp_path / "crowd.c3d")
    assert file.labels == [f"Person{n}:{joint}" for n in range(1, 51) for joint in JOINTS]
    assert file.points.shape == (3, 850, 3)


def test_irregular_times_are_resampled_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="pose3d")  # whatever --quiet of another test left
    steps = np.where(np.arange(59) % 5 == 4, 2 / 30, 1 / 30)
    times = np.concatenate([[0.0], np.cumsum(steps)])
    recording = performance(times=times)
    export.write(recording, tmp_path / "walk.c3d")
    assert "30 frames/s" in caplog.text
    file = Markers.read(tmp_path / "walk.c3d")
    assert file.reader.get("POSE3D:RESAMPLED").int16_value == 1
    world = world_of(recording, 0) * 1000
    for joint in (0, 3, 13):
        for axis in range(3):
            expected = np.interp(np.arange(len(file.points)) / 30, times, world[:, joint, axis])
            np.testing.assert_allclose(
                file.points[:, joint, axis], expected, atol=TENTH_OF_A_MILLIMETRE
            )


def test_nobody_is_a_file_without_points(tmp_path: Path) -> None:
    export.write(performance(3).with_people(()), tmp_path / "nobody.c3d")
    file = Markers.read(tmp_path / "nobody.c3d")
    assert file.reader.point_used == 0
    assert file.labels == []


@pytest.mark.parametrize("name", ["Grüße 走る.mp4", "走" * 100 + ".mp4", ""])
def test_any_name_of_a_video(name: str, tmp_path: Path) -> None:
    recording = performance(3)
    recording = recording.with_people(
        recording.people, source=recording.meta["source"] | {"name": name}
    )
    export.write(recording, tmp_path / "walk.C3D")  # some programs' suffix is in capitals
    assert [path.name for path in tmp_path.iterdir()] == ["walk.C3D"]
    file = Markers.read(tmp_path / "walk.C3D")
    assert file.points.shape == (3, 34, 3)
    if name:
        said = file.text("POSE3D:SOURCE")
        assert name.startswith(said)
        assert said == name or len(said.encode()) > 120


def test_without_ezc3d_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = builtins.__import__

    def lacking(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "ezc3d":
            raise ImportError(name)
        return usual(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(PoseError, match="pip install ezc3d"):
        export.write(performance(3), tmp_path / "walk.c3d")
    assert list(tmp_path.iterdir()) == []
