"""What is shown besides the usual video: other views, GIFs, sheets, sound."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import write_clip
from test_render import near

from pose3d.errors import PoseError, UsageError
from pose3d.look import Look, needs_video
from pose3d.pictures import read_picture
from pose3d.render import draw, render_gif, render_sheet, render_video, style
from pose3d.render.audio import add_audio
from pose3d.render.scene import Scene
from pose3d.render.style import Sizes
from pose3d.sequence import Keypoints2D, Person, Pose3D, Recording
from pose3d.show import show
from pose3d.skeleton import H36M
from pose3d.video import Video

RATE = 16_000  # samples a second
ROWS = 30


def test_letters_lie_inside_of_their_edge() -> None:
    plain, edged = (np.full((40, 160, 3), 128, np.uint8) for _ in range(2))
    sizes, place, white = Sizes.of(480), np.array([8.0, 28.0]), (255, 255, 255)
    draw.text(plain, "12.34 s", place, white, sizes)
    draw.text(edged, "12.34 s", place, white, sizes, outline=1)
    letters = plain[..., 0] > 250
    assert letters.sum() > 50
    assert (edged[letters] > 240).all()
    for edge, inner in zip(np.nonzero(edged[..., 0] != 128), np.nonzero(plain[..., 0] != 128),
                           strict=True):  # fmt: skip
        assert inner.min() - edge.min() == 1
        assert edge.max() - inner.max() == 1


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=ROWS)


@pytest.fixture(scope="module")
def strider() -> Recording:
    """Somebody who slides along x, 1 m a second, with the left hand out; lost for two frames."""
    frame = np.arange(ROWS)
    world = np.zeros((ROWS, 17, 3), np.float32)
    world[..., 1] = np.linspace(0.1, 1.7, 17)
    world[:, H36M.index("LWrist"), 2] = 1
    world[..., 0] += frame[:, None] / 30
    world[10:12] = np.nan
    keypoints = Keypoints2D(
        frame, frame / 30, np.full((ROWS, 4), 50, np.float32),
        np.full((ROWS, 17, 2), 50, np.float32), np.ones((ROWS, 17), np.float32),
    )  # fmt: skip
    meta = {
        "source": {"name": "clip.mp4", "size": [160, 120], "frames": ROWS, "fps": 30.0},
        "steps": ["detect", "track", "lift", "world"],
    }
    return Recording(meta, (Person(1, keypoints, Pose3D(world, world=world)),))


def size_of(path: Path) -> tuple[int, int]:
    info = Video(path).info
    return info.width, info.height


def test_each_view_has_its_panels(strider: Recording, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    render_video(strider, clip, out, look=Look(view="overlay"))
    assert size_of(out) == (640, 480)
    render_video(strider, None, out, look=Look(view="3d"))
    assert size_of(out) == (1280, 720)
    frames = list(Video(out))
    np.testing.assert_allclose([f.time for f in frames], np.arange(ROWS) / 30, atol=1e-5)
    world = strider.people[0].pose.world  # type: ignore[union-attr]
    assert world is not None
    scene = Scene([world.astype(float)], (1280, 720))
    for n in (0, 29):
        seen = scene.camera.seen(world[n])
        at = (seen[H36M.index("LWrist"), :2] + seen[H36M.index("LElbow"), :2]) / 2
        assert near(frames[n].image, at, style.LEFT)
        assert not near(frames[29 - n].image, at, style.LEFT)


def test_a_view_of_frames_needs_them(strider: Recording, tmp_path: Path) -> None:
    assert needs_video("mp4", Look()) and needs_video("gif", Look(view="overlay"))
    assert not needs_video("html", Look()) and not needs_video("png", Look(view="3d"))
    with pytest.raises(PoseError, match="--view 3d"):
        render_video(strider, None, tmp_path / "out.mp4")
    with pytest.raises(UsageError, match="overlay"):
        Look(view="sideways")
    with pytest.raises(UsageError, match="orbit"):
        Look(view="overlay", orbit=3)


def test_an_orbiting_camera_keeps_everyone_in_sight(strider: Recording) -> None:
    world = strider.people[0].pose.world  # type: ignore[union-attr]
    assert world is not None
    scene, places = Scene([world.astype(float)], (640, 360), orbit=8), []
    for time in np.arange(0, 8, 0.5):
        picture = scene.draw([(1, world[0])], time=time)
        points = scene.camera.seen(world[[0, 29]])
        assert (points[..., :2] > 0).all() and (points[..., :2] < [640, 360]).all()
        spine = points[0, H36M.index("Spine"), :2]
        assert near(picture, spine, style.PEOPLE[0])
        places.append(points[0, H36M.index("LWrist"), 0])
    assert np.ptp(places) > 100
    first = scene.draw([(1, world[0])], time=0)
    np.testing.assert_array_equal(scene.draw([(1, world[0])], time=8), first)


def test_the_trail_shows_where_the_hips_were(strider: Recording) -> None:
    world = strider.people[0].pose.world.astype(float)  # type: ignore[union-attr]
    scene = Scene([world], (640, 360))
    colour = style.faded(style.of_person(1), 0.45)
    way = world[:, 0]
    drawn, empty = scene.draw([], [(1, way)]), scene.draw([])
    for n in (3, 20, 27):
        assert near(drawn, scene.camera.seen(way[n] * [1, 0, 1])[:2], colour)
    changed = (drawn != empty).any(-1)
    gap = scene.camera.seen((way[9] + way[12]) / 2 * [1, 0, 1])[:2].astype(int)
    assert changed.any() and not changed[gap[1] - 1 : gap[1] + 2, gap[0]].any()
    np.testing.assert_array_equal(scene.draw([], [(1, way[10:12])]), empty)


def test_a_gif_repeats_at_the_right_pace(strider: Recording, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gif"
    render_gif(strider, clip, out)
    assert out.read_bytes()[:6] == b"GIF89a"
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in out.read_bytes()
    with av.open(str(out)) as file:
        frames = list(file.decode(video=0))
        times = [float(frame.pts * frame.time_base) for frame in frames]
    np.testing.assert_allclose(times, np.arange(0, 1, 0.1), atol=0.011)
    assert (frames[0].width, frames[0].height) == (320 + 320, 240)
    first, last = (f.to_ndarray(format="rgb24").astype(int) for f in (frames[0], frames[-1]))
    away = np.abs(first - last).max(-1) > 60
    assert not away[:, :320].any() and away[:, 320:].any()


def test_a_sheet_shows_the_whole_clip(strider: Recording, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    show("png", strider, clip, out, Look(view="overlay"))
    sheet = read_picture(out)
    assert sheet.shape == (4 * 244 + 4, 3 * 324 + 4, 3)
    show("png", replace(strider, people=()), None, out, Look(view="3d"))
    assert read_picture(out).shape == (4 * 274 + 4, 3 * 484 + 4, 3)
    alone = replace(strider, meta=strider.meta | {"source": {"frames": 1}}, people=())
    render_sheet(alone, None, out, look=Look(view="3d"))
    assert read_picture(out).shape == (278, 488, 3)


def heard(path: Path) -> tuple[float, np.ndarray]:
    """When the sound begins, and its loudness in tenths of a second from then on."""
    with av.open(str(path)) as file:
        frames = list(file.decode(audio=0))
        begin = float(frames[0].pts * frames[0].time_base)
        samples = np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(float)
        tenth = frames[0].sample_rate // 10
    whole = samples[: len(samples) // tenth * tenth].reshape(-1, tenth)
    return begin, np.abs(whole / np.abs(samples).max()).mean(1)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_stays_in_step(tmp_path: Path, codec: str) -> None:
    """A beep from 1.0 to 1.5 s, in a part that begins at 0.5 s."""
    source = tmp_path / ("clip.mp4" if codec == "aac" else "clip.mkv")
    with av.open(str(source), "w") as out:
        film = out.add_stream("libx264", rate=Fraction(10))
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        track = out.add_stream(codec, rate=RATE, layout="mono")
        for _ in range(20):
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
            out.mux(film.encode(picture))
        time = np.arange(2 * RATE) / RATE
        wave = 0.5 * np.sin(2 * np.pi * 440 * time) * ((time >= 1) & (time < 1.5))
        for n in range(0, len(wave), 1024):
            part = (wave[None, n : n + 1024] * 32767).astype(np.int16)
            sound = av.AudioFrame.from_ndarray(part, "s16", "mono")
            sound.sample_rate, sound.pts, sound.time_base = RATE, n, Fraction(1, RATE)
            out.mux(track.encode(sound))
        out.mux(track.encode(None))
        out.mux(film.encode(None))
    path = tmp_path / "out.mp4"
    meta = {
        "source": {"name": source.name, "size": [64, 48], "frames": 13},
        "options": {"start": 0.5, "end": 1.8}, "steps": [],
    }  # fmt: skip
    render_video(Recording(meta), source, path, look=Look(view="overlay", audio=True))
    frames = list(Video(path))
    np.testing.assert_allclose([f.time for f in frames], np.arange(13) / 10, atol=1e-4)
    begin, loud = heard(path)
    beep = begin + np.flatnonzero(loud > 0.2) / 10
    assert begin < 0.1
    assert beep[0] == pytest.approx(0.5, abs=0.11)
    assert beep[-1] == pytest.approx(0.9, abs=0.11)
    assert not list(tmp_path.glob("*.sound.*"))


def test_what_has_no_sound_stays_silent(clip: Path, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "out.mp4", frames=3)
    before = path.read_bytes()
    assert not add_audio(path, clip, 0.0, 0.1)
    assert path.read_bytes() == before
