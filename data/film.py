"""Filming rendered people in the hall: the camera, what it sees of everyone, and the two files."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from body import FEET, Dressed, Posed
from fit import fit, read_motion
from numpy.typing import NDArray
from rasterise import Camera, Light, render, to_srgb, visibility
from room import Room, draw, shadow

FPS = 30
CAMERA_HEIGHT = 1.35
PITCH = -0.055  # slope of the camera's view
FOCAL = 0.875  # of the picture's width
SHUTTER = 0.25  # share of the frame time that the shutter is open
MOMENTS = (-0.33, 0, 0.33)  # of it that are drawn


@dataclass(frozen=True)
class Actor:
    """A dressed person who moves: `posed` in the world, `seconds` of `clip` of the CMU archive."""

    person: Dressed
    posed: Posed
    clip: str
    seconds: tuple[float, float]

    @cached_property
    def vertices(self) -> NDArray[np.float32]:
        """(T, V, 3) with clothes."""
        return np.stack([self.person.dress(v) for v in self.posed.vertices])

    @property
    def contact(self) -> NDArray[np.bool_]:
        """(T, 2): part of the left and right sole is within 2 cm of the floor, below 0.3 m/s."""
        body = self.person.body
        shoes = body.weight_of("foot", "toe") > 0.5
        left = body.reference[:, 0] > 0
        flags = []
        for foot in (shoes & left, shoes & ~left):
            points = self.vertices[:, np.flatnonzero(foot)]
            speed = np.linalg.norm(np.gradient(points, 1 / FPS, axis=0), axis=-1)
            flags.append(((points[..., 1] < 0.02) & (speed < 0.3)).any(1))
        return np.stack(flags, 1)

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-able: what moved and shaped the person."""
        start, end = self.seconds
        return {
            "motion": {"archive": "CMU", "clip": self.clip, "start_s": start, "end_s": end},
            "anny": {"version": "0.6.2", "phenotype": self.person.body.phenotype},
        }


def fitted(
    person: Dressed, archive: Path, clip: str, seconds: tuple[float, float], raised: float = 0.0
) -> Posed:
    """A clip's motion on a body, in the archive's own frame; the head `raised` by radians."""
    torch.set_num_threads(1)  # small tensors: threads only wait for each other
    motion = read_motion(str(archive), clip, *seconds, FPS)
    rotations, root = fit(person.body, motion, sole=person.sole)
    c, s = np.cos(raised), np.sin(raised)
    up = torch.tensor([[1, 0, 0], [0, c, s], [0, -s, c]], dtype=rotations.dtype)
    head = person.body.bones.index("head")
    rotations = rotations.clone()
    rotations[:, head] = up @ rotations[:, head]
    return person.body.pose(rotations, root)


def turned(posed: Posed, yaw: float) -> Posed:
    """A body turned about the vertical."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)
    return Posed(*((points @ turn.T) for points in _points(posed)))


def moved(posed: Posed, offset: NDArray[np.floating]) -> Posed:
    """A body moved by an offset (3,)."""
    return Posed(*((points + offset).astype(np.float32) for points in _points(posed)))


def middle(posed: Posed) -> NDArray[np.float32]:
    """Middle (3,) of where the hips go, on the floor."""
    hips = posed.h36m[:, 0]
    return (hips.min(0) + hips.max(0)) / 2 * [1, 0, 1]


def _points(posed: Posed) -> tuple[NDArray[np.float32], ...]:
    return posed.vertices, posed.coco, posed.h36m, posed.feet


def camera_before(place: NDArray[np.floating], distance: float, size: tuple[int, int]) -> Camera:
    """A camera so many metres before a place on the floor."""
    eye = place + [0, CAMERA_HEIGHT, distance]
    return Camera.look(eye, eye + [0, PITCH, -1], FOCAL * size[0], size)


def hall(place: NDArray[np.floating]) -> Room:
    """Tiled floor, brick and plaster walls, shelf, bench, crates, a picture, a door, round a place.

    The camera's side is at +z.
    """
    toward = np.array([0.35, 0.85, 0.42])
    light = Light(
        toward / np.linalg.norm(toward),
        np.array([1.5, 1.42, 1.3]),
        np.array([0.6, 0.65, 0.72]),
        np.array([0.2, 0.18, 0.16]),
    )
    boxes = (
        ((-3.6, 0.0, -4.2), (-1.9, 2.05, -3.85), (0.2, 0.12, 0.07), "books"),
        ((-1.2, 0.0, -4.2), (0.2, 0.44, -3.75), (0.28, 0.17, 0.09), "wood"),
        ((1.2, 0.0, -4.2), (2.2, 2.1, -4.12), (0.09, 0.16, 0.15), "wood"),
        ((3.3, 0.0, -4.0), (4.0, 0.7, -3.3), (0.3, 0.2, 0.11), "wood"),
        ((3.45, 0.7, -3.85), (3.9, 1.15, -3.4), (0.34, 0.24, 0.14), "wood"),
        ((-0.9, 1.35, -4.2), (0.0, 2.0, -4.17), (0.1, 0.22, 0.32), "plaster"),
        ((-5.4, 0.0, -3.4), (-4.6, 0.95, -2.2), (0.25, 0.26, 0.27), "plaster"),
    )
    return Room(
        np.array([-6.0, 0.0, -4.2]) + place,
        np.array([5.5, 3.4, 9.5]) + place,
        tuple((tuple(a + place), tuple(b + place), c, t) for a, b, c, t in boxes),
        light,
    )


class Film:
    """What a camera sees of actors in a room, frame by frame.

    Attributes
    ----------
    seen
        (P, T, 17) COCO's flags of the frames drawn so far.
    boxes
        (P, T, 4) of everyone's pixels, those that somebody hides among them.
    shown
        (P, T) share of these pixels that nobody hides.
    """

    def __init__(self, actors: list[Actor], room: Room, camera: Camera) -> None:
        self.actors, self.room, self.camera = actors, room, camera
        self.count = len(actors[0].posed.coco)
        self.seen = np.zeros((len(actors), self.count, 17), np.int64)
        self.boxes = np.zeros((len(actors), self.count, 4), np.float32)
        self.shown = np.zeros((len(actors), self.count), np.float32)
        self._velocity = [np.gradient(actor.vertices, axis=0) for actor in actors]
        self._empty, self._distance, self._floor = draw(room, camera)
        self._chance = np.random.default_rng(0)

    def frame(self, t: int) -> NDArray[np.uint8]:
        """The picture (H, W, 3) of a frame; they must be drawn in order, for the noise."""
        layers = [self._people(t, moment) for moment in MOMENTS]
        colour, alpha = (np.mean(part, 0) for part in zip(*layers, strict=True))
        lighted = np.ones(alpha.shape, np.float32)
        for actor in self.actors:
            dark = shadow(actor.vertices[t], actor.person.body.faces, self.room, self.camera)
            lighted *= 1 - dark * self._floor
        ground = self._empty * lighted[..., None]
        return expose(colour + ground * (1 - alpha)[..., None], self._chance)

    def _people(self, t: int, moment: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Everyone's colour (H, W, 3), times alpha, and alpha (H, W), at a moment of a frame."""
        pictures = []
        for actor, velocity in zip(self.actors, self._velocity, strict=True):
            vertices = actor.vertices[t] + moment * SHUTTER * velocity[t]
            pictures.append(render(actor.person, vertices, self.camera, self.room.light))
        nearest = np.minimum.reduce([self._distance, *(picture.depth for picture in pictures)])
        if moment == 0:
            for n, (actor, picture) in enumerate(zip(self.actors, pictures, strict=True)):
                self.seen[n, t] = visibility(actor.posed.coco[t], self.camera, nearest)
                solid = picture.alpha > 0.5
                rows, columns = np.nonzero(solid)
                self.boxes[n, t] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                self.shown[n, t] = (picture.depth[solid] <= nearest[solid]).mean()
        depths = [self.camera.see(actor.posed.h36m[t, 0])[2] for actor in self.actors]
        colour = np.zeros((*self._distance.shape, 3), np.float32)
        alpha = np.zeros(self._distance.shape, np.float32)
        for n in np.argsort(depths)[::-1]:
            through = 1 - pictures[n].alpha
            colour = pictures[n].colour + colour * through[..., None]
            alpha = pictures[n].alpha + alpha * through
        return colour, alpha

    def write(self, video: Path, crf: int) -> NDArray[np.float64]:
        """Draw all frames into a file; their presentation times (T,), seconds."""
        return write_video(video, map(self.frame, range(self.count)), self.camera.size, crf)

    def stills(self, folder: Path, every: int) -> None:
        """Draw every n-th frame into a PNG."""
        for t in range(0, self.count, every):
            cv2.imwrite(str(folder / f"still_{t:03d}.png"), self.frame(t)[..., ::-1])

    def truth(self, n: int) -> dict[str, NDArray[Any]]:
        """What README.md lists of the n-th actor."""
        actor = self.actors[n]
        posed, seen = actor.posed, self.seen[n]
        keypoints = self.camera.project(posed.coco)
        keypoints[seen == 0] = np.nan
        return {
            "keypoints_2d": keypoints.astype(np.float32),
            "visibility": seen.astype(np.int8),
            "box": self.boxes[n],
            "joints_world": posed.h36m,
            "joints_camera": self.camera.see(posed.h36m).astype(np.float32),
            "keypoints_world": posed.coco,
            "root_world": posed.h36m[:, 0],
            "feet_world": posed.feet,
            "contact": actor.contact,
            "body_height": np.float64(actor.person.body.height),
        }

    def view(self) -> dict[str, NDArray[Any]]:
        """What README.md lists of the camera."""
        return {
            "camera_matrix": self.camera.matrix,
            "camera_rotation": self.camera.rotation,
            "camera_translation": self.camera.translation,
            "image_size": np.array(self.camera.size, np.int64),
        }


def meta(facts: dict[str, Any]) -> NDArray[np.str_]:
    """What a file of truth says about itself."""
    feet = [f"{side}_{part}" for side in ("left", "right") for part in FEET]
    said = {"what": "what the rendered mesh shows; metres, seconds, pixels", **facts, "feet": feet}
    return np.array(json.dumps(said))


def expose(frame: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A camera's picture uint8 of linear light (H, W, 3): glare, lens fall-off, noise."""
    height, width = frame.shape[:2]
    frame = 0.94 * frame + 0.06 * cv2.GaussianBlur(frame, (0, 0), 14)
    y, x = np.mgrid[:height, :width]
    radius = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / (width / 2) ** 2
    frame = frame * (1 - 0.16 * radius)[..., None]
    frame = cv2.GaussianBlur(frame, (0, 0), 0.55)
    grain = rng.normal(0, 1, (height, width, 1)) + 0.5 * rng.normal(0, 1, (height, width, 3))
    frame = frame + grain * np.sqrt(np.clip(frame, 0, 1) * 4e-5 + 2e-6)
    return (to_srgb(frame.astype(np.float32)) * 255 + 0.5).astype(np.uint8)


def write_video(
    path: Path, frames: Iterable[NDArray[np.uint8]], size: tuple[int, int], crf: int
) -> NDArray[np.float64]:
    """H.264, yuv420p; the frames' presentation times (T,), seconds."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = size
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, FPS * 512)
        stream.options = {"crf": str(crf), "preset": "veryslow"}
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        return np.array([float(f.pts * f.time_base) for f in container.decode(video=0)])
