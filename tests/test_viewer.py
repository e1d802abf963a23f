"""The viewer, in a real browser: it shows the file's numbers where and when they belong."""

import base64
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from test_render import TRUTH, VIDEO, walk

from pose3d.angles import angles
from pose3d.cli import main
from pose3d.errors import PoseError
from pose3d.look import Look
from pose3d.render import style
from pose3d.render.timeline import Timeline
from pose3d.sequence import Keypoints2D, Person, Pose3D, Recording
from pose3d.skeleton import H36M
from pose3d.video import Video
from pose3d.viewer import Footage, beside, write_page, write_viewer
from pose3d.viewer.clip import small_video
from pose3d.viewer.serve import Server

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None
)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
]  # fmt: skip
HOSTILE = "</script><img src=x onerror=alert(1)>\u2028 naïve 走路 \"'&amp; .mp4"

PATIENCE = 60  # seconds; machines that run tests are busy


@pytest.fixture(scope="module")
def truth() -> dict[str, np.ndarray]:
    with np.load(TRUTH, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt install chromium")
    with playwright.sync_playwright() as session:
        chromium = session.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


class Pages:
    """Opens pages in one tab, and hears what goes wrong in them or what they try to fetch."""

    def __init__(self, browser: Any, **settings: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 640, "height": 480}} | settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", self._asked)
        self.wrong: list[str] = []
        self._allowed = self._excused = "nothing"

    def __call__(self, address: str, excused: str = "nothing") -> Any:
        self._allowed, self._excused = address.rsplit("/", 1)[0], excused
        self.page.goto(address)
        self.page.evaluate("() => window.pose3d.ready")
        return self.page

    def _said(self, message: Any) -> None:
        if message.type == "error" and self._excused not in message.text:
            self.wrong.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self._allowed, "blob:", "data:")):
            self.wrong.append(request.url)


@pytest.fixture(scope="module")
def tab(browser: Any) -> Iterator[Pages]:
    pages = Pages(browser)
    yield pages
    pages.context.close()


@pytest.fixture
def show(tab: Pages) -> Iterator[Pages]:
    tab.wrong.clear()
    yield tab
    assert not tab.wrong


@pytest.fixture(scope="module")
def opened(browser: Any, walkers: Path) -> Iterator[Any]:
    pages = Pages(browser, color_scheme="dark")
    yield pages(walkers.as_uri())
    assert not pages.wrong
    pages.context.close()


@pytest.fixture
def page(opened: Any) -> Any:
    """The page of two people, as it is when it was opened."""
    opened.evaluate("pose3d.pause(), pose3d.look(24, 14), pose3d.seek(0)")
    return opened


def until(page: Any, condition: str, seconds: float = PATIENCE) -> None:
    """Wait; Playwright's own way needs eval, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(f"() => Boolean({condition})"):
        assert time.monotonic() < end, f"{condition} is not so"
        time.sleep(0.02)


def two_people(truth: dict[str, np.ndarray]) -> Recording:
    """The rendered clip's person, and another who comes later and is lost for a while."""
    recording = walk(truth, world=True)
    first = recording.people[0]
    keypoints, pose = first.keypoints, first.pose
    assert pose is not None and pose.world is not None
    world = pose.world[60:200] + np.float32([1.5, 0, -1])
    joints = pose.joints[60:200].copy()
    world[40:60], joints[40:60] = np.nan, np.nan
    later = Keypoints2D(
        *(
            getattr(keypoints, name)[60:200]
            for name in ("frame", "time", "box", "keypoints", "score")
        )
    )
    return recording.with_people((first, Person(2, later, Pose3D(joints, world=world))))


@pytest.fixture(scope="module")
def walkers(truth: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "walk.pose3d.html"
    write_page(two_people(truth), path, Footage(VIDEO))
    return path


def projected(points: NDArray[np.floating], view: dict[str, Any]) -> NDArray[np.float64]:
    """Pixels of points (..., 3), computed as a photographer would, without any matrix."""
    eye, target = np.array(view["eye"]), np.array(view["target"])
    width, height = view["size"]
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, [0, 1, 0])
    right /= np.linalg.norm(right)
    away = np.asarray(points, float) - eye
    focal = height / 2 / np.tan(view["fieldOfView"] / 2)
    depth = away @ ahead
    x = width / 2 + focal * (away @ right) / depth
    y = height / 2 - focal * (away @ np.cross(right, ahead)) / depth
    return np.stack([x, y], -1)


def picture_of(page: Any, element: str) -> NDArray[np.uint8]:
    """A screenshot of an element, RGB."""
    raw = np.frombuffer(page.locator(element).screenshot(), np.uint8)
    return cv2.cvtColor(cv2.imdecode(raw, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def hue(colour: NDArray[np.number] | style.Colour) -> NDArray[np.float64]:
    shade = np.asarray(colour, float)
    return (shade - shade.min(-1, keepdims=True)) / np.ptp(shade, axis=-1, keepdims=True).clip(1)


def test_joints_are_projected_where_the_file_says(page: Any, truth: dict[str, np.ndarray]) -> None:
    everyone = two_people(truth).people
    for yaw, pitch, t in ((24, 14, 0.0), (90, 8, 2.5), (-130, 60, 6.5)):
        page.evaluate(f"pose3d.look({yaw}, {pitch})")
        page.evaluate(f"pose3d.seek({t + 1e-4})")
        view = page.evaluate("pose3d.view")
        frame = page.evaluate("pose3d.frame")
        assert abs(truth["time"][frame] - t) < 0.02
        for person in everyone:
            row = frame - person.keypoints.frame[0]
            found = page.evaluate(
                "id => [...Array(17).keys()].map(joint => pose3d.project(id, joint))", person.id
            )
            if not 0 <= row < len(person.keypoints):
                assert found == [None] * 17
                continue
            assert person.pose is not None and person.pose.world is not None
            expected = projected(person.pose.world[row], view)
            assert np.abs(np.array(found) - expected).max() < 0.1  # pixels
    page.evaluate("pose3d.seek(3.6)")  # the second person is lost
    assert page.evaluate("pose3d.project(2, 0)") is None
    assert page.evaluate("pose3d.project(1, 0)") is not None


def test_limbs_are_seen_where_they_are_projected(page: Any, truth: dict[str, np.ndarray]) -> None:
    """What the graphics card draws agrees with the numbers: left orange, right blue."""
    page.evaluate("pose3d.seek(7.4)")  # facing the camera
    picture = picture_of(page, "#scene")
    view, frame = page.evaluate("pose3d.view"), page.evaluate("pose3d.frame")
    points = projected(truth["joints_world"][frame], view)
    for name, colour in (("LKnee", style.LEFT), ("RKnee", style.RIGHT), ("Spine", style.PEOPLE[0])):
        x, y = points[H36M.index(name)].astype(int)
        patch = picture[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3)
        assert np.abs(hue(patch) - hue(style.of_joint(H36M, H36M.index(name), colour))).max() < 0.25
    page.keyboard.press("1")
    until(page, "document.querySelector('#names span').hidden")
    without = picture_of(page, "#scene")
    x, y = points[H36M.index("LKnee")].astype(int)
    assert np.abs(hue(without[y, x]) - hue(style.LEFT)).max() > 0.3
    assert page.get_attribute("#people button", "aria-pressed") == "false"
    page.keyboard.press("1")
    assert page.get_attribute("#people button", "aria-pressed") == "true"


def test_who_was_hidden_is_faint(show: Pages, tmp_path: Path, truth: dict[str, np.ndarray]) -> None:
    """In space the limbs, and of the curves the time in which they are guessed."""
    recording = walk(truth, world=True)
    [person] = recording.people
    score = person.keypoints.score.copy()
    score[60:120] = 0.2
    hidden = replace(person, keypoints=replace(person.keypoints, score=score))
    write_page(recording.with_people((hidden,)), tmp_path / "page.html")
    page = show((tmp_path / "page.html").as_uri())
    orange, plots = [], []
    for frame in (30, 90):
        page.evaluate(f"pose3d.pause(), pose3d.seek({truth['time'][frame]})")
        scene = picture_of(page, "#scene").astype(int)[:-40]  # without the legend
        orange.append(((scene[..., 0] > 150) & (scene[..., 2] < 60)).sum())
        plots.append(picture_of(page, "#plot").astype(int))
    assert orange[0] > 20 + 5 * orange[1]
    width = plots[0].shape[1] - 46  # without the gutter and a margin
    ground = [np.median(plots[0][:, 42 + int(s * width)], 0) for s in (0.1, 0.375, 0.9)]
    assert np.abs(ground[0] - ground[2]).max() < 3 < np.abs(ground[0] - ground[1]).max()


def test_the_video_is_in_step(page: Any, truth: dict[str, np.ndarray]) -> None:
    source = [
        cv2.resize(f.image, (160, 90), interpolation=cv2.INTER_AREA) for f in Video(VIDEO, end=4)
    ]
    for frame in (0, 1, 64, 65, 118):
        page.evaluate(f"pose3d.seek({truth['time'][frame]})")
        assert page.evaluate("pose3d.frame") == frame
        shown = page.evaluate("""() => {
            const canvas = new OffscreenCanvas(160, 90);
            const context = canvas.getContext("2d");
            context.imageSmoothingQuality = "high";
            context.drawImage(document.getElementById("video"), 0, 0, 160, 90);
            return [...context.getImageData(0, 0, 160, 90).data];
        }""")
        picture = np.array(shown, np.uint8).reshape(90, 160, 4)[..., :3].astype(int)
        others = range(max(frame - 1, 0), frame + 2)
        away = [(np.abs(source[other] - picture).mean(), other) for other in others]
        assert min(away)[1] == frame
    ink = picture_of(page, "#ink").astype(int)
    assert (np.abs(ink - style.LEFT).max(-1) < 40).sum() > 20


def test_another_video_is_refused(truth: dict[str, np.ndarray], tmp_path: Path) -> None:
    other = VIDEO.with_name("rendered_crossing.mp4")
    with pytest.raises(PoseError, match="is not the video of this recording"):
        small_video(walk(truth, world=True), other, tmp_path / "small.mp4")
    assert not list(tmp_path.iterdir())


def test_it_plays_pauses_scrubs_and_steps(page: Any) -> None:
    page.keyboard.press("Space")
    until(page, "pose3d.time > 0.3")
    assert page.evaluate("pose3d.playing")
    film, scene = page.evaluate("[document.querySelector('video').currentTime, pose3d.time]")
    assert abs(film - scene) < 0.25  # this browser draws slowly, and the video goes on meanwhile
    page.keyboard.press("Space")
    assert not page.evaluate("pose3d.playing")
    assert page.evaluate("document.querySelector('video').paused")
    page.evaluate("pose3d.seek(2)")
    before = page.evaluate("pose3d.frame")
    for key, steps in (("ArrowRight", 1), ("ArrowLeft", -1), ("Shift+ArrowRight", 30)):
        page.keyboard.press(key)
        assert page.evaluate("pose3d.frame") == before + steps
        before += steps
    page.fill("#scrubber", "120")
    assert page.evaluate("pose3d.frame") == 120
    until(page, "document.querySelector('#now').innerText.endsWith('120')")  # with the next drawing
    assert page.inner_text("#now") == "0:04.00 / 0:07.97 · 120"
    page.keyboard.press("End")
    assert page.evaluate("pose3d.time") == page.evaluate("pose3d.end")
    page.click("#loop")
    page.evaluate("pose3d.seek(7.8)")
    page.click("#play")
    until(page, "!pose3d.playing")
    assert page.evaluate("pose3d.time") == page.evaluate("pose3d.end")
    page.click("#loop")


def test_the_view_turns_moves_and_zooms(page: Any) -> None:
    box = page.locator("#scene").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    start = page.evaluate("pose3d.view")

    def drag(button: str) -> dict[str, Any]:
        page.mouse.move(x, y)
        page.mouse.down(button=button)
        page.mouse.move(x + 60, y, steps=3)
        page.mouse.up(button=button)
        return page.evaluate("pose3d.view")

    distance = np.linalg.norm(np.subtract(start["eye"], start["target"]))
    turned = drag("left")
    assert turned["target"] == start["target"]
    assert np.linalg.norm(np.subtract(turned["eye"], start["eye"])) > 0.2
    moved = drag("right")
    shift = np.subtract(moved["target"], turned["target"])
    np.testing.assert_allclose(np.subtract(moved["eye"], turned["eye"]), shift, atol=1e-6)
    # What was grabbed stays under the pointer.
    seen = projected(np.array(turned["target"]), moved)
    np.testing.assert_allclose(seen - np.array(moved["size"]) / 2, [60, 0], atol=1)
    page.mouse.wheel(0, 300)
    until(page, f"Math.hypot(...pose3d.view.eye.map((v, n) => v - pose3d.view.target[n])) > "
                f"{1.2 * distance}")  # fmt: skip


def test_the_curves_show_the_angles(page: Any, truth: dict[str, np.ndarray]) -> None:
    pose = two_people(truth).people[1].pose
    assert pose is not None
    expected = angles(pose)
    for t in (2.5, 5.0):
        page.evaluate(f"pose3d.seek({t})")
        row = page.evaluate("pose3d.frame") - 60
        for name in ("left_knee_flexion", "right_hip_flexion", "trunk_lean"):
            found = page.evaluate("name => pose3d.angle(2, name)", name)
            assert found == pytest.approx(float(expected[name][row]), abs=0.02)
    page.select_option("#who", "2")
    page.click("[data-angle=elbow_flexion]")
    until(page, "document.querySelectorAll('#readings p').length == 3")
    words = page.inner_text("#readings p:nth-child(3)")
    left = expected["left_elbow_flexion"][row]
    assert re.fullmatch(rf"elbow flexion left {left:.0f}° right \d+° ?", words)
    cursor, plot = (page.locator(name).bounding_box() for name in ("#cursor", "#plot"))
    share = (cursor["x"] - plot["x"] - 42) / (plot["width"] - 46)
    assert share == pytest.approx(5.0 / truth["time"][-1], abs=0.01)
    page.mouse.click(plot["x"] + 42 + (plot["width"] - 46) / 2, plot["y"] + 20)
    assert page.evaluate("pose3d.time") == pytest.approx(truth["time"][-1] / 2, abs=0.05)


def test_it_fits_a_phone_and_the_colour_scheme(browser: Any, walkers: Path) -> None:
    pages = Pages(
        browser, color_scheme="light", viewport={"width": 390, "height": 844}, has_touch=True,
        is_mobile=True,
    )  # fmt: skip
    page = pages(walkers.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in ("#play", "#next", "#help"):
        box = page.locator(button).bounding_box()
        assert min(box["width"], box["height"]) >= 36
        assert 0 <= box["x"] <= 390 - box["width"]
    page.tap("#next")
    assert page.evaluate("pose3d.frame") == 1
    assert picture_of(page, "#scene")[4, 4].mean() > 200
    page.emulate_media(color_scheme="dark")
    page.evaluate("pose3d.seek(1)")
    assert picture_of(page, "#scene")[4, 4].mean() < 60
    assert not pages.wrong
    pages.context.close()


def test_hostile_names_stay_text(show: Pages, tmp_path: Path, truth: dict[str, np.ndarray]) -> None:
    recording = walk(truth, world=True, frames=5)
    recording.meta["source"]["name"] = HOSTILE
    video = tmp_path / "走路 #1 100%.mp4"
    shutil.copy(VIDEO, video)
    path = tmp_path / "seite ü.html"
    write_page(recording, path, Footage(video, address=beside(video, path)))
    text = path.read_text("utf-8")
    assert "<img" not in text
    assert text.count("</script>") == 4
    page = show(path.as_uri())
    assert page.inner_text("#title").replace("\n", " ") == HOSTILE.replace("\u2028", " ") or (
        page.evaluate("document.getElementById('title').textContent") == HOSTILE
    )
    assert page.title().startswith("</script><img src=x")
    page.evaluate("pose3d.seek(0.1)")
    assert page.evaluate("document.querySelector('video').videoWidth") == 1280


def person_of(rows: int, value: float, lifted: bool = True) -> Person:
    frame = np.arange(rows)
    keypoints = Keypoints2D(
        frame, frame / 30, np.full((rows, 4), value, np.float32),
        np.full((rows, 17, 2), value, np.float32), np.ones((rows, 17), np.float32),
    )  # fmt: skip
    joints = np.full((rows, 17, 3), value, np.float32)
    return Person(7, keypoints, Pose3D(joints, world=joints) if lifted else None)


@pytest.mark.parametrize(
    ("people", "words"),
    [
        ((), "Nobody was found"),
        ((person_of(1, 0.0),), ""),
        ((person_of(20, np.nan),), ""),
        ((person_of(20, 5.0, lifted=False),), "Keypoints only"),
    ],
    ids=["nobody", "one frame", "all missing", "not lifted"],
)
def test_little_to_show(
    show: Pages, tmp_path: Path, people: tuple[Person, ...], words: str
) -> None:
    meta = {"source": {"name": "clip.mp4", "size": [64, 48], "frames": 20 if not people else 1}}
    path = tmp_path / "page.html"
    write_page(Recording(meta, people), path)
    page = show(path.as_uri())
    assert words in page.inner_text("#note") if words else page.is_hidden("#note")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("l")
    page.click("#play")
    page.evaluate("pose3d.seek(100)")
    until(page, "pose3d.time === pose3d.end")


def test_ten_minutes_of_three_people_open_at_once(show: Pages, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    rows = 18_000
    time_ = np.arange(rows) / 30
    swing = np.sin(time_[:, None, None] * chance.uniform(1, 9, (17, 3)) + chance.random((17, 3)))
    joints = (0.3 * swing + chance.normal(0, 0.003, swing.shape)).astype(np.float32)
    points = (640 + 200 * swing[..., :2]).astype(np.float32)
    keypoints = Keypoints2D(
        np.arange(rows), time_, points[:, :2].reshape(rows, 4), points,
        np.full((rows, 17), 0.9, np.float32),
    )  # fmt: skip
    everyone = tuple(
        Person(n, keypoints, Pose3D(joints, world=joints + np.float32([n, 1, 0])))
        for n in (1, 2, 3)
    )
    meta = {"source": {"name": "long.mp4", "size": [1280, 720], "frames": rows, "fps": 30}}
    path = tmp_path / "long.html"
    write_page(Recording(meta, everyone), path)
    assert path.stat().st_size < 15e6
    page = show(path.as_uri())
    until(page, "pose3d.pictures > 0")
    # Seconds of work, not on the clock: others may be using this machine.
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    figures = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    assert 0 < figures["ProcessTime"] < 3
    page.evaluate("pose3d.seek(599)")
    found = page.evaluate("pose3d.joint(3, 16)")
    assert np.abs(np.array(found) - everyone[2].pose.world[599 * 30, 16]).max() < 1e-3  # type: ignore[union-attr, index]


def test_a_video_that_is_gone_leaves_the_scene(
    show: Pages, tmp_path: Path, truth: dict[str, np.ndarray]
) -> None:
    path = tmp_path / "page.html"
    write_page(walk(truth, world=True), path, Footage(VIDEO, address="not%20there.mp4"))
    page = show(path.as_uri(), excused="ERR_FILE_NOT_FOUND")
    page.wait_for_selector("#film-note:not([hidden])")
    page.evaluate("pose3d.seek(5)")
    page.click("#play")
    until(page, "pose3d.time > 5.1")


def test_a_linked_video_that_begins_late_is_in_step(show: Pages, tmp_path: Path) -> None:
    """Players count from the file's 0, recordings from the first picture."""
    video, page_file = tmp_path / "late.mp4", tmp_path / "page.html"
    with av.open(str(video), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(10):
            picture = np.full((48, 64, 3), 10 + 24 * n, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = n + 5
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    meta = {"source": {"name": "late.mp4", "size": [64, 48], "frames": 10, "fps": 10.0}}
    write_viewer(Recording(meta), video, page_file, Look(link=True))
    page = show(page_file.as_uri())
    for n in (4, 9):
        page.evaluate(f"pose3d.seek({n / 10})")
        until(page, "!document.querySelector('video').seeking")
        page.wait_for_timeout(200)  # from decoded to seen
        picture = picture_of(page, "#video")
        middle = picture[picture.shape[0] // 2, picture.shape[1] // 2].mean()
        assert (middle - 10) / 24 == pytest.approx(n, abs=0.3)


def test_the_timeline_covers_frames_without_people(truth: dict[str, np.ndarray]) -> None:
    recording = two_people(truth)
    meta = recording.meta | {"source": recording.meta["source"] | {"frames": 240, "fps": 30.0}}
    alone = replace(recording, meta=meta, people=recording.people[1:])
    timeline = Timeline.of(alone)
    np.testing.assert_array_equal(timeline.frame, np.arange(240))
    np.testing.assert_allclose(timeline.time, truth["time"], atol=0.02)
    np.testing.assert_array_equal(timeline.time[60:200], truth["time"][60:200])
    nobody = Timeline.of(replace(recording, meta=meta, people=()))
    assert len(nobody) == 240
    late = {"options": {"start": 2.0}, "source": {"frames": 180, "fps": 30.0}}
    later = Timeline.of(replace(recording, meta=late, people=recording.people[1:]))
    assert (later.frame[0], later.frame[-1]) == (60, 239)


@pytest.mark.parametrize("frame", [[0, 10**12], [-5, 3], [4, 4]])
def test_frames_that_cannot_be(frame: list[int]) -> None:
    person = person_of(2, 0.0)
    keypoints = replace(
        person.keypoints, frame=np.array(frame), time=np.array([0.0, -1.0 if frame[0] == 4 else 1])
    )
    with pytest.raises(PoseError):
        Timeline.of(Recording({}, (replace(person, keypoints=keypoints),)))


@pytest.fixture
def server(truth: dict[str, np.ndarray]) -> Iterator[Server]:
    with Server(walk(truth, world=True), VIDEO) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_only_who_knows_the_address_is_served(server: Server) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", server.address)

    def ask(path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()

    home = f"/{server.token}/"
    status, headers, page = ask(home)
    assert status == 200 and page == server.page
    assert headers["Referrer-Policy"] == "no-referrer" and "no-store" in headers["Cache-Control"]
    for path in ("/", "/video", f"/{server.token[:-1]}/", "/x/video", "//"):
        assert ask(path)[0] == 403
    assert ask(home, Host=f"evil.example:{server.server_port}")[0] == 403
    for path in ("other", "../etc/passwd", "video/x", "%2e%2e/"):
        assert ask(home + path)[0] == 404
    film = VIDEO.read_bytes()
    assert ask(home + "video")[2] == film
    for asked, part in (("0-9", film[:10]), ("1000-", film[1000:]), ("-7", film[-7:])):
        status, headers, body = ask(home + "video", Range=f"bytes={asked}")
        assert status == 206 and body == part
        assert headers["Content-Range"].endswith(f"/{len(film)}")
    assert ask(home + "video", Range=f"bytes={len(film)}-")[0] == 416
    assert ask(home + "video", Range=f"bytes={'9' * 5000}-")[2] == film, "as if nothing was asked"
    for path in ("//[", "http://[", home[:-1] + "%ff/", "?" + home, "*"):
        assert ask(path, Host=f"127.0.0.1:{server.server_port}")[0] == 403
    for path in ("%2e%2e/video", "video%00", "./video", "video/../../x", "\\..\\video"):
        assert ask(home + path)[0] == 404
    assert server.server_address[0] == "127.0.0.1", "nobody else's computer is served"


def test_the_served_page_plays(show: Pages, server: Server) -> None:
    page = show(server.address)
    page.evaluate("pose3d.seek(6.5)")
    assert page.evaluate("document.querySelector('video').videoWidth") == 1280
    assert page.evaluate("document.querySelector('video').currentTime") == pytest.approx(
        6.5, abs=0.02
    )


@pytest.fixture
def saved(truth: dict[str, np.ndarray], tmp_path: Path) -> Path:
    """A recording of ten frames, with its video beside it."""
    shutil.copy(VIDEO, tmp_path / VIDEO.name)
    path = tmp_path / "walk.pose3d.npz"
    walk(truth, world=True, frames=10).save(path)
    return path


def facts(page: Path) -> dict[str, Any]:
    """What a page says of its recording."""
    [text] = re.findall(r'id="facts">(.*?)</script>', page.read_text("utf-8"))
    return json.loads(text)


def test_pages_are_rendered_by_command(saved: Path, tmp_path: Path) -> None:
    run, page = CliRunner(), saved.with_name("walk.pose3d.html")
    command = ["render", str(saved), "--save", "html"]
    result = run.invoke(main, command)
    assert result.exit_code == 0, result.output
    [copy] = re.findall(r'id="film-data">([^<]*)</script>', page.read_text("utf-8"))
    clip = tmp_path / "copy.mp4"
    clip.write_bytes(base64.b64decode(copy))
    assert [frame.image.shape for frame in Video(clip)] == [(480, 854, 3)] * 10
    clip.unlink()
    assert "nothing to do" in run.invoke(main, command).output
    assert run.invoke(main, [*command, "--link", "--overwrite"]).exit_code == 0
    assert facts(page)["video"]["address"] == VIDEO.name
    (saved.parent / VIDEO.name).unlink()
    assert run.invoke(main, [*command, "--overwrite"]).exit_code == 0
    assert facts(page)["video"] is None
    assert sorted(p.name for p in saved.parent.iterdir()) == [page.name, saved.name]


def test_view_serves_until_it_is_interrupted(saved: Path) -> None:
    command = [sys.executable, "-m", "pose3d", "view", str(saved), "--no-browser"]
    # Where the tests run in the background, a shell has children ignore interrupts.
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed
    ) as it:
        try:
            assert it.stdout and it.stderr
            address = it.stdout.readline().strip()
            with urlopen(address, timeout=PATIENCE) as answer:
                assert b"rendered_walk.mp4" in answer.read()
            with urlopen(f"{address}video", timeout=PATIENCE) as answer:
                assert answer.read() == VIDEO.read_bytes()
            it.send_signal(signal.SIGINT)
            assert it.wait(PATIENCE) == 0
            assert it.stderr.read() == ""
        finally:
            it.kill()


def test_what_cannot_be_viewed(tmp_path: Path, saved: Path) -> None:
    result = CliRunner().invoke(main, ["view", str(tmp_path / "gone.npz"), "--no-browser"])
    assert result.exit_code == 1
    assert "no such file" in result.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["view", str(saved), "--no-browser", "--port", port])
    assert result.exit_code == 1
    assert port in result.stderr
