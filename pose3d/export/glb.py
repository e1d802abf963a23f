"""Animated bodies: ``NAME.glb``, glTF 2.0 in one binary file, everyone in it.

Everyone is a node "Person N" with the rig of :mod:`pose3d.export.rig` below it, which carries a
mesh of capsules. Keys lie at the recording's own times, as 32-bit numbers: 0.1 ms exact in half
an hour. Whoever is lost for a while keeps the last pose; before the first and after the last frame
of somebody who is not there all the time, the person's node is scaled to nothing. Bones whose
length changes have their place animated too, so that joints are where they were measured.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pose3d import __version__
from pose3d.export.capsules import body, places_at_rest
from pose3d.export.rig import CHILDREN, NODES, TIPS, held, posed, solve
from pose3d.export.settings import Settings
from pose3d.export.space import Motion, frame_of, motions
from pose3d.files import replacing
from pose3d.sequence import Recording

STRETCH = 1e-5  # metres that a bone's length may change without being animated
BYTES, SHORTS, INTS, FLOATS = 5121, 5123, 5125, 5126  # glTF's component types
KINDS = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
VERTICES, INDICES = 34962, 34963  # glTF's targets


@dataclass
class Asset:
    """A glTF file in the making: its JSON, and the pieces of its buffer."""

    json: dict[str, list[Any]] = field(default_factory=dict)
    pieces: list[NDArray[Any]] = field(default_factory=list)
    size: int = 0

    def add(self, kind: str, content: dict[str, Any]) -> int:
        """Put an object into one of the JSON's lists; gives its index."""
        items = self.json.setdefault(kind, [])
        items.append(content)
        return len(items) - 1

    def numbers(self, array: NDArray[Any], kind: int = FLOATS, target: int | None = None) -> int:
        """Put an array (N, ...) into the buffer; gives the index of its accessor."""
        types = {BYTES: "<u1", SHORTS: "<u2", INTS: "<u4", FLOATS: "<f4"}
        array = np.ascontiguousarray(array, types[kind])
        view = {"buffer": 0, "byteOffset": self.size, "byteLength": array.nbytes}
        accessor: dict[str, Any] = {
            "bufferView": self.add("bufferViews", view | ({"target": target} if target else {})),
            "componentType": kind,
            "count": len(array),
            "type": KINDS[array.shape[1:]],
        }
        if array.ndim <= 2 and kind == FLOATS:
            low, high = array.min(0), array.max(0)
            accessor |= {"min": np.atleast_1d(low).tolist(), "max": np.atleast_1d(high).tolist()}
        self.pieces.append(array)
        self.size += array.nbytes + -array.nbytes % 4
        return self.add("accessors", accessor)

    def write(self, file: BinaryIO, facts: dict[str, Any]) -> None:
        """Write header, JSON and buffer, each filled up to four bytes."""
        content: dict[str, Any] = {"asset": facts, "scene": 0, **self.json}
        if self.size:
            content["buffers"] = [{"byteLength": self.size}]
        text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + (8 + self.size if self.size else 0)
        file.write(b"glTF" + pack("<II", 2, total) + pack("<I4s", len(text), b"JSON") + text)
        if self.size:
            file.write(pack("<I4s", self.size, b"BIN\0"))
        for piece in self.pieces:
            file.write(piece.tobytes() + b"\0" * (-piece.nbytes % 4))


def write(recording: Recording, path: Path, _settings: Settings) -> tuple[Path, ...]:
    """Write everyone who has a pose."""
    everyone = posed(motions(recording))
    asset = Asset()
    times = [t for motion in everyone for t in (motion.time[0], motion.time[-1])]
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []
    roots: list[int] = []
    for motion in everyone:
        roots += _person(asset, motion, (min(times), max(times)), channels, samplers)
    asset.add("scenes", {"nodes": roots} if roots else {})
    if channels:
        animation = {"name": "motion", "channels": channels, "samplers": samplers}
        asset.add("animations", animation)
    facts = {
        "version": "2.0",
        "generator": f"pose3d {__version__}",
        "extras": {
            "source": recording.meta.get("source", {}).get("name"),
            "frame": frame_of(recording),
        },
    }
    with replacing(path) as part, open(part, "wb") as file:
        asset.write(file, facts)
    return (path,)


def _person(
    asset: Asset,
    motion: Motion,
    span: tuple[float, float],
    channels: list[dict[str, Any]],
    samplers: list[dict[str, Any]],
) -> list[int]:
    """Nodes, mesh and channels of one person; gives the nodes of the scene."""
    turns = solve(held(motion.joints))
    rest = places_at_rest(turns.offsets)
    first = len(asset.json.get("nodes", ()))
    rest_height = -(rest[:, 1].min() + min(t[1] for t in TIPS.values()) * 0.4)
    for n, node in enumerate(NODES):
        place = turns.offsets[n] if n else np.array([0.0, rest_height, 0.0])
        content: dict[str, Any] = {"name": node.name, "translation": _floats(place)}
        if CHILDREN[n]:
            content["children"] = [first + child for child in CHILDREN[n]]
        asset.add("nodes", content)
    holder = asset.add("nodes", {"name": f"Person {motion.id}", "children": [first]})
    mesh = _mesh(asset, turns.offsets, rest, motion.id, first, rest_height)

    def animate(node: int, path: str, times: int, values: NDArray[Any], how: str) -> None:
        sampler = {"input": times, "output": asset.numbers(values), "interpolation": how}
        samplers.append(sampler)
        target = {"node": node, "path": path}
        channels.append({"sampler": len(samplers) - 1, "target": target})

    keys = asset.numbers(motion.time)
    animate(first, "translation", keys, turns.root, "LINEAR")
    for n in range(len(NODES)):
        if CHILDREN[n]:
            xyzw = np.roll(turns.turns[n].T, -1, axis=1)
            animate(first + n, "rotation", keys, xyzw, "LINEAR")
        if turns.stretch(n) > STRETCH:
            animate(first + n, "translation", keys, turns.places(n), "LINEAR")
    shown = _presence(motion, span)
    if shown is not None:
        at, there = shown
        sizes = np.repeat(there[:, None], 3, 1)
        animate(holder, "scale", asset.numbers(at), sizes, "STEP")
    return [holder, mesh]


def _presence(
    motion: Motion, span: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Times from which somebody is there (1) or not (0); None if always there."""
    first, last = motion.time[0], motion.time[-1]
    changes = [(span[0], 0.0)] if first > span[0] else []
    changes.append((first, 1.0))
    if last < span[1]:
        step = (last - first) / max(len(motion.time) - 1, 1)
        changes.append((min(last + (step or 1e-3), span[1]), 0.0))
    return None if len(changes) == 1 else tuple(np.array(changes).T)  # type: ignore[return-value]


def _mesh(
    asset: Asset,
    offsets: NDArray[np.float64],
    rest: NDArray[np.float64],
    number: int,
    first: int,
    height: float,
) -> int:
    """A body on the nodes from `first` on; gives the node that shows it."""
    from pose3d.render.style import of_person

    shape = body(offsets)
    up = np.array([0.0, height, 0.0])
    bound = np.repeat(np.eye(4)[None], len(NODES), 0)
    bound[:, 3, :3] = -(rest + up)  # column-major: the last row here is the translation
    skin = {
        "inverseBindMatrices": asset.numbers(bound),
        "joints": list(range(first, first + len(NODES))),
        "skeleton": first,
    }
    carriers = np.zeros((len(shape.nodes), 4))
    carriers[:, 0] = shape.nodes
    weights = np.tile([1.0, 0, 0, 0], (len(shape.nodes), 1))
    attributes = {
        "POSITION": asset.numbers(shape.points + up, target=VERTICES),
        "NORMAL": asset.numbers(shape.normals, target=VERTICES),
        "JOINTS_0": asset.numbers(carriers, BYTES, VERTICES),
        "WEIGHTS_0": asset.numbers(weights, target=VERTICES),
    }
    # glTF's colours are linear, those of pictures sRGB.
    colour = [round((channel / 255) ** 2.2, 4) for channel in of_person(number)]
    skinned = asset.add(
        "materials",
        {
            "name": f"Person {number}",
            "pbrMetallicRoughness": {
                "baseColorFactor": [*colour, 1.0],
                "metallicFactor": 0.0,
                "roughnessFactor": 0.8,
            },
        },
    )
    triangles = asset.numbers(shape.triangles.reshape(-1), SHORTS, INDICES)
    mesh = {
        "name": f"Body {number}",
        "primitives": [{"attributes": attributes, "indices": triangles, "material": skinned}],
    }
    shown = {
        "name": f"Body {number}",
        "mesh": asset.add("meshes", mesh),
        "skin": asset.add("skins", skin),
    }
    return asset.add("nodes", shown)


def _floats(vector: NDArray[np.float64]) -> list[float]:
    return [float(number) for number in vector.astype(np.float32)]
