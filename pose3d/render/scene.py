"""The 3D panel: skeletons on a floor with metre squares, seen by a camera that stands still.

It looks from where the video's camera stands, from a little higher and a little to the side, so
that who is left in the video is left here, and depth can be seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d.render import draw, style
from pose3d.render.style import Sizes
from pose3d.skeleton import H36M

Array = NDArray[np.float64]

YAW, PITCH = np.radians(24.0), np.radians(14.0)  # to the side, downwards
FIELD_OF_VIEW = np.radians(30.0)  # over the panel's height
MARGIN = 0.06  # of the panel, left free on every side
REACH = 0.5  # metres between anybody and the edge of the floor
LARGEST = 14.0  # metres of floor; who is farther away is outside
TRAIL_FADE = 0.45  # how far the way somebody came is faded
DOUBT_FADE = 0.65  # how far bones are whose ends were not seen
NEAR = 0.1  # metres before the camera from which things are drawn
HEAD = H36M.index("Head")
Figure = tuple[int, Array]  # a person's number and joints (17, 3)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in the world frame.

    Attributes
    ----------
    rotation
        (3, 3), world to camera: x right, y down, z forward.
    translation
        (3,): x_camera = rotation x_world + translation.
    focal, centre
        Pixels; (cx, cy).
    """

    rotation: Array
    translation: Array
    focal: float
    centre: tuple[float, float]

    def seen(self, points: NDArray[np.floating]) -> Array:
        """Pixels and depth (..., 3) of points (..., 3) in the world; NaN behind the camera."""
        inside = np.asarray(points, float) @ self.rotation.T + self.translation
        depth = inside[..., 2]
        depth = np.where(depth > NEAR, depth, np.nan)
        pixels = self.focal * inside[..., :2] / depth[..., None] + self.centre
        return np.concatenate([pixels, depth[..., None]], -1)

    @classmethod
    def around(cls, low: Array, high: Array, size: tuple[int, int], yaw: float = YAW) -> "Camera":
        """The nearest one that sees a box of the world, from corner to corner, in a panel.

        Parameters
        ----------
        low, high
            Corners (3,) of the box, metres.
        size
            Width and height of the panel, pixels.
        yaw
            Radians by which it stands to the side.
        """
        width, height = size
        rotation = _rotation(yaw)
        focal = height / 2 / np.tan(FIELD_OF_VIEW / 2)
        corners = np.stack(np.meshgrid(*np.stack([low, high], 1)), -1).reshape(-1, 3)
        inside = (corners - (low + high) / 2) @ rotation.T
        room = np.array([width, height]) * (1 - 2 * MARGIN)

        def seen(distance: float) -> Array:
            return focal * inside[:, :2] / (inside[:, 2:] + distance)

        too_near = 1 - inside[:, 2].min()
        enough = too_near + 100 * float(np.linalg.norm(high - low))
        for _ in range(40):
            middle = (too_near + enough) / 2
            if (np.ptp(seen(middle), axis=0) > room).any():
                too_near = middle
            else:
                enough = middle
        corner = seen(enough)
        x, y = np.array([width, height]) / 2 - (corner.min(0) + corner.max(0)) / 2
        translation = np.array([0, 0, enough]) - rotation @ (low + high) / 2
        return cls(rotation, translation, focal, (float(x), float(y)))

    def moved(self, yaw: float, middle: Array) -> "Camera":
        """The same one elsewhere on a circle around a point, which it sees where it did."""
        rotation = _rotation(yaw)
        stays = self.rotation @ middle + self.translation
        return replace(self, rotation=rotation, translation=stays - rotation @ middle)


def _rotation(yaw: float) -> Array:
    """World to camera, for one that stands to the side by `yaw` radians and a little higher."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    turn = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    cos, sin = np.cos(PITCH), np.sin(PITCH)
    tilt = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return np.diag([1.0, -1, -1]) @ tilt @ turn


class Scene:
    """A panel of a size, with the floor that all of a recording's people need.

    Parameters
    ----------
    people
        Everyone's joints (T, 17, 3) in the world frame; NaN where missing.
    size
        Width and height, pixels.
    orbit
        Seconds in which the camera goes once around; None: it stands still.
    """

    def __init__(
        self, people: Sequence[Array], size: tuple[int, int], orbit: float | None = None
    ) -> None:
        self.size = size
        self.sizes = Sizes.of(size[1])
        self.orbit = orbit
        self._low, self._high = extent(people)
        self.camera = self._camera()
        self._empty = self._floor()

    def draw(
        self,
        figures: Sequence[Figure],
        trails: Sequence[Figure] = (),
        time: float = 0.0,
        doubts: Mapping[int, NDArray[np.bool_]] = MappingProxyType({}),
    ) -> NDArray[np.uint8]:
        """The panel RGB uint8 (H, W, 3) with these people in it, the nearer ones in front.

        Parameters
        ----------
        figures
            Numbers and joints (17, 3) of those who are there.
        trails
            Numbers and the ways (K, 3) that they came.
        time
            Seconds, from which an orbiting camera knows where it is.
        doubts
            By number which joints (17,) were not seen: these are faint.
        """
        if self.orbit is not None:
            yaw = YAW + 2 * np.pi * time / self.orbit
            self.camera = self.camera.moved(yaw, (self._low + self._high) / 2)
            canvas = self._floor()
        else:
            canvas = self._empty.copy()
        for number, way in trails:
            points = self.camera.seen(way * [1, 0, 1])[:, :2]
            colour = style.faded(style.of_person(number), TRAIL_FADE)
            draw.curve(canvas, points, colour, max(self.sizes.bone // 2, 1))
        strokes: list[tuple[float, Array, Array, style.Colour]] = []
        for number, joints in figures:
            self._shadow(canvas, joints)
            points = self.camera.seen(joints)
            doubtful = doubts.get(number, np.zeros(len(H36M), bool))
            for a, b in H36M.bones:
                colour = style.of_bone(H36M, (a, b), style.of_person(number))
                if doubtful[a] or doubtful[b]:
                    colour = style.faded(colour, DOUBT_FADE)
                strokes.append((points[a, 2] + points[b, 2], points[a, :2], points[b, :2], colour))
        seen = [stroke for stroke in strokes if np.isfinite(stroke[0])]
        for _, start, end, colour in sorted(seen, key=lambda stroke: -stroke[0]):
            draw.line(canvas, start, end, colour, self.sizes.bone + 1, self.sizes.outline)
        for number, joints in figures:
            top = self.camera.seen(joints[HEAD] + np.array([0, 0.2, 0]))
            draw.label(canvas, str(number), top[:2], style.of_person(number), self.sizes)
        return canvas

    def _shadow(self, canvas: NDArray[np.uint8], joints: Array) -> None:
        """What the sun in the zenith would leave of a skeleton on the floor."""
        flat = self.camera.seen(joints * [1, 0, 1])[:, :2]
        for a, b in H36M.bones:
            draw.line(canvas, flat[a], flat[b], style.SHADOW, self.sizes.bone + 1)

    def _camera(self) -> Camera:
        """From where everything is seen; of one that orbits, all the way round."""
        ways = [YAW] if self.orbit is None else YAW + np.linspace(0, np.pi, 8)
        cameras = [Camera.around(self._low, self._high, self.size, yaw) for yaw in ways]
        middle = (self._low + self._high) / 2
        return max(
            cameras, key=lambda camera: float(camera.rotation[2] @ middle + camera.translation[2])
        )

    def _floor(self) -> NDArray[np.uint8]:
        """The panel without people: metre squares, a scale, and which colour is which side."""
        width, height = self.size
        low, high = self._low, self._high
        canvas = np.full((height, width, 3), style.BACKGROUND, np.uint8)
        (x0, z0), (x1, z1) = low[[0, 2]], high[[0, 2]]
        edge = self.camera.seen(np.array([[x0, 0, z0], [x1, 0, z0], [x1, 0, z1], [x0, 0, z1]]))
        outline = np.array([draw.fixed(p) for p in edge[:, :2]])
        cv2.fillConvexPoly(canvas, outline, style.FLOOR, cv2.LINE_AA, draw.SHIFT)
        thin = max(self.sizes.bone // 3, 1)
        for x in np.arange(np.ceil(x0), x1):
            self._segment(canvas, (x, 0, z0), (x, 0, z1), style.GRID, thin)
        for z in np.arange(np.ceil(z0), z1):
            self._segment(canvas, (x0, 0, z), (x1, 0, z), style.GRID, thin)
        begin = float(np.ceil(x0))
        self._segment(canvas, (begin, 0, z1), (begin + 1, 0, z1), style.TEXT, self.sizes.bone)
        x, y = self.camera.seen(np.array([begin + 0.5, 0, z1]))[:2]
        wide, tall = draw.text_size("1 m", self.sizes)
        at = np.clip([x - wide / 2, y + 1.8 * tall], [0, tall], [width - wide, height - 4])
        draw.text(canvas, "1 m", at, style.TEXT, self.sizes)
        left = 0.8 * tall
        for words, colour in (("left", style.LEFT), ("right", style.RIGHT)):
            draw.text(canvas, words, np.array([left, 1.8 * tall]), colour, self.sizes)
            left += draw.text_size(words + " ", self.sizes)[0]
        return canvas

    def _segment(
        self,
        canvas: NDArray[np.uint8],
        a: tuple[float, float, float],
        b: tuple[float, float, float],
        colour: style.Colour,
        width: int,
    ) -> None:
        ends = self.camera.seen(np.array([a, b]))
        draw.line(canvas, ends[0, :2], ends[1, :2], colour, width)


def extent(people: Sequence[Array]) -> tuple[Array, Array]:
    """Lower and upper corner of the box that people move in, from the floor up.

    One joint in two hundred may lie outside: estimates have outliers.
    """
    points = [joints.reshape(-1, 3) for joints in people]
    known = np.concatenate([*points, np.zeros((0, 3))])
    known = known[np.isfinite(known).all(-1)]
    if not len(known):
        return np.array([-1.5, 0, -1.5]), np.array([1.5, 2, 1.5])
    low, high = np.quantile(known, [0.005, 0.995], axis=0)
    middle = (low + high) / 2
    low, high = np.maximum(low, middle - LARGEST / 2), np.minimum(high, middle + LARGEST / 2)
    low, high = low - REACH, high + REACH
    low[1], high[1] = min(0.0, low[1] + REACH), max(high[1], 1.0)
    return low, high
