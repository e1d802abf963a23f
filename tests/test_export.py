"""What is written can be read again."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from performers import lost, performance

from pose3d import export
from pose3d.errors import PoseError, UsageError
from pose3d.export import json_file
from pose3d.export.json_file import write_picture
from pose3d.sequence import Keypoints2D, People, Person, Pose3D, Recording


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


def test_json_of_everything_is_nested_as_numpy_nests(tmp_path: Path) -> None:
    recording = performance(9)
    path = tmp_path / "walk.json"
    export.write(recording, path)
    read = json.loads(path.read_text())["people"][1]
    pose = recording.people[1].pose
    assert pose is not None
    assert pose.root is not None
    for name, array in (
        ("joints_world", pose.world),
        ("root", pose.root),
        ("keypoints_2d", recording.people[1].keypoints.keypoints),
    ):
        assert np.shape(read[name]) == np.shape(array)
        np.testing.assert_allclose(np.array(read[name], float), array, atol=0.0051)
    assert read["contact"] == [[False, False]] * 6


@pytest.mark.parametrize("name", export.FORMATS)
def test_nobody(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"empty{export.FORMATS[name].suffix}"
    nobody = Recording({"steps": ["detect"], "source": {"name": "a.mp4", "size": [8, 6]}})
    if export.FORMATS[name].each:
        with pytest.raises(PoseError, match="nobody"):
            export.write(nobody, path)
        assert list(tmp_path.iterdir()) == []
        return
    assert path in export.write(nobody, path)
    assert path.exists()
    if name == "json":
        assert json.loads(path.read_text())["people"] == []
    if name == "npz":
        assert len(Recording.load(path)) == 0


@pytest.mark.parametrize("name", [n for n, form in export.FORMATS.items() if form.space])
def test_what_is_not_lifted_says_so(name: str, recording: Recording, tmp_path: Path) -> None:
    flat = recording.with_people(tuple(replace(p, pose=None) for p in recording.people))
    with pytest.raises(PoseError, match="pose3d lift"):
        export.write(flat, tmp_path / f"walk{export.FORMATS[name].suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", export.FORMATS)
def test_fifty_people_with_names_beyond_ascii(name: str, tmp_path: Path) -> None:
    one = performance(3)
    crowd = tuple(replace(one.people[0], id=n) for n in range(1, 51))
    path = tmp_path / f"Grüße 走る{export.FORMATS[name].suffix}"
    source = one.meta["source"] | {"name": "Grüße 走る.mp4"}
    written = export.write(one.with_people(crowd, source=source), path)
    assert path in written
    assert all(each.exists() for each in written)
    assert len(written) == {"csv": 2}.get(name, 50 if export.FORMATS[name].each else 1)


@pytest.mark.parametrize("name", export.FORMATS)
def test_a_single_frame(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"walk{export.FORMATS[name].suffix}"
    one = performance(3)
    person = one.people[0]
    keypoints = Keypoints2D(*(getattr(person.keypoints, f.name)[:1] for f in fields(Keypoints2D)))
    assert person.pose is not None
    assert person.pose.world is not None
    pose = Pose3D(person.pose.joints[:1], world=person.pose.world[:1])
    export.write(one.with_people((Person(1, keypoints, pose),)), path)
    assert path.exists()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", export.FORMATS)
def test_somebody_who_is_never_seen(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"walk{export.FORMATS[name].suffix}"
    recording = performance(12)
    seen, other = recording.people
    export.write(recording.with_people((seen, lost(other))), path)
    if name == "bvh":  # a skeleton must be somewhere
        with pytest.raises(PoseError, match="nobody has a pose"):
            export.write(recording.with_people((lost(other),)), tmp_path / "lost.bvh")
        assert [each.name for each in tmp_path.iterdir()] == ["walk.bvh"]
    else:
        assert path in export.write(recording.with_people((lost(other),)), path)


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
    with pytest.raises(UsageError, match=r"\.npz, \.json"):
        export.write(recording, tmp_path / "walk.docx")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "walk.json"
    path.write_text("old")

    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json_file, "lines", fails)
    with pytest.raises(PoseError, match="No space left"):
        export.write(recording, path)
    assert [p.name for p in tmp_path.iterdir()] == ["walk.json"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", export.FORMATS)
def test_a_full_disk_leaves_nothing_half_written(name: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="only Unix can limit the size of files")
    recording = performance(200)
    chance = np.random.default_rng(0)  # which cannot be compressed
    for person in recording.people:
        person.keypoints.keypoints[:] = chance.random(person.keypoints.keypoints.shape)
    path = tmp_path / f"walk{export.FORMATS[name].suffix}"
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = 200 if name == "openpose" else 10_000  # bytes of a file
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, usual[1]))
        with pytest.raises(PoseError, match=r"cannot be written: (File too large|only 10000 of)"):
            export.write(recording, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for form in export.FORMATS.values():
        with pytest.raises(PoseError, match="is a file"):
            export.write(performance(3), tmp_path / "file" / f"walk{form.suffix}")


def test_a_setting_that_means_nothing(recording: Recording, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="furlong"):
        export.write(recording, tmp_path / "walk.trc", unit="furlong")
    with pytest.raises(UsageError, match="diagonal"):
        export.write(recording, tmp_path / "walk.csv", layout="diagonal")
