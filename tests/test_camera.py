"""Cameras are read from what people have."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import find_squares, upright

from pose3d import pipeline
from pose3d.camera import Camera, choose_camera, film_focal_length, lens_metadata, read_camera
from pose3d.errors import PoseError, UsageError
from pose3d.lift import default_intrinsics

SIZE = (1280, 720)
K = [[1100.0, 0, 650], [0, 1105.0, 350], [0, 0, 1]]
BENT = [-0.28, 0.09, 0.001, -0.0005, 0.01]

POSE2SIM = """
[cam_01]
name = "cam_01"
size = [ 1920.0, 1080.0]
matrix = [ [ 1650.0, 0.0, 975.0], [ 0.0, 1657.5, 525.0], [ 0.0, 0.0, 1.0]]
distortions = [ -0.28, 0.09, 0.001, -0.0005]
rotation = [ 0.9, 1.2, -0.9]
translation = [ 0.1, 0.2, 4.0]
fisheye = false

[metadata]
adjusted = false
error = 0.0
"""

QUALISYS = """<?xml version="1.0"?>
<calibration created="2024-01-01"><cameras>
<camera active="1" serial="21234" model="Miqus Video" viewrotation="0">
<fov_video left="0" top="0" right="1279" bottom="719"/>
<intrinsic focallength="9.2" sensorMinU="0" sensorMaxU="81919" sensorMinV="0" sensorMaxV="46079"
 focalLengthU="70400" focalLengthV="70720" centerPointU="41600" centerPointV="22400" skew="0"
 radialDistortion1="-0.05" radialDistortion2="0.14" radialDistortion3="0"
 tangentalDistortion1="0.0006" tangentalDistortion2="-0.0004"/>
</camera></cameras></calibration>
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_nothing_given_is_sixty_degrees() -> None:
    camera = choose_camera(SIZE)
    np.testing.assert_array_equal(camera.matrix, default_intrinsics(SIZE))
    assert camera.facts()["assumed"]
    assert camera.facts()["distortion"] is None
    json.dumps(camera.facts())


def test_angle_and_focal_length() -> None:
    camera = choose_camera((720, 1280), fov=90)
    assert camera.matrix[0, 0] == pytest.approx(640)
    np.testing.assert_allclose(camera.matrix[:2, 2], [360, 640])
    assert choose_camera(SIZE, focal_length=1000).matrix[1, 1] == 1000
    assert not choose_camera(SIZE, fov=60).facts()["assumed"]


@pytest.mark.parametrize(
    "absurd",
    [
        {"fov": 0.5}, {"fov": 179}, {"fov": float("nan")}, {"focal_length": 3},
        {"focal_length": 1e6}, {"focal_length": -1000}, {"fov": 60, "focal_length": 1000},
    ],
)  # fmt: skip
def test_absurd_cameras_are_refused(absurd: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="give"):
        choose_camera(SIZE, **absurd)


def test_own_files(tmp_path: Path) -> None:
    table = {"K": K, "distortion": BENT, "size": SIZE}
    path = written(tmp_path, "camera.json", json.dumps(table))
    camera = read_camera(path, SIZE)
    np.testing.assert_array_equal(camera.matrix, K)
    np.testing.assert_array_equal(camera.distortion, BENT)
    half = read_camera(path, (640, 360))
    np.testing.assert_allclose(half.matrix[0], [550, 0, 325])
    toml = written(tmp_path, "camera.toml", f"camera_matrix = {K}\ndist = {BENT[:4]}\n")
    np.testing.assert_array_equal(read_camera(toml, SIZE).matrix, K)
    recorded = written(tmp_path, "again.json", json.dumps(camera.facts()))
    np.testing.assert_array_equal(read_camera(recorded, SIZE).distortion, BENT)


def test_pose2sims_file(tmp_path: Path) -> None:
    path = written(tmp_path, "Calib.toml", POSE2SIM)
    camera = choose_camera(SIZE, file=path)
    np.testing.assert_allclose(camera.matrix, K)
    assert len(camera.distortion) == 4
    second = POSE2SIM.replace("cam_01", "cam_02").split("[metadata]")[0]
    both = written(tmp_path, "Two.toml", POSE2SIM + second)
    with pytest.raises(PoseError, match="cam_01, cam_02"):
        read_camera(both, SIZE)
    assert read_camera(f"{both}:cam_02", SIZE).source == "file"
    with pytest.raises(PoseError, match="fisheye"):
        read_camera(written(tmp_path, "f.toml", POSE2SIM.replace("false", "true", 1)), SIZE)


def test_qualisys_file(tmp_path: Path) -> None:
    camera = read_camera(written(tmp_path, "lab.qca.txt", QUALISYS), SIZE)
    np.testing.assert_allclose(camera.matrix, K)
    np.testing.assert_allclose(camera.distortion, [-0.05, 0.14, 0.0006, -0.0004, 0])
    whole = QUALISYS.replace('<fov_video left="0" top="0" right="1279" bottom="719"/>', "")
    camera = read_camera(written(tmp_path, "whole.qca.txt", whole), SIZE)
    np.testing.assert_allclose(camera.matrix, K)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{"), ("a.json", "[1, 2]"), ("a.json", "{}"), ("a.toml", "K = 1"),
        ("a.toml", "K = [[1]]"), ("a.json", '{"K": [[0,0,0],[0,0,0],[0,0,1]]}'),
        ("a.json", json.dumps({"K": K, "size": [100, 900]})),
        ("a.json", json.dumps({"K": K, "size": "big"})),
        ("a.json", json.dumps({"K": K, "distortion": [1.0]})),
        ("a.json", json.dumps({"K": [[9e9, 0, 1], [0, 9e9, 1], [0, 0, 1]]})),
        ("a.qca.txt", "<calibration>"), ("a.qca.txt", "<calibration/>"),
        ("a.qca.txt", '<!DOCTYPE x [<!ENTITY a "b">]><calibration>&a;</calibration>'),
        ("a.json", "[" * 100_000),
    ],
)  # fmt: skip
def test_wrong_files_are_named(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(PoseError, match=r"a\.") as caught:
        read_camera(written(tmp_path, name, text), SIZE)
    assert "\n" not in str(caught.value)


def test_missing_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(PoseError, match="cannot be read"):
        read_camera(tmp_path / "no.toml", SIZE)
    with pytest.raises(PoseError, match="larger than 1 MiB"):
        read_camera(written(tmp_path, "a.json", " " * (1 << 21)), SIZE)


def test_metadata_of_phones() -> None:
    said = {"com.apple.quicktime.camera.focal_length.35mm_equivalent": "26"}
    assert film_focal_length(said) == 26
    camera = choose_camera((1920, 1080), metadata=said)
    assert camera.matrix[0, 0] == pytest.approx(26 / 36 * 1920)
    assert camera.source == "metadata"
    assert film_focal_length({"FocalLengthIn35mmFilm": "28"}) == 28
    for useless in ({}, {"FocalLengthIn35mmFilm": "0"}, {"FocalLengthIn35mmFilm": "wide"}):
        assert film_focal_length(useless) is None


def test_metadata_is_read_from_the_video(tmp_path: Path) -> None:
    import av

    path, key = tmp_path / "phone.mov", "com.apple.quicktime.camera.focal_length.35mm_equivalent"
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata[key] = "26"
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert lens_metadata(path) == {key: "26"}
    assert lens_metadata(written(tmp_path, "no.mov", "nothing")) == {}
    recording = pipeline.infer(path, detector=find_squares, lifter=upright)
    assert recording.meta["camera"]["source"] == "metadata"
    assert recording.meta["camera"]["K"][0][0] == pytest.approx(26 / 36 * 64)


def test_distortion_is_removed() -> None:
    camera = Camera(np.array(K), np.array(BENT), SIZE, "file")
    points = np.random.default_rng(0).uniform([-1.2, -0.7, 2], [1.2, 0.7, 3], (50, 3))
    pixels = camera.project(points)
    rays = points[:, :2] / points[:, 2:]
    np.testing.assert_allclose(camera.rays(pixels), rays, atol=1e-5)
    plain = Camera(np.array(K), np.zeros(0), SIZE, "file")
    np.testing.assert_allclose(camera.straight(pixels), plain.project(points), atol=0.02)
    np.testing.assert_allclose(plain.rays(plain.project(points)), rays, atol=1e-9)
    assert np.abs(pixels - plain.project(points)).max() > 5
    gone = np.array([[np.nan, np.nan], [600.0, 300.0]])
    assert np.isnan(camera.rays(gone)[0]).all()
    assert np.isfinite(camera.rays(gone)[1]).all()
