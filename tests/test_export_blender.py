"""BVH and GLB in Blender itself, where its module ``bpy`` is installed (400 MB: not by default)."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from performers import performance, world_of

from pose3d import export
from pose3d.export.space import JOINTS

bpy: Any = pytest.importorskip("bpy", reason="Blender's module bpy is not installed")

MILLIMETRE = 1e-3


def empty(fps: int) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = fps


def armatures() -> list[Any]:
    found = [thing for thing in bpy.data.objects if thing.type == "ARMATURE"]
    return sorted(found, key=lambda thing: thing.name)


def joints(armature: Any, frame: float) -> NDArray[np.float64]:
    """(17, 3) with y up; Blender's z is up, and what comes towards us is its -y."""
    bpy.context.scene.frame_set(int(frame), subframe=frame - int(frame))
    now = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    heads = [now.matrix_world @ now.pose.bones[name].head for name in JOINTS]
    return np.array([[head[0], head[2], -head[1]] for head in heads])


def test_bvh_is_upright_and_life_size(tmp_path: Path) -> None:
    recording = performance(40, fps=30)
    files = export.write(recording, tmp_path / "walk.bvh")
    for n, file in enumerate(files):
        empty(30)
        bpy.ops.import_anim.bvh(filepath=str(file))  # as it comes, without any option
        (armature,) = armatures()
        person = recording.people[n].keypoints
        for row in (0, 4, 12, len(person) - 1):
            frame = 1 + int(person.frame[row])  # Blender counts from 1
            np.testing.assert_allclose(
                joints(armature, frame), world_of(recording, n)[row], atol=MILLIMETRE
            )


def test_glb_is_upright_and_life_size(tmp_path: Path) -> None:
    recording = performance(40, fps=30)
    (file,) = export.write(recording, tmp_path / "walk.glb")
    empty(30)
    bpy.ops.import_scene.gltf(filepath=str(file))
    people = armatures()
    assert [armature.name for armature in people] == ["Person 1", "Person 2"]
    for n, armature in enumerate(people):
        person = recording.people[n].keypoints
        for row in (0, 4, 12, len(person) - 1):
            frame = float(person.time[row] * 30) + 1e-4  # it places keys at time times rate
            np.testing.assert_allclose(
                joints(armature, frame), world_of(recording, n)[row], atol=MILLIMETRE
            )
