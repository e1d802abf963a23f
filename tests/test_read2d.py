"""Keypoints of other tools: every format, what it lacks, and what must not be taken for it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from performers import SIZE, performance

from pose3d import export
from pose3d.errors import PoseError, UsageError
from pose3d.read2d import is_openpose, is_recording, read
from pose3d.read2d.joints import BODY_25, COCO_18, HALPE_26, MEDIAPIPE
from pose3d.sequence import Recording
from pose3d.skeleton import COCO

FPS = 25.0
FRAMES = 30
Points = NDArray[np.float64]


@pytest.fixture(scope="module")
def truth() -> Recording:
    """Two people who stay apart, the second from the tenth frame on and lost for a while."""
    return performance(FRAMES, fps=FPS)


def joints(recording: Recording, n: int, names: tuple[str, ...]) -> list[tuple[int, Points]]:
    """Frame, and x, y, score (K, 3) of joints with these names, for all in which somebody is.

    People stand side by side; what a set has beyond COCO's lies at (1, 1).
    """
    keypoints = recording.people[n].keypoints
    found = []
    for row in np.flatnonzero(keypoints.found):
        points = np.ones((len(names), 3))
        for at, name in enumerate(names):
            if name in COCO.names:
                own = COCO.index(name)
                points[at] = [*(keypoints.keypoints[row, own] + [400 * n, 0]),
                              keypoints.score[row, own]]  # fmt: skip
        found.append((int(keypoints.frame[row]), points))
    return found


def everyone(recording: Recording, names: tuple[str, ...]) -> list[tuple[int, int, Points]]:
    """Frame, person and points, frame by frame."""
    found = [(f, n, p) for n in (0, 1) for f, p in joints(recording, n, names)]
    return sorted(found, key=lambda each: each[:2])


def same(read: Recording, truth: Recording, without: tuple[str, ...] = ()) -> None:
    """Both people are back, keypoint by keypoint; but those that the format lacks are missing."""
    assert [person.id for person in read.people] == [1, 2]
    kept = [n for n, name in enumerate(COCO.names) if name not in without]
    gone = [n for n, name in enumerate(COCO.names) if name in without]
    order = sorted(read.people, key=lambda person: np.nanmean(person.keypoints.keypoints[..., 0]))
    for n, person in enumerate(order):
        expected = truth.people[n].keypoints
        keypoints = person.keypoints
        assert keypoints.frame.tolist() == expected.frame.tolist()
        np.testing.assert_allclose(keypoints.time, keypoints.frame / FPS, atol=1e-9)
        np.testing.assert_array_equal(keypoints.found, expected.found)
        place = expected.keypoints + np.float32([400 * n, 0])
        np.testing.assert_allclose(keypoints.keypoints[:, kept], place[:, kept], atol=0.01, rtol=0)
        np.testing.assert_allclose(keypoints.score[:, kept], expected.score[:, kept], atol=1e-3)
        assert np.isnan(keypoints.keypoints[:, gone]).all()
        assert (keypoints.score[:, gone] == 0).all()


def openpose(folder: Path, truth: Recording, names: tuple[str, ...], ids: bool = False) -> Path:
    folder.mkdir()
    seen = everyone(truth, names)
    for frame in range(FRAMES):
        people = [
            {"person_id": [n if ids else -1], "pose_keypoints_2d": points.ravel().tolist(),
             "face_keypoints_2d": []}
            for f, n, points in seen if f == frame
        ]  # fmt: skip
        path = folder / f"my clip 2_{frame:012d}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": people}))
    return folder


def alphapose(path: Path, truth: Recording, names: tuple[str, ...]) -> Path:
    content = [
        {"image_id": f"{f}.jpg", "category_id": 1, "keypoints": points.ravel().tolist(),
         "score": 2.9, "idx": 0 if names is HALPE_26 else n + 1, "box": [10.0, 20.0, 30.0, 40.0]}
        for f, n, points in everyone(truth, names)
    ]  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def coco(path: Path, truth: Recording) -> Path:
    content = [
        {"image_id": f, "category_id": 1, "keypoints": points.ravel().tolist(), "score": 0.9}
        for f, _, points in everyone(truth, COCO.names)
    ]
    path.write_text(json.dumps(content))
    return path


def mmpose(path: Path, truth: Recording, demo: bool) -> Path:
    frames, seen = [], everyone(truth, COCO.names)
    for frame in range(FRAMES):
        instances = [
            {"keypoints": points[:, :2].tolist(), "keypoint_scores": points[:, 2].tolist(),
             "bbox": [[0.0, 0.0, 90.0, 90.0]], "bbox_score": 0.9}
            for f, _, points in seen if f == frame
        ]  # fmt: skip
        frames.append({"frame_id": frame + demo, "instances": instances})
    about = {"keypoint_id2name": {str(n): name for n, name in enumerate(COCO.names)}}
    content: Any = {"meta_info": about, "instance_info": frames} if demo else frames
    path.write_text(json.dumps(content))
    return path


FORMS: dict[str, Callable[[Path, Recording], Path]] = {
    "openpose": lambda folder, truth: openpose(folder / "op", truth, BODY_25),
    "openpose with 18": lambda folder, truth: openpose(folder / "op", truth, COCO_18, True),
    "alphapose": lambda folder, truth: alphapose(folder / "a.json", truth, COCO.names),
    "alphapose with 26": lambda folder, truth: alphapose(folder / "a.json", truth, HALPE_26),
    "coco": lambda folder, truth: coco(folder / "c.json", truth),
    "mmpose": lambda folder, truth: mmpose(folder / "m.json", truth, False),
    "mmpose's demo": lambda folder, truth: mmpose(folder / "m.json", truth, True),
}


@pytest.mark.parametrize("form", FORMS)
def test_format_is_recognised_and_read(form: str, truth: Recording, tmp_path: Path) -> None:
    path = FORMS[form](tmp_path, truth)
    recording = read(path, fps=FPS, size=SIZE)
    same(recording, truth)
    source = recording.meta["source"]
    assert source["format"] == form.split()[0].removesuffix("'s")
    assert (source["size"], source["fps"], source["frames"]) == (list(SIZE), FPS, FRAMES)
    assert read(path, fps=FPS, size=SIZE, form=source["format"]).meta == recording.meta


@pytest.mark.parametrize("form", FORMS)
def test_what_a_file_does_not_say_is_named(form: str, truth: Recording, tmp_path: Path) -> None:
    path = FORMS[form](tmp_path, truth)
    with pytest.raises(PoseError, match=r"--fps 30.*--size 1920x1080"):
        read(path)
    with pytest.raises(PoseError, match="--size") as error:
        read(path, fps=25)
    assert "--fps" not in str(error.value)


def test_our_own_files_for_others_come_back(truth: Recording, tmp_path: Path) -> None:
    for form in ("openpose", "coco"):
        path = tmp_path / f"walk{export.FORMATS[form].suffix}"
        export.write(truth, path)
        back = read(path, fps=FPS, size=SIZE)
        for person, expected in zip(back.people, truth.people, strict=True):
            keypoints = person.keypoints
            np.testing.assert_array_equal(keypoints.frame, expected.keypoints.frame)
            np.testing.assert_allclose(
                keypoints.keypoints, expected.keypoints.keypoints, atol=0.001, rtol=0
            )
            np.testing.assert_allclose(keypoints.score, expected.keypoints.score, atol=1e-4)
    path = tmp_path / "walk.videopose3d.npz"
    export.write(truth, path)
    back = read(path)  # which says its size and rate
    assert back.meta["source"]["fps"] == FPS
    for person, expected in zip(back.people, truth.people, strict=True):
        found = expected.keypoints.found
        np.testing.assert_array_equal(person.keypoints.frame, expected.keypoints.frame)
        np.testing.assert_array_equal(
            person.keypoints.keypoints[found], expected.keypoints.keypoints[found]
        )


def test_annotations_of_coco(truth: Recording, tmp_path: Path) -> None:
    ids = np.random.default_rng(0).permutation(10**6)[:FRAMES].tolist()
    images = [
        {"id": ids[n], "file_name": f"{n:06d}.jpg", "width": 1280, "height": 720}
        for n in range(FRAMES)
    ]
    people = [
        {"image_id": ids[f], "keypoints": np.where(p > 0, p, 0).ravel().tolist(),
         "num_keypoints": 17, "category_id": 1}
        for f, _, p in everyone(truth, COCO.names)
    ]  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": images[::-1], "annotations": people, "categories": []}))
    recording = read(path, fps=FPS)
    assert recording.meta["source"]["size"] == [1280, 720]
    same(recording, truth)


def landmarks(truth: Recording) -> NDArray[np.float64]:
    """(T, 33, 4) of the first person, as shares of the picture."""
    points = np.full((FRAMES, len(MEDIAPIPE), 4), 0.5)
    for frame, values in joints(truth, 0, MEDIAPIPE):
        points[frame, :, :2], points[frame, :, 3] = values[:, :2] / SIZE, values[:, 2]
        points[frame, :, 2] = -0.1
    return points


def alone(recording: Recording, truth: Recording) -> None:
    (person,) = recording.people
    expected = truth.people[0].keypoints
    np.testing.assert_allclose(person.keypoints.keypoints, expected.keypoints, atol=0.01)
    np.testing.assert_allclose(person.keypoints.score, expected.score, atol=1e-3)
    np.testing.assert_allclose(person.keypoints.time, np.arange(FRAMES) / FPS, atol=1e-6)


@pytest.mark.parametrize("columns", ["names", "numbers from 0", "numbers from 1"])
def test_mediapipe_in_wide_tables(columns: str, truth: Recording, tmp_path: Path) -> None:
    points = landmarks(truth)
    path = tmp_path / "walk.csv"
    start = int(columns[-1]) if columns != "names" else 0
    labels = [
        f"{MEDIAPIPE[n].upper()}_{part}" if columns == "names" else f"{part[0]}{n + start}"
        for n in range(33)
        for part in ("x", "y", "z", "visibility")
    ]
    rows = [["frame", "timestamp_ms", *labels]]
    rows += [[n, 40 * n, *points[n].ravel()] for n in range(FRAMES)]  # type: ignore[list-item]
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n", "utf-8")
    alone(read(path, size=SIZE), truth)
    with pytest.raises(PoseError, match="shares of the picture"):
        read(path)


@pytest.mark.parametrize("names", [True, False])
def test_mediapipe_in_long_tables(names: bool, truth: Recording, tmp_path: Path) -> None:
    points = landmarks(truth)
    lines = ["frame,landmark,x,y,z,visibility"]
    lines += [
        ",".join(map(str, [frame, MEDIAPIPE[n] if names else n, *points[frame, n]]))
        for frame in range(FRAMES)
        for n in range(33)
    ]
    path = tmp_path / "walk.csv"
    path.write_text("\n".join(lines))
    alone(read(path, size=SIZE, fps=FPS), truth)
    path.write_text("\n".join([*lines, lines[-1]]))
    with pytest.raises(PoseError, match="several people"):
        read(path, size=SIZE, fps=FPS)


def test_mediapipe_in_arrays(truth: Recording, tmp_path: Path) -> None:
    points = landmarks(truth)
    path = tmp_path / "walk.npz"
    np.savez(path, pose=points)
    alone(read(path, size=SIZE, fps=FPS), truth)
    np.savez(path, pose=points[..., [0, 1, 3]])  # x, y, visibility
    alone(read(path, size=SIZE, fps=FPS), truth)
    np.savez(path, pose=points * [*SIZE, 1, 1])  # pixels
    alone(read(path, size=SIZE, fps=FPS), truth)
    np.savez(path, pose=points, world=points)
    with pytest.raises(PoseError, match=r"several arrays \(pose, world\)"):
        read(path, size=SIZE, fps=FPS)
    around = points - points[:, 23:25].mean(1, keepdims=True)
    np.savez(path, pose=around)
    with pytest.raises(PoseError, match="world landmarks"):
        read(path, size=SIZE, fps=FPS)


def videopose3d(path: Path, **changes: Any) -> Path:
    points = np.random.default_rng(0).uniform(100, 500, (9, 17, 2)).astype(np.float32)
    content: dict[str, Any] = {
        "layout_name": "coco",
        "positions": {"walk.mp4": {"custom": [points]}},
        "video_metadata": {"walk.mp4": {"w": 1280, "h": 720}},
    } | changes
    metadata = {
        "layout_name": content["layout_name"],
        "num_joints": 17,
        "keypoints_symmetry": [[1], [2]],
        "video_metadata": content["video_metadata"],
    }
    np.savez_compressed(
        path,
        positions_2d=np.array(content["positions"], object),
        metadata=np.array(metadata, object),
    )
    return path


def test_videopose3d(tmp_path: Path) -> None:
    path = videopose3d(tmp_path / "data_2d_custom_walk.npz")
    with pytest.raises(PoseError, match=r"--fps"):
        read(path)
    recording = read(path, fps=50)
    assert recording.meta["source"]["size"] == [1280, 720]
    (person,) = recording.people
    expected = np.random.default_rng(0).uniform(100, 500, (9, 17, 2)).astype(np.float32)
    np.testing.assert_array_equal(person.keypoints.keypoints, expected)
    recording = read(videopose3d(path, layout_name="h36m"), fps=50)
    keypoints = recording.people[0].keypoints
    np.testing.assert_array_equal(keypoints.keypoints[:, 16], expected[:, 3])  # right ankle
    np.testing.assert_array_equal(keypoints.keypoints[:, 9], expected[:, 13])  # left wrist
    assert np.isnan(keypoints.keypoints[:, 1:5]).all()  # it has no eyes and ears


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"positions": {"a.mp4": {}, "b.mp4": {}}}, "2 videos"),
        ({"layout_name": "cat"}, "layout"),
        ({"positions": {"walk.mp4": {"custom": [np.zeros((3, 5, 2))]}}}, "shape"),
        ({"positions": {"walk.mp4": {"custom": [np.zeros((3, 17, 2), int)]}}}, "no array"),
        ({"positions": {"walk.mp4": {"custom": [np.zeros((3, 17, 2))] * 2}}}, "several cameras"),
        ({"positions": [1, 2]}, "VideoPose3D|dictionary|several"),
    ],
)
def test_odd_files_of_videopose3d(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(PoseError, match=words):
        read(videopose3d(tmp_path / "walk.npz", **changes), fps=50)


class Bad:
    """What a pickle may do to who loads it."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("pwned"),))


def test_a_pickle_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for content in ({"walk.mp4": Bad()}, Bad()):
        with pytest.raises(PoseError, match="asks for"):
            read(videopose3d(tmp_path / "walk.npz", positions=content), fps=50)
    np.savez(tmp_path / "pose.npz", pose=np.array([Bad()], object))
    with pytest.raises(PoseError, match="objects"):
        read(tmp_path / "pose.npz", fps=50, size=SIZE)
    assert not (tmp_path / "pwned").exists()


def test_an_archive_that_would_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pose3d import limits
    from pose3d.read2d import json_files

    path = videopose3d(tmp_path / "walk.npz")
    monkeypatch.setattr(limits, "UNPACKED_BYTES", (1000, 1000))
    with pytest.raises(PoseError, match="unpack"):
        read(path, fps=50)
    np.savez_compressed(tmp_path / "pose.npz", pose=np.zeros((100, 33, 3)))
    with pytest.raises(PoseError, match="unpack"):
        read(tmp_path / "pose.npz", fps=50, size=SIZE)
    (tmp_path / "large.json").write_text("[" + " " * 2000 + "]")
    monkeypatch.setattr(json_files.load, "__defaults__", (1000,))
    with pytest.raises(PoseError, match="refused"):
        read(tmp_path / "large.json", fps=50, size=SIZE)


def entry(**changes: Any) -> dict[str, Any]:
    return {"image_id": 0, "category_id": 1, "keypoints": [1.0] * 51, "score": 1.0} | changes


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty, damaged, or not what"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1, 2]", "known way"),
        ("{}", "known way"),
        ([entry()], "one frame"),
        ([entry(), entry(image_id=10**9)], "frame's number"),
        ([entry(), entry(keypoints=[1.0] * 50)], "entry 1.*50 numbers"),
        ([entry(), entry(keypoints=[1.0] * 63)], "17 and 21"),
        ([entry(keypoints=[1.0] * 63)] * 2, "21 joints; known are 17"),
        ([entry(), entry(keypoints=["a"] * 51)], "no numbers"),
        ([entry(), entry(keypoints=None)], "keypoints is missing"),
        ([entry(), entry(image_id=None)], "missing or odd"),
        ([entry(), entry(image_id="cat.jpg")], "no frame's number"),
        ([entry(), entry(image_id=-5)], "frames from -5"),
        ([entry(), 7], "entry 1"),
        ([{"frame_id": 0, "instances": [{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1]}]}],
         "do not fit"),
        ([{"frame_id": 0, "instances": {}}], "instances"),
        ({"images": [], "annotations": 3}, "annotations"),
        ({"version": 1.3, "people": []}, "folder"),
    ],
)  # fmt: skip
def test_odd_json_is_refused_with_a_reason(content: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(PoseError, match=words) as error:
        read(path, fps=25, size=SIZE)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "columns that are known"),
        ("frame,landmark,x,y\n0,nose,1,two\n", "does not fit"),
        ("frame,landmark,x,y\n0,tail,1,2\n", "'tail' is none"),
        ("frame,landmark,x,y\n0,nose\n", "does not fit"),
        ("frame,x0,y0,x1,y1\n0,1,2,3,4\n", "33 landmarks"),
        ("\x00\xff", "columns that are known|no rows|no table"),
    ],
)
def test_odd_tables_are_refused_with_a_reason(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(text, "latin-1")
    with pytest.raises(PoseError, match=words):
        read(path, fps=25, size=SIZE)


def test_other_things(tmp_path: Path, truth: Recording) -> None:
    with pytest.raises(PoseError, match="no such file"):
        read(tmp_path / "nothing.json", fps=25, size=SIZE)
    with pytest.raises(PoseError, match=r"_keypoints\.json"):
        read(tmp_path, fps=25, size=SIZE)
    with pytest.raises(UsageError, match="kinect"):
        read(tmp_path, form="kinect")
    with pytest.raises(UsageError, match="frames a second"):
        read(tmp_path, fps=-1)
    path = coco(tmp_path / "c.json", truth)
    with pytest.raises(PoseError, match="known way"):
        read(path, fps=25, size=SIZE, form="videopose3d")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(PoseError, match="damaged"):
        read(tmp_path / "cut.npz", fps=25, size=SIZE)
    assert not is_openpose(tmp_path)
    truth.save(tmp_path / "walk.pose3d.npz")
    assert is_recording(tmp_path / "walk.pose3d.npz")
    assert not is_recording(videopose3d(tmp_path / "other.npz"))


def test_shares_of_the_picture_in_openpose(tmp_path: Path) -> None:
    person = {"person_id": [-1], "pose_keypoints_2d": [0.5] * 75}
    for frame in range(3):
        (tmp_path / f"{frame:012d}_keypoints.json").write_text(json.dumps({"people": [person]}))
    with pytest.raises(PoseError, match="--keypoint_scale 0"):
        read(tmp_path, fps=25, size=SIZE)


def test_a_pickle_bomb_of_references_is_cheap(tmp_path: Path) -> None:
    """Lists within lists, each twice in the next: exponential to walk, not to refuse."""
    bomb: Any = []
    for _ in range(60):
        bomb = [bomb, bomb]
    path = tmp_path / "walk.npz"
    with pytest.raises(PoseError, match="no array"):
        read(videopose3d(path, positions={"walk.mp4": {"custom": [bomb]}}), fps=50)
