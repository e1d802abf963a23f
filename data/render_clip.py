"""Make `rendered_walk.mp4` and `rendered_walk.truth.npz`: a walk whose skeleton is known exactly.

    python data/render_clip.py --motion ../shared/data/motion/cmu.npz

Needs the PyPI package anny (0.6.2) beside pose3d's own dependencies. See README.md in this folder.
"""

import argparse
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from body import FEET, Body, Dressed, Outfit, Posed
from fit import fit, read_motion
from rasterise import Camera, Light, render, to_srgb, visibility
from room import Room, draw, shadow

HERE = Path(__file__).resolve().parent
CLIP, START, END, FPS = "cmu_09_12", 0.4, 8.4, 30
SIZE, FOCAL = (1280, 720), 1120.0
CAMERA_HEIGHT, CAMERA_DISTANCE, CAMERA_YAW = 1.35, 6.9, np.radians(115)
PHENOTYPE = {"gender": 0.12, "age": 0.66, "height": 0.38, "weight": 0.47, "muscle": 0.55}
OUTFIT = {
    "shirt": (0.42, 0.5, 0.58), "trousers": (0.045, 0.05, 0.065), "shoes": (0.1, 0.045, 0.02),
    "sleeve": 0.55, "waist": 0.02, "loose": 0.018, "hair": 0.017,
}  # fmt: skip
HEAD_RAISED = np.radians(12)
SHUTTER = 0.25  # share of the frame time that the shutter is open
CRF = 19


def scene() -> Room:
    """A hall: tiled floor, brick and plaster walls, shelf, bench, crates, a picture, a door."""
    toward = np.array([0.35, 0.85, 0.42])
    light = Light(
        toward / np.linalg.norm(toward),
        np.array([1.5, 1.42, 1.3]),
        np.array([0.6, 0.65, 0.72]),
        np.array([0.2, 0.18, 0.16]),
    )
    return Room(
        np.array([-6.0, 0.0, -4.2]),
        np.array([5.5, 3.4, 9.5]),
        (
            ((-3.6, 0.0, -4.2), (-1.9, 2.05, -3.85), (0.2, 0.12, 0.07), "books"),
            ((-1.2, 0.0, -4.2), (0.2, 0.44, -3.75), (0.28, 0.17, 0.09), "wood"),
            ((1.2, 0.0, -4.2), (2.2, 2.1, -4.12), (0.09, 0.16, 0.15), "wood"),
            ((3.3, 0.0, -4.0), (4.0, 0.7, -3.3), (0.3, 0.2, 0.11), "wood"),
            ((3.45, 0.7, -3.85), (3.9, 1.15, -3.4), (0.34, 0.24, 0.14), "wood"),
            ((-0.9, 1.35, -4.2), (0.0, 2.0, -4.17), (0.1, 0.22, 0.32), "plaster"),
            ((-5.4, 0.0, -3.4), (-4.6, 0.95, -2.2), (0.25, 0.26, 0.27), "plaster"),
        ),
        light,
    )


def into_world(posed: Posed, yaw: float) -> tuple[Posed, np.ndarray, np.ndarray]:
    """Turn the body about the vertical and put its first root at x = z = 0."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)
    offset = (posed.h36m[0, 0] @ turn.T) * [1, 0, 1]

    def move(points: np.ndarray) -> np.ndarray:
        return (points @ turn.T - offset).astype(np.float32)

    moved = Posed(*(move(p) for p in (posed.vertices, posed.coco, posed.h36m, posed.feet)))
    return moved, turn, offset


def contacts(vertices: np.ndarray, feet: list[np.ndarray]) -> np.ndarray:
    """Foot contact (T, 2): some of the sole is within 2 cm of the floor and slower than 0.3 m/s."""
    flags = []
    for foot in feet:
        points = vertices[:, foot]
        speed = np.linalg.norm(np.gradient(points, 1 / FPS, axis=0), axis=-1)
        flags.append(((points[..., 1] < 0.02) & (speed < 0.3)).any(1))
    return np.stack(flags, 1)


def expose(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
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


def write_video(path: Path, frames, crf: int) -> list[float]:  # type: ignore[no-untyped-def]
    """H.264, yuv420p; returns the frames' presentation times, seconds."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, FPS * 512)
        stream.options = {"crf": str(crf), "preset": "veryslow"}
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--motion", type=Path, required=True, help="cmu.npz")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--stills", type=int, default=0, help="only every n-th frame, as PNG")
    options = parser.parse_args()
    rng = np.random.default_rng(0)

    body = Body(**PHENOTYPE)
    person = Dressed(body, Outfit(**OUTFIT))
    posed = fitted(person, options.motion)
    middle = (posed.h36m[:, 0].min(0) + posed.h36m[:, 0].max(0)) / 2
    posed, turn, offset = into_world(posed, -CAMERA_YAW)
    middle = (middle @ turn.T - offset) * [1, 0, 1]
    eye = middle + [0, CAMERA_HEIGHT, CAMERA_DISTANCE]
    camera = Camera.look(eye, eye + [0, -0.055, -1], FOCAL, SIZE)

    place = scene()
    shift = middle * [1, 0, 1]
    place = Room(
        place.low + shift,
        place.high + shift,
        tuple((tuple(a + shift), tuple(b + shift), c, t) for a, b, c, t in place.boxes),
        place.light,
    )
    empty, distance, floor = draw(place, camera)
    dressed = np.stack([person.dress(v) for v in posed.vertices])
    count = len(dressed)
    velocity = np.gradient(dressed, axis=0)
    seen = np.zeros((count, 17), np.int64)
    boxes = np.zeros((count, 4), np.float32)

    def frame(t: int) -> np.ndarray:
        layers = []
        for moment in (-0.33, 0, 0.33):
            picture = render(
                person, dressed[t] + moment * SHUTTER * velocity[t], camera, place.light
            )
            layers.append((picture.colour, picture.alpha))
            if moment == 0:
                seen[t] = visibility(posed.coco[t], camera, np.minimum(picture.depth, distance))
                rows, columns = np.nonzero(picture.alpha > 0.5)
                boxes[t] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        colour, alpha = (np.mean(part, 0) for part in zip(*layers, strict=True))
        dark = shadow(dressed[t], body.faces, place, camera) * floor
        ground = empty * (1 - dark)[..., None]
        return expose(colour + ground * (1 - alpha)[..., None], rng)

    if options.stills:
        for t in range(0, count, options.stills):
            image = frame(t)
            cv2.imwrite(str(options.out / f"still_{t:03d}.png"), image[..., ::-1])
        return
    times = write_video(options.out / "rendered_walk.mp4", map(frame, range(count)), CRF)

    shoes = body.weight_of("foot", "toe") > 0.5
    left = body.reference[:, 0] > 0
    feet = [np.flatnonzero(shoes & left), np.flatnonzero(shoes & ~left)]
    save_truth(options.out / "rendered_walk.truth.npz", body, posed, camera, times, seen, boxes,
               contacts(dressed, feet))  # fmt: skip


def fitted(person: Dressed, archive: Path) -> Posed:
    """The walk, in the archive's own frame."""
    torch.set_num_threads(1)  # small tensors: threads only wait for each other
    motion = read_motion(str(archive), CLIP, START, END, FPS)
    rotations, root = fit(person.body, motion, sole=person.sole)
    return person.body.pose(raise_head(person.body, rotations), root)


def raise_head(body: Body, rotations: torch.Tensor) -> torch.Tensor:
    """The walker of this clip watches his feet; let him look ahead a little more."""
    c, s = np.cos(HEAD_RAISED), np.sin(HEAD_RAISED)
    up = torch.tensor([[1, 0, 0], [0, c, s], [0, -s, c]], dtype=rotations.dtype)
    raised = rotations.clone()
    raised[:, body.bones.index("head")] = up @ raised[:, body.bones.index("head")]
    return raised


def save_truth(path, body, posed, camera, times, seen, boxes, contact) -> None:  # type: ignore[no-untyped-def]
    """Write the arrays that README.md lists."""
    keypoints = camera.project(posed.coco)
    keypoints[seen == 0] = np.nan
    meta = {
        "what": "what the rendered mesh shows; metres, seconds, pixels",
        "motion": {"archive": "CMU", "clip": CLIP, "start_s": START, "end_s": END},
        "anny": {"version": "0.6.2", "phenotype": body.phenotype},
        "feet": [f"{side}_{part}" for side in ("left", "right") for part in FEET],
    }
    np.savez_compressed(
        path,
        time=np.array(times, np.float64),
        keypoints_2d=keypoints.astype(np.float32),
        visibility=seen.astype(np.int8),
        box=boxes,
        joints_world=posed.h36m,
        joints_camera=camera.see(posed.h36m).astype(np.float32),
        keypoints_world=posed.coco,
        root_world=posed.h36m[:, 0],
        feet_world=posed.feet,
        contact=contact,
        camera_matrix=camera.matrix,
        camera_rotation=camera.rotation,
        camera_translation=camera.translation,
        image_size=np.array(camera.size, np.int64),
        body_height=np.float64(body.height),
        meta=np.array(json.dumps(meta)),
    )


if __name__ == "__main__":
    main()
