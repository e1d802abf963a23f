"""The place: a tiled hall, drawn by casting one ray per pixel at planes and boxes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterise import Camera, Light, rasterise

Box = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float], str]


@dataclass(frozen=True)
class Room:
    """A room of axis-aligned boxes on the floor y = 0.

    Attributes
    ----------
    low, high
        (3,) corners of the inside; `low[1]` is 0.
    boxes
        Furniture: lower corner, upper corner, linear colour, texture name.
    light
        As it falls on people and things.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    boxes: tuple[Box, ...]
    light: Light


def noise(points: NDArray[np.float64], scale: float, seed: int) -> NDArray[np.float64]:
    """Smooth value noise in about [-1, 1] of points (N, 2), features `scale` metres wide."""
    table = np.random.default_rng(seed).uniform(-1, 1, (64, 64))
    p = points / scale
    cell = np.floor(p).astype(int)
    f = p - cell
    f = f * f * (3 - 2 * f)
    x0, y0, x1, y1 = cell[:, 0] % 64, cell[:, 1] % 64, (cell[:, 0] + 1) % 64, (cell[:, 1] + 1) % 64
    upper = table[y0, x0] * (1 - f[:, 0]) + table[y0, x1] * f[:, 0]
    lower = table[y1, x0] * (1 - f[:, 0]) + table[y1, x1] * f[:, 0]
    return upper * (1 - f[:, 1]) + lower * f[:, 1]


def fractal(points: NDArray[np.float64], scale: float, seed: int) -> NDArray[np.float64]:
    """Four octaves of `noise`."""
    return sum(noise(points, scale / 2**i, seed + i) / 2**i for i in range(4)) / 1.9


def tiles(p, size, seed, colour, joint=0.006):  # type: ignore[no-untyped-def]
    """Stone tiles (N, 3) with joints; every tile a little different."""
    cell = np.floor(p / size)
    tint = np.sin(cell @ [12.9898, 78.233] + seed) * 43758.5453
    tint = tint - np.floor(tint)
    inside = p / size - cell
    edge = np.minimum(inside, 1 - inside).min(1) * size
    stone = 1 + 0.12 * (tint - 0.5) + 0.1 * fractal(p + tint[:, None] * 7, 0.5, seed)
    stone = stone + 0.06 * noise(p, 0.012, seed + 9)
    groove = 0.5 + 0.5 * np.clip((edge - joint / 2) / joint, 0, 1)
    return np.array(colour) * (stone * groove)[:, None]


def wood(p, seed, colour):  # type: ignore[no-untyped-def]
    """Planks (N, 3) with grain."""
    board = np.floor(p[:, 1] / 0.14)
    grain = fractal(p * [0.12, 1.6] + board[:, None] * 3.7, 0.06, seed)
    joint = np.abs(p[:, 1] / 0.14 - board - 0.5) > 0.48
    return (
        np.array(colour)
        * ((1 + 0.3 * grain + 0.1 * np.sin(board * 5)) * (1 - 0.4 * joint))[:, None]
    )


def plaster(p, seed, colour):  # type: ignore[no-untyped-def]
    """Painted wall (N, 3)."""
    return (
        np.array(colour) * (1 + 0.05 * fractal(p, 1.4, seed) + 0.03 * noise(p, 0.02, seed))[:, None]
    )


def bricks(p, seed, colour):  # type: ignore[no-untyped-def]
    """Brick wall (N, 3)."""
    row = np.floor(p[:, 1] / 0.075)
    shifted = np.column_stack([p[:, 0] + (row % 2) * 0.125, p[:, 1]])
    cell = np.column_stack([np.floor(shifted[:, 0] / 0.25), row])
    tint = np.sin(cell @ [91.7, 37.3] + seed) * 9758.5453
    tint -= np.floor(tint)
    u = shifted[:, 0] / 0.25 - cell[:, 0]
    v = p[:, 1] / 0.075 - row
    mortar = (u < 0.04) | (v < 0.12)
    face = np.array(colour) * (0.75 + 0.5 * tint + 0.15 * noise(p, 0.03, seed))[:, None]
    return np.where(mortar[:, None], 0.38 + 0.05 * noise(p, 0.05, seed + 1)[:, None], face)


def books(p, seed, colour):  # type: ignore[no-untyped-def]
    """A shelf (N, 3) of coloured spines."""
    shelf = np.floor(p[:, 1] / 0.34)
    spine = np.floor(p[:, 0] / 0.045 + 3 * np.sin(shelf * 7))
    mix = np.sin(np.outer(spine * 12.7 + shelf * 31.1, [1.0, 1.3, 1.7])) * 0.5 + 0.5
    height = p[:, 1] / 0.34 - shelf
    top = 0.7 + 0.2 * np.sin(spine * 5.3)
    board = height < 0.07
    grey = mix.mean(1, keepdims=True)
    colours = 0.03 + 0.22 * (0.45 * mix + 0.55 * grey) ** 2
    colours = np.where((height > top)[:, None], 0.015, colours)
    return np.where(board[:, None], np.array(colour), colours)


TEXTURES = {"wood": wood, "plaster": plaster, "bricks": bricks, "books": books}


def draw(room: Room, camera: Camera, supersample: int = 2):  # type: ignore[no-untyped-def]
    """The empty room.

    Returns
    -------
    colour, depth, floor
        (H, W, 3) linear; (H, W) metres along the viewing direction; (H, W) share of floor.
    """
    big = camera.scaled(supersample)
    width, height = big.size
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.column_stack([u.ravel(), v.ravel(), np.ones(u.size)]) @ np.linalg.inv(big.matrix).T
    rays = rays @ camera.rotation  # world, unit depth: distance along a ray is camera z
    eye = camera.eye
    colour = np.zeros((u.size, 3))
    with np.errstate(divide="ignore", invalid="ignore"):
        walls = np.where(rays > 0, (room.high - eye) / rays, (room.low - eye) / rays)
    depth = walls.min(1)
    axis = walls.argmin(1)
    floor = (axis == 1) & (rays[:, 1] < 0)
    points = eye + rays * depth[:, None]
    for which in range(3):
        for positive in (False, True):
            here = (axis == which) & ((rays[:, which] > 0) == positive)
            if here.any():
                colour[here] = wall(room, points[here], which, positive)
    for number, (low, high, paint, texture) in enumerate(room.boxes):
        with np.errstate(divide="ignore", invalid="ignore"):
            first = np.where(rays > 0, (low - eye) / rays, (high - eye) / rays)
            last = np.where(rays > 0, (high - eye) / rays, (low - eye) / rays)
        enter = first.max(1)
        hit = (enter < last.min(1)) & (enter > 0) & (enter < depth)
        side = first.argmax(1)[hit]
        p = eye + rays[hit] * enter[hit][:, None]
        depth[hit], floor[hit] = enter[hit], False
        flat = np.where(
            (side == 0)[:, None],
            p[:, [2, 1]],
            np.where((side == 1)[:, None], p[:, [0, 2]], p[:, :2]),
        )
        normal = np.zeros((len(p), 3))
        normal[np.arange(len(p)), side] = -np.sign(rays[hit][np.arange(len(p)), side])
        colour[hit] = TEXTURES[texture](flat, 50 + number, paint) * shine(room, p, normal)
    fine = np.column_stack([colour, floor]).reshape(height, width, 4)
    k = supersample
    coarse = fine.reshape(height // k, k, width // k, k, 4).mean((1, 3))
    nearest = depth.reshape(height // k, k, width // k, k).min((1, 3))
    return (
        coarse[..., :3].astype(np.float32),
        nearest.astype(np.float32),
        coarse[..., 3].astype(np.float32),
    )


def shine(room: Room, points, normal):  # type: ignore[no-untyped-def]
    """Light (N, 3) on points (N, 3): sun or lamp, sky, darker in corners and near the furniture."""
    light = room.light
    facing = np.clip(normal @ light.direction, 0, None)[:, None]
    up = (normal[:, 1:2] + 1) / 2
    gap = np.minimum(points - room.low, room.high - points)
    gap = np.where(np.abs(normal) > 0.5, np.inf, gap).min(1)
    corner = 1 - 0.45 * np.exp(-gap / 0.45)
    for low, high, _, _ in room.boxes:
        away = np.maximum(np.maximum(low - points, points - high), 0)
        distance = np.linalg.norm(away, axis=1)
        outside = distance > 1e-6
        corner = corner * np.where(outside, 1 - 0.5 * np.exp(-distance / 0.16), 1)
    return (
        0.75 * light.key * facing * corner[:, None]
        + (light.sky * up + light.ground * (1 - up)) * corner[:, None]
    )


def wall(room: Room, points, axis, positive):  # type: ignore[no-untyped-def]
    """Colour (N, 3) of the floor, the ceiling or a wall."""
    normal = np.zeros((len(points), 3))
    normal[:, axis] = -1.0 if positive else 1.0
    brightness = shine(room, points, normal)
    if axis == 1 and not positive:
        turned = points[:, [0, 2]] @ np.array([[0.985, -0.174], [0.174, 0.985]])
        return tiles(turned, 0.6, 3, (0.36, 0.33, 0.29)) * brightness
    if axis == 1:
        return plaster(points[:, [0, 2]], 5, (0.7, 0.7, 0.68)) * (0.4 + 0 * brightness)
    flat = points[:, [2, 1]] if axis == 0 else points[:, :2]
    if axis == 2:
        colour = bricks(flat, 8, (0.33, 0.15, 0.1))
    else:
        colour = plaster(flat, 11 + positive, (0.5, 0.52, 0.5))
    skirting = flat[:, 1] < 0.12
    colour[skirting] = (0.12, 0.1, 0.09)
    return colour * brightness


def shadow(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int64],
    room: Room,
    camera: Camera,
) -> NDArray[np.float32]:
    """How dark (H, W) in [0, 1] a person makes the floor, by the light and where feet touch."""
    total = np.zeros(camera.size[::-1], np.float32)
    for direction, blur, strength in (
        (room.light.direction, 3.5, 0.55),
        (np.array([0.0, 1.0, 0.0]), 9.0, 0.35),
        (np.array([0.0, 1.0, 0.0]), 2.0, 0.45),
    ):
        flat = vertices - direction * (vertices[:, 1:2] / direction[1])
        chosen = faces if blur > 3 else faces[vertices[faces, 1].max(1) < 0.09]
        pixels, depth = camera.project(flat), camera.see(flat)[:, 2]
        both = np.concatenate([chosen, chosen[:, ::-1]])
        shown, _, _ = rasterise(pixels, depth, both, camera.size)
        mask = cv2.GaussianBlur((shown >= 0).astype(np.float32), (0, 0), blur)
        total = 1 - (1 - total) * (1 - strength * mask)
    return total
