"""What is written can be read again."""

import json
from pathlib import Path

import numpy as np
import pytest

from pose3d import export
from pose3d.errors import PoseError, UsageError
from pose3d.export.json_file import write_picture
from pose3d.sequence import People, Recording


def test_json_holds_what_npz_holds(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "walk.pose3d.json"
    export.write(recording, path)
    content = json.loads(path.read_text(), parse_constant=pytest.fail)  # no NaN in JSON
    assert content["meta"] == recording.meta
    assert len(content["keypoint_names"]) == len(content["joint_names"]) == 17
    for read, person in zip(content["people"], recording.people, strict=True):
        assert read["id"] == person.id
        assert read["frame"] == person.keypoints.frame.tolist()
        assert person.pose is not None
        for name, array, tolerance in (
            ("time", person.keypoints.time, 1e-6),
            ("box", person.keypoints.box, 0.005),
            ("keypoints_2d", person.keypoints.keypoints, 0.005),
            ("score_2d", person.keypoints.score, 0.0005),
            ("joints_3d", person.pose.joints, 0.00005),
        ):
            back = np.array(read[name], float)  # None becomes NaN
            np.testing.assert_allclose(back, array, atol=1.01 * tolerance, rtol=1e-6)
        assert "root" not in read


def test_npz_comes_back_equal(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "walk.pose3d.npz"
    export.write(recording, path)
    again = Recording.load(path)
    assert {**again.meta} == {"schema": 1, **recording.meta}
    for a, b in zip(again.people, recording.people, strict=True):
        assert a.pose is not None
        assert b.pose is not None
        np.testing.assert_array_equal(a.keypoints.keypoints, b.keypoints.keypoints)
        np.testing.assert_array_equal(a.keypoints.time, b.keypoints.time)
        np.testing.assert_array_equal(a.pose.joints, b.pose.joints)


@pytest.mark.parametrize("name", export.FORMATS)
def test_nobody_is_a_valid_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"empty.{name}"
    export.write(Recording({"steps": ["detect"]}), path)
    if name == "json":
        assert json.loads(path.read_text())["people"] == []
    else:
        assert len(Recording.load(path)) == 0


def test_a_picture(tmp_path: Path) -> None:
    from conftest import people

    path = tmp_path / "picture.json"
    write_picture(people([(50, 50, 80)], score=0.75), {"source": {"name": "a.jpg"}}, path)
    (person,) = json.loads(path.read_text())["people"]
    assert person["score"] == 0.75
    assert np.shape(person["keypoints_2d"]) == (17, 2)
    write_picture(People.nobody(), {}, path)
    assert json.loads(path.read_text())["people"] == []


def test_an_unknown_format_is_named(recording: Recording, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="npz, json"):
        export.write(recording, tmp_path / "walk.docx")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "walk.json"
    path.write_text("old")

    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dumps", fails)
    with pytest.raises(PoseError, match="No space left"):
        export.write(recording, path)
    assert [p.name for p in tmp_path.iterdir()] == ["walk.json"]
    assert path.read_text() == "old"
