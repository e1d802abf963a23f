"""People whose motion is known, as a detector and a lifter would report them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose3d.sequence import Keypoints2D, Person, Pose3D
from pose3d.skeleton import COCO_SIGMAS, H36M, H36M_PARENTS

ROOT = Path(__file__).resolve().parents[1]
TRUTH = ROOT / "data" / "rendered_walk.truth.npz"
MOTION = ROOT.parent / "shared" / "data" / "motion"
ERROR_PER_TURN = 0.34  # metres that joints are off for bones turned by one radian
COCO_OF_POINTS = [17, 18, 19, 20, 21, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3]


@dataclass(frozen=True)
class Scene:
    """What a still camera saw: `joints` (T, 17, 3) and `keypoints` (T, 17, 3) in its frame."""

    times: NDArray[np.float64]
    joints: NDArray[np.float64]
    keypoints: NDArray[np.float64]
    intrinsics: NDArray[np.float64]
    rotation: NDArray[np.float64]  # from the world (y up) to the camera

    @property
    def pixels(self) -> NDArray[np.float64]:
        """(T, 17, 2) where the keypoints are in the picture."""
        seen = self.keypoints @ self.intrinsics.T
        return seen[..., :2] / seen[..., 2:]


def walker() -> Scene:
    """The rendered clip."""
    with np.load(TRUTH, allow_pickle=False) as truth:
        rotation = truth["camera_rotation"]
        keypoints = truth["keypoints_world"] @ rotation.T + truth["camera_translation"]
        return Scene(
            truth["time"],
            truth["joints_camera"].astype(float),
            keypoints,
            truth["camera_matrix"],
            rotation,
        )


def motion(archive: str, clip: str, eye: tuple[float, float, float], pitch: float = 8.0) -> Scene:
    """A clip of the motion archives seen from `eye` (world, y up), which looks along -z."""
    with np.load(MOTION / archive, allow_pickle=False) as data:
        at = list(data["clip"]).index(clip)
        rows = slice(int(data["start"][at]), int(data["start"][at] + data["length"][at]))
        points = np.concatenate([data["h36m_rel"][rows], data["face_rel"][rows]], 1).astype(float)
        points = points + data["root"][rows][:, None]
    sin, cos = np.sin(np.radians(pitch)), np.cos(np.radians(pitch))
    rotation = np.array([[1, 0, 0], [0, -cos, -sin], [0, sin, -cos]])
    seen = (points - np.array(eye)) @ rotation.T
    matrix = np.array([[1100.0, 0, 640], [0, 1100, 360], [0, 0, 1]])
    times = np.arange(len(points)) / 50
    return Scene(times, seen[:, :17], seen[:, COCO_OF_POINTS], matrix, rotation)


def part_of(archive: str, every: int, target: Path) -> Path:
    """A file with every n-th clip of one of the motion archives."""
    with np.load(MOTION / archive, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    clips, rows = len(arrays["start"]), len(arrays["root"])
    chosen = np.arange(0, clips, every)
    spans = zip(arrays["start"][chosen], arrays["length"][chosen], strict=True)
    kept = np.concatenate([np.arange(start, start + length) for start, length in spans])
    for name, array in arrays.items():
        if array.shape[:1] == (clips,):
            arrays[name] = array[chosen]
        elif array.shape[:1] == (rows,):
            arrays[name] = array[kept]
    arrays["start"] = (np.cumsum(arrays["length"]) - arrays["length"]).astype(np.int32)
    np.savez(target, **arrays)
    return target


def slow(chance: np.random.Generator, shape: tuple[int, ...], half: float) -> NDArray[np.float64]:
    """Noise of unit variance over axis 0 that changes within about `half` frames."""
    window = np.hanning(2 * round(half) + 3)[1:-1]
    window /= np.linalg.norm(window)
    white = chance.normal(size=(shape[0] + len(window) - 1, *shape[1:]))
    return np.apply_along_axis(np.convolve, 0, white, window, "valid")


def detected(scene: Scene, seed: int = 0, level: float = 0.2) -> Keypoints2D:
    """Keypoints with errors of `level` tolerances of COCO, and scores that know it."""
    chance = np.random.default_rng(seed)
    pixels = scene.pixels
    extent = np.ptp(pixels, axis=1)
    size = np.sqrt(0.7 * extent.prod(1)).clip(0.2 * extent.max(1))
    ratio = level * np.exp(0.5 * slow(chance, (len(pixels), 17), 6))
    error = 0.35 * chance.normal(size=pixels.shape) + 0.9 * slow(chance, pixels.shape, 8)
    found = pixels + error * (ratio * size[:, None] * 2 * COCO_SIGMAS)[..., None]
    score = (1 - np.exp(-0.5 * (1.177 / ratio) ** 2)).clip(0.05, 0.97)
    margin = 0.08 * extent
    box = np.concatenate([found.min(1) - margin, found.max(1) + margin], 1)
    frame = np.arange(len(pixels))
    return Keypoints2D(frame, scene.times, *(a.astype(np.float32) for a in (box, found, score)))


def lifted(
    scene: Scene, seed: int = 0, scale: float = 0.97, tilt: float = 3.0, error: float = 0.045
) -> NDArray[np.float32]:
    """Joints (T, 17, 3) relative to the hip: wrong in scale and pitch, bones trembling slowly.

    `error` is the mean distance from the truth that trembling adds, metres; bones turn, mostly in
    depth, and their lengths waver by 3 %.
    """
    chance = np.random.default_rng(seed)
    rate = 1 / np.median(np.diff(scene.times))

    def trembling(*shape: int) -> NDArray[np.float64]:
        parts = ((0.4, 0.1), (0.6, 0.4), (0.7, 1.5))
        return sum(a * slow(chance, (len(scene.times), *shape), s * rate) for a, s in parts)

    joints = np.zeros_like(scene.joints)
    turns = trembling(len(H36M), 3) * np.array([0.4, 0.4, 0.85]) * error / ERROR_PER_TURN
    lengths = 1 + 0.03 * trembling(len(H36M)) * (error > 0)
    for joint, parent in enumerate(H36M_PARENTS[1:], 1):
        bone = scene.joints[:, joint] - scene.joints[:, parent]
        length = np.linalg.norm(bone, axis=-1, keepdims=True)
        bone = bone / length + turns[:, joint]
        bone *= length * lengths[:, joint, None] / np.linalg.norm(bone, axis=-1, keepdims=True)
        joints[:, joint] = joints[:, parent] + bone
    angle = np.radians(tilt)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    return (scale * joints @ turn.T).astype(np.float32)


def person(scene: Scene, seed: int = 0, number: int = 1, **lifting: float) -> Person:
    """Someone detected and lifted."""
    return Person(number, detected(scene, seed), Pose3D(lifted(scene, seed, **lifting)))
