"""The rendered clip's truth agrees with itself and with the video."""

from pathlib import Path

import numpy as np
import pytest

from pose3d.skeleton import H36M, H36M_PARENTS, SHARED_JOINTS

DATA = Path(__file__).resolve().parents[1] / "data"
VIDEO, TRUTH = DATA / "rendered_walk.mp4", DATA / "rendered_walk.truth.npz"
LEFT, RIGHT = H36M.index("LHip"), H36M.index("RHip")


@pytest.fixture(scope="module")
def truth() -> dict[str, np.ndarray]:
    with np.load(TRUTH, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_the_clip_is_small() -> None:
    assert VIDEO.stat().st_size + TRUTH.stat().st_size <= 1_000_000


def test_times_are_the_videos(truth: dict[str, np.ndarray]) -> None:
    av = pytest.importorskip("av")
    with av.open(str(VIDEO)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == tuple(truth["image_size"])
        times = [float(frame.pts * frame.time_base) for frame in container.decode(stream)]
    np.testing.assert_allclose(truth["time"], times, atol=1e-9)
    assert times[0] == 0


def test_camera_frame_is_the_world_seen(truth: dict[str, np.ndarray]) -> None:
    rotation = truth["camera_rotation"]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) > 0
    seen = truth["joints_world"] @ rotation.T + truth["camera_translation"]
    np.testing.assert_allclose(truth["joints_camera"], seen, atol=1e-5)


def test_joints_project_onto_the_keypoints(truth: dict[str, np.ndarray]) -> None:
    """Human3.6M's limb joints and COCO's are defined apart, yet by less than 4 cm (7 px here)."""
    pixels = truth["joints_camera"] @ truth["camera_matrix"].T
    pixels = pixels[..., :2] / pixels[..., 2:]
    h36m, coco = np.array(SHARED_JOINTS).T
    away = np.linalg.norm(pixels[:, h36m] - truth["keypoints_2d"][:, coco], axis=-1)
    assert np.nanmax(away) < 7
    assert np.nanmean(away) < 3


def test_bones_keep_their_length(truth: dict[str, np.ndarray]) -> None:
    joints = truth["joints_world"]
    rigid = [j for j, name in enumerate(H36M.names) if name[1:] in BONES]
    assert len(rigid) == 10
    for joint in rigid:
        length = np.linalg.norm(joints[:, joint] - joints[:, H36M_PARENTS[joint]], axis=1)
        assert np.ptp(length) < 1e-3, H36M.names[joint]
    assert 1.5 < truth["body_height"] < 1.9


BONES = {"Hip", "Knee", "Ankle", "Elbow", "Wrist"}


def test_feet_stand_on_the_floor(truth: dict[str, np.ndarray]) -> None:
    """Standing heels and toes are at the sole's height; none is below the floor; none slides."""
    feet, contact, time = truth["feet_world"], truth["contact"], truth["time"]
    assert feet[..., 1].min() > 0
    assert 0.3 < contact.mean() < 0.95
    assert contact.any(1).mean() > 0.9
    for side in range(2):
        points = feet[:, 3 * side : 3 * side + 3]
        on = contact[:, side]
        assert points[on][..., 1].min(1).max() < 0.05
        speed = np.linalg.norm(np.gradient(points, time, axis=0)[..., [0, 2]], axis=-1)
        assert np.median(speed.min(1)[on]) < 0.1


def test_left_is_the_persons_left(truth: dict[str, np.ndarray]) -> None:
    """Toes point forward, so left must be where up x forward says."""
    joints, feet = truth["joints_world"], truth["feet_world"]
    left = joints[:, LEFT] - joints[:, RIGHT]
    forward = (feet[:, 1] - feet[:, 0]) + (feet[:, 4] - feet[:, 3])
    assert (np.einsum("tc,tc->t", np.cross([0, 1, 0], forward), left) > 0).all()
    eyes = truth["keypoints_world"][:, 1] - truth["keypoints_world"][:, 2]
    assert (np.einsum("tc,tc->t", eyes, left) > 0).mean() > 0.95


def test_the_person_is_in_the_picture_and_seen_from_many_sides(
    truth: dict[str, np.ndarray],
) -> None:
    width, height = truth["image_size"]
    box = truth["box"]
    assert (box[:, :2] > 0).all() and (box[:, 2:] < [width, height]).all()
    assert 220 < np.median(box[:, 3] - box[:, 1]) < 380
    inside = np.nan_to_num(truth["keypoints_2d"], nan=-1)
    near = (inside > box[:, None, :2] - 2) & (inside < box[:, None, 2:] + 2)
    assert near.all()
    across = truth["joints_camera"][:, LEFT] - truth["joints_camera"][:, RIGHT]
    view = np.degrees(np.arctan2(across[:, 2], across[:, 0]))
    assert np.ptp(np.unwrap(view, period=360)) > 120
    assert set(np.unique(truth["visibility"])) <= {0, 1, 2}
    assert (truth["visibility"] == 2).mean() > 0.6
