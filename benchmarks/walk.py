"""How true the world is: the rendered walk with the bundled weights, against what was rendered.

python benchmarks/walk.py [RECORDING]

With the camera's true focal length and the walker's true height, and with neither. RECORDING is
what `pose3d detect data/rendered_walk.mp4` gave, which saves the time to detect again.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import pose3d  # noqa: E402
from pose3d import pipeline  # noqa: E402
from pose3d.angles import angles  # noqa: E402
from pose3d.body import bone_lengths, stature  # noqa: E402
from pose3d.evaluate.poses import pose_errors  # noqa: E402
from pose3d.sequence import Pose3D, Recording  # noqa: E402
from pose3d.world import rotation_to_world  # noqa: E402
from pose3d.world.frame import SOLE  # noqa: E402

CLIP = ROOT / "data" / "rendered_walk.mp4"
ANKLES = (6, 3)


def main(file: str | None = None) -> None:
    """Print a block for each."""
    with np.load(CLIP.with_suffix(".truth.npz"), allow_pickle=False) as arrays:
        truth = {name: arrays[name] for name in arrays.files}
    seen = pose3d.load(file) if file else pipeline.detect(CLIP, device="cpu")
    known: dict[str, Any] = {
        "focal_length": float(truth["camera_matrix"][0, 0]),
        "height": f"{float(truth['body_height']):.3f}m",
    }
    nothing: dict[str, Any] = {}
    for label, options in (("focal length and height given", known), ("nothing given", nothing)):
        print(label)
        for name, value in measured(pipeline.lift(seen, device="cpu", **options), truth).items():
            print(f"  {name:42} {value:7.2f}")


def measured(recording: Recording, truth: dict[str, np.ndarray]) -> dict[str, float]:
    """What is off, by name."""
    (person,), (world,) = recording.people, recording.meta["world"]
    pose, rows = person.pose, person.keypoints.frame
    assert pose is not None
    assert pose.world is not None
    assert pose.contact is not None
    rotation, translation = np.array(world["rotation"]), np.array(world["translation"])
    turn, shift = truth["camera_rotation"], truth["camera_translation"]
    joints = truth["joints_camera"][rows].astype(float)

    true_path = (joints[:, 0] @ rotation_to_world(turn[:, 1]).T)[:, [0, 2]]
    length = np.linalg.norm(np.diff(true_path, axis=0), axis=1).sum()
    off = pose.world[:, 0, [0, 2]] - (true_path - true_path[0])
    away = np.linalg.norm(off, axis=1) / length
    # The true floor under the walker, in the found world, where it should be at 0.
    floor = (truth["root_world"][rows] * [1, 0, 1]) @ turn.T + shift
    heights = floor @ rotation[1] + translation[1]
    ankles = pose.world[:, ANKLES].astype(float)
    planted = pose.contact[1:] & pose.contact[:-1]
    seconds = np.diff(person.keypoints.time)[:, None]
    skating = np.linalg.norm(np.diff(ankles, axis=0), axis=-1) / seconds
    soles = ankles[..., 1] - SOLE * stature(bone_lengths(pose.joints))
    found, true = angles(pose), angles(Pose3D((joints - joints[:, :1]).astype(np.float32)))
    return {
        "path, off at its end, % of its length": 100 * away[-1],
        "path, off at most, %": 100 * away.max(),
        "floor's tilt, degrees": np.degrees(np.arccos(rotation[1] @ turn[:, 1])),
        "floor's height where he walks, cm": 100 * np.abs(heights.mean()),
        "planted feet skate at most, cm/s": 100 * skating[planted].max(),
        "lowest sole, cm": 100 * soles.min(),
        "PA-MPJPE, mm": pose_errors(pose.joints.astype(float), joints).pa_mpjpe,
        **{
            f"{side} {joint} flexion, mean error, degrees": float(
                np.nanmean(np.abs(found[name] - true[name]))
            )
            for joint in ("knee", "elbow")
            for side in ("left", "right")
            for name in (f"{side}_{joint}_flexion",)
        },
    }


if __name__ == "__main__":
    main(*sys.argv[1:2])
