"""What is drawn is where it belongs, and when."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import people, write_clip
from numpy.typing import NDArray

from pose3d.errors import PoseError
from pose3d.look import Look
from pose3d.progress import Progress
from pose3d.render import draw_people, render_video, style
from pose3d.render.painter import Reel, panel_size
from pose3d.render.place import placed, rough_root
from pose3d.render.scene import Camera, Scene, extent
from pose3d.render.video import LIMITS
from pose3d.sequence import Keypoints2D, People, Person, Pose3D, Recording
from pose3d.skeleton import COCO, H36M
from pose3d.video import Video, VideoInfo

DATA = Path(__file__).resolve().parents[1] / "data"
VIDEO, TRUTH = DATA / "rendered_walk.mp4", DATA / "rendered_walk.truth.npz"
LEFT_KNEE, RIGHT_KNEE = COCO.index("left_knee"), COCO.index("right_knee")


@pytest.fixture(scope="module")
def truth() -> dict[str, np.ndarray]:
    with np.load(TRUTH, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def walk(truth: dict[str, np.ndarray], world: bool = False, frames: int = 240) -> Recording:
    """The rendered clip's truth as a recording."""
    time, joints = truth["time"][:frames], truth["joints_camera"][:frames]
    keypoints = Keypoints2D(
        np.arange(frames), time, truth["box"][:frames], truth["keypoints_2d"][:frames],
        np.ones((frames, 17), np.float32),
    )  # fmt: skip
    pose = Pose3D(joints - joints[:, :1], world=truth["joints_world"][:frames] if world else None)
    meta = {
        "source": {"name": VIDEO.name, "size": [1280, 720], "frames": frames},
        "options": {"start": None, "end": None if frames == 240 else float(time[-1] + 0.01)},
        "camera": {"K": truth["camera_matrix"].tolist()},
        "steps": ["detect", "track", "lift"],
    }
    return Recording(meta, (Person(1, keypoints, pose),))


def near(picture: NDArray[np.uint8], at: NDArray[np.floating], colour: style.Colour) -> bool:
    """Whether a colour is in the picture within 3 pixels of a place, give or take compression."""
    x, y = (int(v) for v in at)
    patch = picture[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4].astype(int)
    return bool((np.abs(patch - colour).max(-1) < 48).any())


def test_keypoints_are_drawn_where_they_are() -> None:
    picture = np.full((480, 640, 3), 90, np.uint8)
    found = people([(200, 240, 300), (450, 250, 200)])
    drawn = draw_people(picture, found)
    assert (picture == 90).all()
    for row in range(2):
        for joint in range(5, 17):
            colour = style.of_joint(COCO, joint, style.of_person(row + 1))
            assert near(drawn, found.keypoints[row, joint], colour), COCO.names[joint]
    for row in (0, 1):
        left, right = found.keypoints[row, LEFT_KNEE], found.keypoints[row, RIGHT_KNEE]
        assert not near(drawn, left, style.RIGHT)
        assert not near(drawn, right, style.LEFT)
    away = (drawn != 90).any(-1)
    away[:, 100:300] = away[:, 380:520] = False
    assert not away.any()


def test_doubtful_keypoints_are_faint_or_left_out() -> None:
    picture = np.full((480, 640, 3), 90, np.uint8)
    inked = {}
    for score in (0.9, 0.5, 0.2):
        drawn = draw_people(picture, people([(320, 240, 300)], score))
        lines = np.abs(drawn[150:].astype(int) - 90).max(-1) > 60
        inked[score] = lines.sum()
    assert inked[0.2] == 0
    assert 0 < inked[0.5] < 0.8 * inked[0.9]


def test_joints_that_were_not_seen_are_faint_in_space(truth: dict[str, np.ndarray]) -> None:
    [joints] = placed(walk(truth, world=True))
    scene = Scene([joints], (640, 480))
    empty = scene.draw([]).astype(int)
    unseen = np.zeros(17, bool)
    unseen[1:4] = True  # the right leg
    plain = np.abs(scene.draw([(1, joints[60])]) - empty).max(-1)
    faint = np.abs(scene.draw([(1, joints[60])], doubts={1: unseen}) - empty).max(-1)
    x, y, _ = scene.camera.seen(joints[60, 1:4]).mean(0).round().astype(int)
    around = np.s_[y - 40 : y + 40, x - 15 : x + 15]
    assert (faint[around] > 100).sum() < (plain[around] > 100).sum()
    np.testing.assert_array_equal(faint[: y - 100], plain[: y - 100])


def test_who_was_hidden_is_faint_in_videos(truth: dict[str, np.ndarray]) -> None:
    recording = walk(truth, world=True)
    [person] = recording.people
    score = person.keypoints.score.copy()
    score[60] = 0
    hidden = replace(person, keypoints=replace(person.keypoints, score=score))
    bright = []
    for shown in (person, hidden):
        reel = Reel(recording.with_people((shown,)), None, Look("3d", trail=False), LIMITS)
        [picture] = reel.pictures(Progress(), keep={60})
        bright.append((picture.image.max(-1) > 200).sum())
    assert bright[1] < 0.8 * bright[0]


@pytest.mark.parametrize("size", [(1, 1), (40, 30), (1080, 1920)])
def test_pictures_of_any_size_and_points_anywhere(size: tuple[int, int]) -> None:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    found = people([(5, 5, 100), (1e9, -1e9, 10), (np.nan, np.nan, 50)])
    assert draw_people(picture, found).shape == picture.shape
    assert (draw_people(picture, People.nobody()) == 0).all()


def test_the_rough_place_is_near_the_true_one(truth: dict[str, np.ndarray]) -> None:
    joints = truth["joints_camera"].astype(float)
    root = rough_root(
        joints - joints[:, :1], truth["keypoints_2d"], np.ones((240, 17)), truth["camera_matrix"]
    )
    assert np.abs(root[:, :2] - joints[:, 0, :2]).max() < 0.1
    assert np.abs(root[:, 2] - joints[:, 0, 2]).mean() < 0.1


def test_too_little_to_tell_a_place() -> None:
    nothing = np.full((3, 17, 3), np.nan)
    root = rough_root(nothing, np.full((3, 17, 2), np.nan), np.zeros((3, 17)), np.eye(3))
    assert np.isnan(root).all()


def test_people_stand_on_the_floor_beside_each_other(truth: dict[str, np.ndarray]) -> None:
    """The rough scene is the true one, but for where its middle is."""
    recording = walk(truth)
    joints = truth["joints_camera"] + np.float32([1.5, 0, 0])
    pixels = joints @ truth["camera_matrix"].T.astype(np.float32)
    first = recording.people[0]
    points = truth["keypoints_2d"].copy()
    points += (pixels[:, :1, :2] / pixels[:, :1, 2:]) - (
        (truth["joints_camera"] @ truth["camera_matrix"].T)[:, :1, :2]
        / truth["joints_camera"][:, :1, 2:]
    )
    second = Person(2, replace(first.keypoints, keypoints=points.astype(np.float32)), first.pose)
    one, two = placed(recording.with_people((first, second)))
    assert one is not None
    assert two is not None
    assert np.abs((two - one)[:, 0, 0] - 1.5).mean() < 0.2
    assert np.abs((two - one)[:, 0, 2]).mean() < 0.3
    feet = one[:, [3, 6], 1].min(1)
    assert feet.min() > -0.1
    assert 0 < np.median(feet) < 0.2
    travelled = truth["root_world"][-1] - truth["root_world"][0]
    seen = one[-1, 0] - one[0, 0]
    assert np.linalg.norm((seen - travelled)[[0, 2]]) < 0.4


def test_a_known_world_is_taken_as_it_is(truth: dict[str, np.ndarray]) -> None:
    [joints] = placed(walk(truth, world=True))
    np.testing.assert_array_equal(joints, truth["joints_world"])


def test_the_camera_sees_the_whole_box() -> None:
    low, high = np.array([-3.0, 0, -1]), np.array([1.0, 2, 4])
    camera = Camera.around(low, high, (960, 720))
    corners = np.stack(np.meshgrid(*np.stack([low, high], 1)), -1).reshape(-1, 3)
    seen = camera.seen(corners)
    assert (seen[:, :2] > 0).all()
    assert (seen[:, :2] < [960, 720]).all()
    assert np.ptp(seen[:, 0]) > 0.8 * 960 or np.ptp(seen[:, 1]) > 0.8 * 720
    up, right, near_ = camera.seen(np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]))
    origin = camera.seen(np.zeros(3))
    assert up[1] < origin[1]
    assert right[0] > origin[0]
    assert near_[2] < origin[2]
    assert np.isnan(camera.seen(-1e3 * camera.rotation[2])).all()


def test_outliers_and_nobody_leave_a_view() -> None:
    chance = np.random.default_rng(0)
    joints = chance.uniform(0, 2, (500, 17, 3))
    joints[3] = 1e4
    joints[5] = np.nan
    low, high = extent([joints])
    assert (np.abs(low) < 3).all()
    assert (high < 4).all()
    assert Scene([], (64, 48)).draw([]).shape == (48, 64, 3)
    assert Scene([joints], (64, 48)).draw([(1, joints[3]), (2, joints[5])]).shape == (48, 64, 3)


def test_limbs_in_space_are_drawn_where_the_camera_sees_them(truth: dict[str, np.ndarray]) -> None:
    joints = truth["joints_world"].astype(float)
    scene = Scene([joints], (960, 720))
    row = 220  # facing the camera
    drawn = scene.draw([(1, joints[row])])
    seen = scene.camera.seen(joints[row])
    for name, colour in (("LKnee", style.LEFT), ("RKnee", style.RIGHT), ("Spine", style.PEOPLE[0])):
        joint = H36M.index(name)
        parent = {"LKnee": "LAnkle", "RKnee": "RAnkle", "Spine": "Hip"}[name]
        middle = (seen[joint, :2] + seen[H36M.index(parent), :2]) / 2
        assert near(drawn, middle, colour), name
    # Who faces the camera has the left side at the right.
    assert seen[H36M.index("LHip"), 0] > seen[H36M.index("RHip"), 0]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1280, 720), (1280, 720)),
        ((1920, 1080), (1280, 720)),
        ((1080, 1920), (404, 720)),
        ((320, 240), (640, 480)),
        ((4000, 400), (1920, 192)),
        ((853, 481), (852, 480)),
    ],
)
def test_panels_can_be_read_and_encoded(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert panel_size(VideoInfo(*size, fps=30, rotation=0, frames=None), LIMITS) == expected


def test_a_rendered_video_has_the_sources_frames(
    truth: dict[str, np.ndarray], tmp_path: Path
) -> None:
    recording = walk(truth, frames=40)
    out = tmp_path / "out.mp4"
    heard = []

    class Ears(Progress):
        def advance(self, stage: str, done: int, total: int | None = None) -> None:
            heard.append((stage, done, total))

    render_video(recording, VIDEO, out, progress=Ears())
    assert heard == [("render", n, 40) for n in range(1, 41)]
    video = Video(out)
    frames = list(video)
    assert (video.info.width, video.info.height) == (1280 + 960, 720)
    np.testing.assert_allclose([f.time for f in frames], truth["time"][:40], atol=1e-5)
    source = list(Video(VIDEO, end=40 / 30 - 0.01))
    joints = placed(recording)[0]
    assert joints is not None
    scene = Scene([joints], (960, 720))
    for n in (0, 17, 39):
        picture = frames[n].image
        away = picture[:, :300].astype(int) - source[n].image[:, :300]
        assert np.abs(away).mean() < 8
        for joint, colour in ((LEFT_KNEE, style.LEFT), (RIGHT_KNEE, style.RIGHT)):
            assert near(picture, truth["keypoints_2d"][n, joint], colour)
        panel = scene.draw([(1, joints[n])]).astype(int)
        assert np.abs(picture[:, 1280:] - panel).mean() < 4


def test_people_are_drawn_only_while_they_are_there(tmp_path: Path, clip: Path) -> None:
    video = clip
    points = people([(80, 60, 80)])
    rows = 5

    def person(first: int) -> Person:
        frame = np.arange(first, first + rows)
        keypoints = np.repeat(points.keypoints, rows, 0)
        score, box = np.repeat(points.keypoint_scores, rows, 0), np.repeat(points.boxes, rows, 0)
        keypoints[2], score[2], box[2] = np.nan, 0, np.nan
        joints = np.full((rows, 17, 3), np.nan, np.float32)
        return Person(1, Keypoints2D(frame, frame / 30, box, keypoints, score), Pose3D(joints))

    meta = {
        "source": {"size": [160, 120], "frames": 30},
        "options": {"start": 0.2, "end": None},
        "camera": {"K": [[140, 0, 80], [0, 140, 60], [0, 0, 1]]},
        "steps": ["detect", "track", "lift"],
    }
    out = tmp_path / "out.mp4"
    render_video(Recording(meta, (person(10),)), video, out)
    frames = list(Video(out))
    assert len(frames) == 24  # from index 6 on
    at = points.keypoints[0, LEFT_KNEE] * 4
    drawn = [near(f.image, at, style.LEFT) for f in frames]
    assert [n + 6 for n, there in enumerate(drawn) if there] == [10, 11, 13, 14]


def test_keypoints_without_3d_and_nobody(tmp_path: Path, clip: Path) -> None:
    meta = {"source": {"size": [160, 120], "frames": 30}, "steps": ["detect", "track"]}
    out = tmp_path / "out.mp4"
    render_video(Recording(meta), clip, out)
    assert (Video(out).info.width, Video(out).info.height) == (640, 480)
    render_video(Recording(meta | {"steps": ["detect", "track", "lift"]}), clip, out)
    assert Video(out).info.width == 640 + 640


def test_another_video_is_noticed(tmp_path: Path, truth: dict[str, np.ndarray]) -> None:
    other = write_clip(tmp_path / "other.mp4", frames=3)
    with pytest.raises(PoseError, match="160x120, not 1280x720"):
        render_video(walk(truth), other, tmp_path / "out.mp4")
