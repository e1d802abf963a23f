"""A z-buffer: pinhole camera, triangles to pixels, light and shadow. Plain numpy, no GPU."""

from dataclasses import dataclass

import cv2
import numpy as np
from body import SKIN, Dressed, normals
from numpy.typing import NDArray


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: x_camera = rotation @ x_world + translation (x right, y down, z forward).

    Attributes
    ----------
    matrix
        (3, 3), in pixels; (0, 0) is the outer corner of the top left pixel.
    size
        Width and height in pixels.
    """

    matrix: NDArray[np.float64]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    size: tuple[int, int]

    @staticmethod
    def look(
        eye: NDArray[np.float64],
        target: NDArray[np.float64],
        focal: float,
        size: tuple[int, int],
        roll: float = 0.0,
    ) -> "Camera":
        """A camera at `eye` that looks at `target`; world y is up, `roll` in radians."""
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.cross(forward, [0, 1, 0])
        right /= np.linalg.norm(right)
        rows = np.stack([right, np.cross(forward, right), forward])
        c, s = np.cos(roll), np.sin(roll)
        rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ rows
        matrix = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]])
        return Camera(matrix, rotation, -rotation @ eye, size)

    @property
    def eye(self) -> NDArray[np.float64]:
        """Where the camera is, world."""
        return -self.rotation.T @ self.translation

    def see(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """World points (..., 3) in the camera frame."""
        return points @ self.rotation.T + self.translation

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """World points (..., 3) to pixels (..., 2)."""
        seen = self.see(points) @ self.matrix.T
        return seen[..., :2] / seen[..., 2:]

    def scaled(self, factor: int) -> "Camera":
        """The same view with `factor` times as many pixels a side."""
        matrix = self.matrix * np.array([[factor], [factor], [1]])
        size = (self.size[0] * factor, self.size[1] * factor)
        return Camera(matrix, self.rotation, self.translation, size)


def rasterise(
    pixels: NDArray[np.float64],
    depth: NDArray[np.float64],
    faces: NDArray[np.int64],
    size: tuple[int, int],
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Which triangle every pixel shows.

    Parameters
    ----------
    pixels, depth
        (V, 2) and (V,): the vertices in the picture; depth must be positive where it counts.
    faces
        (F, 3); those that turn their back are left out.

    Returns
    -------
    face, weights, depth
        (H, W) index or -1; (H, W, 3) perspective-correct barycentric weights; (H, W), inf where
        nothing is.
    """
    width, height = size
    corner, near = pixels[faces], depth[faces]
    a, b, c = corner[:, 0], corner[:, 1], corner[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    low = np.floor(corner.min(1) - 0.5).astype(np.int64) + 1
    high = np.ceil(corner.max(1) - 0.5).astype(np.int64)
    low, high = np.maximum(low, 0), np.minimum(high, [width, height])
    extent = np.maximum(high - low, 0)
    keep = np.flatnonzero((area < 0) & (near.min(1) > 0.05) & (extent.min(1) > 0))

    counts = extent[keep, 0] * extent[keep, 1]
    owner = np.repeat(keep, counts)
    order = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    x = low[owner, 0] + order % extent[owner, 0]
    y = low[owner, 1] + order // extent[owner, 0]
    px, py = x + 0.5, y + 0.5
    a, b, c, area = a[owner], b[owner], c[owner], area[owner]
    u = ((b[:, 0] - px) * (c[:, 1] - py) - (b[:, 1] - py) * (c[:, 0] - px)) / area
    v = ((c[:, 0] - px) * (a[:, 1] - py) - (c[:, 1] - py) * (a[:, 0] - px)) / area
    inside = (u >= 0) & (v >= 0) & (u + v <= 1)
    owner, x, y, u, v = owner[inside], x[inside], y[inside], u[inside], v[inside]
    share = np.stack([u, v, 1 - u - v], 1) / near[owner]
    z = 1 / share.sum(1)
    share *= z[:, None]

    # Far to near: of several writes to a pixel the last one stays.
    order = np.argsort(-z)
    at = (y * width + x)[order]
    face = np.full(width * height, -1)
    weights = np.zeros((width * height, 3), np.float32)
    buffer = np.full(width * height, np.inf, np.float32)
    face[at], weights[at], buffer[at] = owner[order], share[order], z[order]
    shape = (height, width)
    return face.reshape(shape), weights.reshape(*shape, 3), buffer.reshape(shape)


@dataclass(frozen=True)
class Light:
    """A sun or lamp far away, and what comes from all round.

    Attributes
    ----------
    direction
        (3,) unit vector towards the light.
    key, sky, ground
        Linear RGB of the light, of what comes from above and from below.
    """

    direction: NDArray[np.float64]
    key: NDArray[np.float64]
    sky: NDArray[np.float64]
    ground: NDArray[np.float64]


SHADOW_MAP = 512


def lit(vertices: NDArray[np.float64], faces: NDArray[np.int64], light: Light):  # type: ignore[no-untyped-def]
    """A function that says how much (N,) of the light reaches points (N, 3), by a shadow map."""
    side = np.cross(light.direction, [0.3, 0.1, 0.9])
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(side, light.direction), -light.direction])
    if np.linalg.det(axes) < 0:
        axes[1] *= -1
    seen = vertices @ axes.T
    low, high = seen.min(0), seen.max(0)
    scale = (SHADOW_MAP - 8) / (high - low)[:2].max()
    origin = low - [4 / scale, 4 / scale, 1]
    flat = seen - origin
    _, _, depth = rasterise(flat[:, :2] * scale, flat[:, 2], faces, (SHADOW_MAP, SHADOW_MAP))
    depth = np.where(np.isfinite(depth), depth, 1e3).astype(np.float32)

    def reach(points: NDArray[np.float64]) -> NDArray[np.float64]:
        p = points @ axes.T - origin
        total = np.zeros(len(p))
        offsets = [(i, j) for i in (-2, 0, 2) for j in (-2, 0, 2)]
        for i, j in offsets:
            x = np.clip((p[:, 0] * scale + i).astype(int), 0, SHADOW_MAP - 1)
            y = np.clip((p[:, 1] * scale + j).astype(int), 0, SHADOW_MAP - 1)
            total += p[:, 2] < depth[y, x] + 0.02
        return total / len(offsets)

    return reach


@dataclass(frozen=True)
class Picture:
    """A rendered person, at the camera's size.

    Attributes
    ----------
    colour
        (H, W, 3) linear, premultiplied by `alpha`.
    alpha
        (H, W).
    depth
        (H, W) metres along the viewing direction, inf where nothing is.
    """

    colour: NDArray[np.float32]
    alpha: NDArray[np.float32]
    depth: NDArray[np.float32]


def render(
    person: Dressed,
    vertices: NDArray[np.float64],
    camera: Camera,
    light: Light,
    supersample: int = 2,
) -> Picture:
    """A dressed person in front of nothing.

    Parameters
    ----------
    vertices
        (V, 3) world, as `Dressed.dress` returns them.
    """
    width, height = camera.size
    pixels = camera.project(vertices)
    low = np.clip(np.floor(pixels.min(0)) - 2, 0, [width, height]).astype(int)
    high = np.clip(np.ceil(pixels.max(0)) + 2, 0, [width, height]).astype(int)
    colour = np.zeros((height, width, 3), np.float32)
    alpha = np.zeros((height, width), np.float32)
    depth = np.full((height, width), np.inf, np.float32)
    box = tuple(high - low)
    if min(box) <= 0:
        return Picture(colour, alpha, depth)

    k = supersample
    big = (box[0] * k, box[1] * k)
    z = camera.see(vertices)[:, 2]
    face, weights, buffer = rasterise((pixels - low) * k, z, person.body.faces, big)
    shown = face >= 0
    small = shade(person, vertices, camera, light, face, weights, buffer, shown)
    fine = np.zeros((*shown.shape, 4), np.float32)
    fine[shown] = np.column_stack([small, np.ones(len(small))])
    coarse = fine.reshape(box[1], k, box[0], k, 4).mean((1, 3))
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    colour[window], alpha[window] = coarse[..., :3], coarse[..., 3]
    depth[window] = buffer.reshape(box[1], k, box[0], k).min((1, 3))
    return Picture(colour, alpha, depth)


def shade(person, vertices, camera, light, face, weights, buffer, shown):  # type: ignore[no-untyped-def]
    """Colours (N, 3), linear, of the pixels shown."""
    corners = person.body.faces[face[shown]]
    share = weights[shown][..., None]

    def mix(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return (values[corners] * share).sum(1)

    fields = mix(person.fields)
    albedo, label = person.colours(fields, face[shown])
    normal = mix(normals(vertices, person.body.faces)) + wrinkles(fields, label, person.outfit.seed)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    point = mix(vertices)

    facing = np.clip(normal @ light.direction, 0, None)
    wrap = np.clip((normal @ light.direction + 0.25) / 1.25, 0, None)
    soft = np.where(label == SKIN, wrap, facing)
    direct = soft * lit(vertices, person.body.faces, light)(point + 0.004 * normal)
    up = (normal[:, 1:2] + 1) / 2
    around = light.sky * up + light.ground * (1 - up)
    around = around * openness(buffer, shown)[:, None]

    view = camera.eye - point
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    half = view + light.direction
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = np.array([0.05, 0.09, 0.0, 0.0, 0.05, 0.3, 0.05])[label]
    gloss = shine * np.clip((normal * half).sum(1), 0, None) ** 24 * (direct > 0)
    return albedo * (light.key * direct[:, None] + around) + light.key * gloss[:, None]


def wrinkles(fields, label, seed):  # type: ignore[no-untyped-def]
    """Small turns (N, 3) of the normals: folds of cloth, strands of hair."""
    rng = np.random.default_rng(seed + 1)
    waves = rng.normal(size=(8, 3)) * np.repeat([14, 24, 40, 80], 2)[:, None]
    phase = rng.uniform(0, 6.3, 8)
    height = np.cos(fields[:, :3] @ waves.T + phase)
    slope = height @ (waves / np.linalg.norm(waves, axis=1, keepdims=True))
    strength = np.array([0.02, 0.14, 0.07, 0.07, 0.03, 0, 0])[label]
    return slope * strength[:, None]


def openness(buffer, shown):  # type: ignore[no-untyped-def]
    """Ambient light (N,) that reaches each pixel: less where nearer things surround it."""
    far = buffer[shown].max()
    depth = np.where(shown, buffer, far).astype(np.float32)
    reach = max(buffer.shape) / 28
    gap = depth - cv2.GaussianBlur(depth, (0, 0), reach)
    return np.clip(1 - 2.2 * np.clip(gap[shown], 0, 0.25), 0.35, 1)


# How far (metres) the surface seen at a keypoint's pixel may lie from it, in COCO's order.
REACH = np.array([0.04, 0.04, 0.04, 0.05, 0.05, 0.14, 0.14, 0.09, 0.09, 0.07, 0.07,
                  0.18, 0.18, 0.12, 0.12, 0.1, 0.1])  # fmt: skip


def visibility(
    keypoints: NDArray[np.float64], camera: Camera, depth: NDArray[np.float32]
) -> NDArray[np.int64]:
    """COCO's flag for keypoints (17, 3), world: 2 seen, 1 hidden, 0 outside the picture.

    A keypoint is seen when the surface that its pixel (or a neighbour) shows is the flesh
    around it.
    """
    width, height = camera.size
    seen = camera.see(keypoints)
    pixels = camera.project(keypoints)
    inverse = np.linalg.inv(camera.matrix)
    flags = np.zeros(len(keypoints), np.int64)
    for i, (x, y) in enumerate(pixels):
        if not (0 <= x < width and 0 <= y < height) or seen[i, 2] <= 0:
            continue
        flags[i] = 1
        for dx, dy in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)):
            column, row = int(x) + dx, int(y) + dy
            if 0 <= column < width and 0 <= row < height and np.isfinite(depth[row, column]):
                ray = inverse @ [column + 0.5, row + 0.5, 1.0]
                if np.linalg.norm(ray * depth[row, column] - seen[i]) < REACH[i]:
                    flags[i] = 2
    return flags


def to_srgb(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear light in [0, 1] to display values in [0, 1] (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
