"""GLB, read and moved by the rules of glTF, and checked by Khronos' validator.

pygltflib, which writes it, has no part in that.
"""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from struct import unpack_from
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from performers import lost, performance, wavering, world_of

from pose3d import export
from pose3d.export.capsules import body
from pose3d.export.rig import solve
from pose3d.export.space import JOINTS
from pose3d.sequence import Recording

TENTH_OF_A_MILLIMETRE = 1e-4
TYPES = {5121: "<u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": (), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}


class Scene:
    """A file, and where its nodes are at any of its times."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        assert unpack_from("<4sII", content) == (b"glTF", 2, len(content))
        length, kind = unpack_from("<I4s", content, 12)
        assert kind == b"JSON"
        self.file = json.loads(content[20 : 20 + length])
        _, kind = unpack_from("<I4s", content, 20 + length)
        assert kind == b"BIN\0"
        self.blob = content[28 + length :]
        assert self.file["buffers"] == [{"byteLength": len(self.blob)}]
        self.nodes = self.file.get("nodes", [])
        self.parents = {
            child: n for n, node in enumerate(self.nodes) for child in node.get("children", ())
        }

    def numbers(self, accessor: int) -> NDArray[Any]:
        about = self.file["accessors"][accessor]
        view = self.file["bufferViews"][about["bufferView"]]
        shape = (about["count"], *WIDTHS[about["type"]])
        kind = TYPES[about["componentType"]]
        assert view["byteLength"] == np.prod(shape) * int(kind[-1])
        flat = np.frombuffer(self.blob, kind, int(np.prod(shape)), view["byteOffset"])
        return flat.reshape(shape)

    def person(self, number: int) -> int:
        names = [node["name"] for node in self.nodes]
        return names.index(f"Person {number}")

    def below(self, node: int) -> dict[str, int]:
        """Every node under one, by its name."""
        found = {self.nodes[node]["name"]: node}
        for child in self.nodes[node].get("children", ()):
            found |= self.below(child)
        return found

    def channel(self, node: int, path: str) -> tuple[NDArray[Any], NDArray[Any], str] | None:
        (animation,) = self.file["animations"]
        for channel in animation["channels"]:
            if channel["target"] == {"node": node, "path": path}:
                sampler = animation["samplers"][channel["sampler"]]
                keys, values = self.numbers(sampler["input"]), self.numbers(sampler["output"])
                return keys, values.astype(float), sampler["interpolation"]
        return None

    def local(self, node: int, time: float) -> NDArray[np.float64]:
        about = self.nodes[node]
        parts = {}
        for path, rest in (("translation", [0, 0, 0]), ("rotation", [0, 0, 0, 1]),
                           ("scale", [1, 1, 1])):  # fmt: skip
            parts[path] = np.array(about.get(path, rest), float)
            if found := self.channel(node, path):
                keys, values, how = found
                if how == "STEP":
                    at = max(int(np.searchsorted(keys, np.float32(time), "right")) - 1, 0)
                    parts[path] = values[at]
                else:
                    parts[path] = np.array([np.interp(time, keys, v) for v in values.T])
        x, y, z, w = parts["rotation"] / np.linalg.norm(parts["rotation"])
        matrix = np.eye(4)
        matrix[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        matrix[:3, :3] *= parts["scale"]
        matrix[:3, 3] = parts["translation"]
        return matrix

    def whole(self, node: int, time: float) -> NDArray[np.float64]:
        matrix = self.local(node, time)
        return self.whole(self.parents[node], time) @ matrix if node in self.parents else matrix

    def joints(self, number: int, time: float) -> NDArray[np.float64]:
        named = self.below(self.person(number))
        return np.array([self.whole(named[name], time)[:3, 3] for name in JOINTS])


@pytest.mark.parametrize("bones", ["rigid", "wavering"])
def test_glb_comes_back(bones: str, tmp_path: Path) -> None:
    recording = performance(24)
    if bones == "wavering":
        recording = wavering(recording)
    path = tmp_path / "walk.glb"
    assert export.write(recording, path) == (path,)
    scene = Scene(path)
    for n, person in enumerate(recording.people):
        hip = scene.below(scene.person(person.id))["Hip"]
        found = scene.channel(hip, "translation")
        assert found is not None
        times = person.keypoints.time
        np.testing.assert_allclose(found[0], times, atol=1e-6, rtol=6e-8)
        world = world_of(recording, n)
        for row in range(0, len(times), 3):
            if np.isfinite(world[row]).all():
                np.testing.assert_allclose(
                    scene.joints(person.id, times[row]),
                    world[row],
                    atol=TENTH_OF_A_MILLIMETRE,
                    rtol=0,
                )


def test_a_single_frame(tmp_path: Path) -> None:
    recording = performance(1)
    recording = recording.with_people(recording.people[:1])
    export.write(recording, tmp_path / "moment.glb")
    joints = Scene(tmp_path / "moment.glb").joints(1, 0.0)
    expected = world_of(recording, 0)[0]
    np.testing.assert_allclose(joints, expected, atol=TENTH_OF_A_MILLIMETRE, rtol=0)


def test_whoever_is_away_is_not_to_be_seen(tmp_path: Path) -> None:
    recording = performance(24)
    export.write(recording, tmp_path / "walk.glb")
    scene = Scene(tmp_path / "walk.glb")
    times, world = recording.people[1].keypoints.time, world_of(recording, 1)
    size = [scene.local(scene.person(2), time)[0, 0] for time in (0.0, times[0], times[-1])]
    assert size == [0, 1, 1]
    assert scene.channel(scene.person(1), "scale") is None
    held = scene.joints(2, times[6])  # lost from the sixth to the ninth
    np.testing.assert_allclose(held, world[4], atol=TENTH_OF_A_MILLIMETRE)


def test_the_body_fits_the_bones(tmp_path: Path) -> None:
    export.write(performance(5), tmp_path / "walk.glb")
    scene = Scene(tmp_path / "walk.glb")
    assert len(scene.file["skins"]) == 2
    for skin in scene.file["skins"]:
        bound = scene.numbers(skin["inverseBindMatrices"]).astype(float).transpose(0, 2, 1)
        for n, node in enumerate(skin["joints"]):
            rest = np.eye(4)
            while node is not None:
                rest[:3, 3] += scene.nodes[node].get("translation", [0, 0, 0])
                node = scene.parents.get(node)
            np.testing.assert_allclose(bound[n] @ rest, np.eye(4), atol=1e-6)
    (primitive,) = scene.file["meshes"][0]["primitives"]
    attributes = primitive["attributes"]
    points = scene.numbers(attributes["POSITION"])
    assert points[:, 1].min() == pytest.approx(0, abs=0.05)  # stands on the floor at rest
    assert 1.5 < np.ptp(points[:, 1]) < 2
    carriers = scene.numbers(attributes["JOINTS_0"])
    assert carriers.max() < len(scene.file["skins"][0]["joints"])
    np.testing.assert_array_equal(scene.numbers(attributes["WEIGHTS_0"]).sum(1), 1)


def test_it_says_where_it_comes_from(tmp_path: Path) -> None:
    recording = performance(3)
    named = recording.meta["source"] | {"name": "Grüße 走る.mp4"}
    export.write(recording.with_people(recording.people, source=named), tmp_path / "walk.glb")
    asset = Scene(tmp_path / "walk.glb").file["asset"]
    assert asset["version"] == "2.0"
    assert asset["extras"] == {"source": "Grüße 走る.mp4", "frame": "world"}


def test_all_triangles_look_outwards() -> None:
    mesh = body(solve(world_of(performance(5), 0)).offsets)
    corners = mesh.points[mesh.triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.linalg.norm(facing, axis=1) > 0).all()
    assert (np.einsum("fi,fci->fc", facing, mesh.normals[mesh.triangles]) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1)


def folded(recording: Recording, joints: slice) -> Recording:
    """Everyone with some joints all at the hip."""
    people = []
    for each in recording.people:
        assert each.pose is not None and each.pose.world is not None
        world = each.pose.world.copy()
        world[:, joints] = world[:, :1]
        people.append(replace(each, pose=replace(each.pose, world=world)))
    return recording.with_people(tuple(people))


@pytest.mark.parametrize(("joints", "bodies"), [(slice(None), 0), (slice(1, 4), 2)])
def test_bones_without_length(joints: slice, bodies: int, tmp_path: Path) -> None:
    recording = folded(performance(5), joints)
    export.write(recording, tmp_path / "walk.glb")
    scene = Scene(tmp_path / "walk.glb")
    assert len(scene.file.get("meshes", ())) == bodies
    for n in range(len(scene.file["accessors"])):
        assert np.isfinite(scene.numbers(n)).all()
    expected = world_of(recording, 0)[0]
    np.testing.assert_allclose(scene.joints(1, 0.0), expected, atol=TENTH_OF_A_MILLIMETRE)


@pytest.mark.network
def test_khronos_validator_finds_nothing(tmp_path: Path) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("node and npm are not installed")
    tool = tmp_path / "tool"
    tool.mkdir()
    got = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--prefix", str(tool), "gltf-validator"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if got.returncode:
        pytest.skip(f"npm cannot install gltf-validator: {got.stderr.strip()[-100:]}")
    recording = performance(30)
    seen, other = recording.people
    cases = {
        "walk": recording,
        "wavering": wavering(recording),
        "nobody": recording.with_people(()),
        "lost": recording.with_people((seen, lost(other))),
        "moment": performance(1).with_people(performance(1).people[:1]),
        "point": folded(recording, slice(None)),
        "legless": folded(recording, slice(1, 4)),
        "crowd": recording.with_people(tuple(replace(seen, id=n) for n in range(1, 51))),
    }
    files = [tmp_path / f"{name}.glb" for name in cases]
    for file, case in zip(files, cases.values(), strict=True):
        export.write(case, file)
    script = (
        "const v = require('gltf-validator'), fs = require('fs');"
        "Promise.all(process.argv.slice(1).map(f => v.validateBytes(fs.readFileSync(f))))"
        ".then(all => console.log(JSON.stringify(all.map(r => r.issues))))"
    )
    found = subprocess.run(
        [node, "-e", script, *map(str, files)], cwd=tool, capture_output=True, text=True, check=True
    )
    for issues in json.loads(found.stdout):
        assert issues["numErrors"] == 0, issues["messages"]
        assert issues["numWarnings"] == 0, issues["messages"]
