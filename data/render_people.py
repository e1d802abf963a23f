"""Rendered people as extra training pictures for the detector: RGBA sprites with COCO keypoints.

    python data/render_people.py --motion ../shared/data/motion --count 2000 --out sprites

Every sprite is one whole person: a random shape in a random pose of the CMU archives, dressed and
lit at random, seen from a random side, from behind more often than not. Paste them over
photographs, several and overlapping for crowds, partly outside the picture for people cut off.
"""

import argparse
import colorsys
import json
from pathlib import Path

import numpy as np
import torch
from body import Body, Dressed, Outfit
from fit import Motion, fit
from PIL import Image
from rasterise import Camera, Light, render, to_srgb, visibility

ARCHIVES = ("cmu.npz", "cmu_expmap.npz", "cmu_neo.npz", "cmu_daz.npz")
SKINS = np.array([(0.72, 0.48, 0.37), (0.6, 0.38, 0.27), (0.45, 0.26, 0.17), (0.25, 0.13, 0.08),
                  (0.12, 0.06, 0.04)])  # fmt: skip
HAIRS = np.array([(0.02, 0.015, 0.012), (0.06, 0.035, 0.02), (0.16, 0.09, 0.05),
                  (0.4, 0.28, 0.13), (0.35, 0.34, 0.33), (0.22, 0.07, 0.03)])  # fmt: skip
BATCH = 250  # poses fitted, then rendered, at once


def random_motion(folder: Path, count: int, rng: np.random.Generator) -> Motion:
    """`count` single frames: an archive, then a subject, then a clip, then a frame."""
    joints, face = [], []
    archives = [np.load(folder / name, allow_pickle=False) for name in ARCHIVES]
    archives = [{key: data[key] for key in data.files} for data in archives]
    for which in rng.choice(len(archives), count, p=[0.76, 0.08, 0.08, 0.08]):
        data = archives[which]
        subject = rng.choice(np.unique(data["subject"]))
        clip = rng.choice(np.flatnonzero(data["subject"] == subject))
        row = data["start"][clip] + rng.integers(data["length"][clip])
        joints.append(data["h36m_rel"][row])
        face.append(data["face_rel"][row])
    return Motion(np.array(joints, np.float32), np.array(face, np.float32), fps=0)


def random_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """Linear RGB of cloth: black, white, grey, or some colour."""
    if rng.random() < 0.4:
        grey = rng.choice([0.02, 0.05, 0.15, 0.35, 0.7, 0.8]) * rng.uniform(0.8, 1.2)
        return (grey, grey, grey)
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.3, 0.95), rng.uniform(0.05, 0.75))


def random_person(rng: np.random.Generator) -> Dressed:
    """A random shape in random clothes."""
    gender = float(np.clip(rng.choice([0.1, 0.9]) + rng.normal(0, 0.1), 0, 1))
    child = rng.random() < 0.12
    body = Body(
        gender=gender,
        age=float(rng.uniform(0.3, 0.55) if child else rng.uniform(0.6, 0.95)),
        height=float(rng.uniform(0.2, 0.6)),
        weight=float(np.clip(rng.normal(0.5, 0.2), 0.1, 1)),
        muscle=float(rng.uniform(0.3, 0.75)),
        proportions=float(rng.uniform(0.3, 0.9)),
    )
    trousers = random_colour(rng) if rng.random() < 0.6 else (0.06, 0.09, 0.17)
    outfit = Outfit(
        skin=tuple(SKINS[rng.integers(len(SKINS))] * rng.uniform(0.8, 1.2)),
        hair_colour=tuple(HAIRS[rng.integers(len(HAIRS))] * rng.uniform(0.7, 1.3)),
        shirt=random_colour(rng),
        shirt_2=random_colour(rng),
        trousers=trousers,
        shoes=random_colour(rng),
        sleeve=float(rng.choice([rng.uniform(0.05, 0.3), rng.uniform(0.4, 0.9), 1.95])),
        leg=float(rng.choice([rng.uniform(0.3, 0.95), 1.95], p=[0.35, 0.65])),
        waist=float(rng.uniform(-0.1, 0.08)),
        loose=float(rng.uniform(0.006, 0.03)),
        hair=0.0 if rng.random() < 0.06 else float(rng.uniform(0.012, 0.035)),
        long_hair=bool(rng.random() < (0.65 if gender > 0.5 else 0.08)),
        pattern=str(rng.choice(["plain", "stripes", "checks", "print"], p=[0.6, 0.13, 0.12, 0.15])),
        seed=int(rng.integers(1 << 30)),
    )
    return Dressed(body, outfit)


def random_light(rng: np.random.Generator) -> Light:
    """Anything from noon sun to an overcast sky or a lamp."""
    azimuth, height = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(15, 80))
    direction = np.array(
        [np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)]
    )
    sun, level = rng.uniform(0.15, 1.9), rng.uniform(0.6, 1.2)
    warm = 1 + rng.uniform(-0.12, 0.2) * np.array([1, 0, -1])
    return Light(
        direction,
        level * sun * warm,
        level * rng.uniform(0.35, 0.75) * (2 - warm),
        level * rng.uniform(0.12, 0.35) * warm,
    )


def random_camera(
    points: np.ndarray, facing: float, size: int, rng: np.random.Generator
) -> tuple[Camera, float, float]:
    """A camera that sees all points, `size` px along their longer side; azimuth, elevation."""
    behind = rng.random() < 0.45
    azimuth = np.pi + rng.normal(0, 0.6) if behind else rng.uniform(-np.pi, np.pi)
    elevation = np.radians(
        rng.choice(
            [rng.normal(4, 7), rng.uniform(12, 60), rng.uniform(-25, 0)], p=[0.68, 0.24, 0.08]
        )
    )
    roll = np.radians(rng.normal(0, 5) if rng.random() < 0.95 else rng.uniform(-90, 90))
    middle = (points.min(0) + points.max(0)) / 2
    angle = facing + azimuth
    away = np.array([np.sin(angle) * np.cos(elevation), np.sin(elevation),
                     np.cos(angle) * np.cos(elevation)])  # fmt: skip
    eye = middle + rng.uniform(2.2, 9) * away
    trial = Camera.look(eye, middle, 1.0, (0, 0), roll)
    flat = trial.project(points)
    low, high = flat.min(0), flat.max(0)
    focal = (size - 4) / (high - low).max()
    width, height = np.ceil((high - low) * focal + 4).astype(int)
    matrix = np.array([[focal, 0, 2 - low[0] * focal], [0, focal, 2 - low[1] * focal], [0, 0, 1]])
    camera = Camera(matrix, trial.rotation, trial.translation, (int(width), int(height)))
    return camera, float(azimuth), float(elevation)


def sprite(person, rotations, root, rng):  # type: ignore[no-untyped-def]
    """One picture, uint8 (H, W, 4), and its COCO annotation."""
    posed = person.body.pose(rotations, root)
    vertices = person.dress(posed.vertices[0])
    left = posed.h36m[0, 4] - posed.h36m[0, 1]
    facing = np.arctan2(-left[2], left[0])  # of the hips, about the vertical
    size = int(np.exp(rng.uniform(np.log(150), np.log(352))))
    camera, azimuth, elevation = random_camera(vertices, facing, size, rng)
    picture = render(person, vertices, camera, random_light(rng))
    opaque = picture.colour / np.maximum(picture.alpha, 1e-3)[..., None]
    image = np.dstack([to_srgb(opaque), picture.alpha])
    flags = visibility(posed.coco[0], camera, picture.depth)
    pixels = np.where(flags[:, None] > 0, camera.project(posed.coco[0]), 0)
    rows, columns = np.nonzero(picture.alpha > 0.5)
    x, y = int(columns.min()), int(rows.min())
    annotation = {
        "bbox": [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y],
        "area": float(picture.alpha.sum()),
        "iscrowd": 0,
        "category_id": 1,
        "num_keypoints": int((flags > 0).sum()),
        "keypoints": np.column_stack([pixels.round(2), flags]).ravel().tolist(),
        "azimuth": round(float(np.degrees(azimuth)) % 360, 1),
        "elevation": round(float(np.degrees(elevation)), 1),
    }
    return (image * 255 + 0.5).astype(np.uint8), annotation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--motion", type=Path, required=True, help="folder of the motion archives")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(options.seed)
    images, annotations = [], []
    while len(images) < options.count:
        batch = min(BATCH, options.count - len(images))
        motion = random_motion(options.motion, batch, rng)
        rotations, root = fit(Body(age=0.66), motion, steps=120)
        for i in range(batch):
            number = len(images) + 1
            person = random_person(rng)
            picture, annotation = sprite(person, rotations[i : i + 1], root[i : i + 1], rng)
            name = f"{options.seed:03d}_{number:05d}.webp"
            Image.fromarray(picture, "RGBA").save(options.out / name, quality=75, method=4)
            height, width = picture.shape[:2]
            images.append({"id": number, "file_name": name, "width": width, "height": height})
            annotations.append({"id": number, "image_id": number} | annotation)
        categories = [{"id": 1, "name": "person"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (options.out / f"people_{options.seed:03d}.json").write_text(json.dumps(content))
        print(f"{len(images)} of {options.count}", flush=True)


if __name__ == "__main__":
    main()
