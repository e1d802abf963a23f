"""Animated bodies: ``NAME.glb``, glTF 2.0 in one binary file, everyone in it.

Everyone is a node "Person N" with the rig of :mod:`pose3d.export.rig` below it, which carries a
mesh of capsules. Keys lie at the recording's own times, as 32-bit numbers: 0.1 ms exact in half
an hour. Whoever is lost for a while keeps the last pose; before the first and after the last frame
of somebody who is not there all the time, the person's node is scaled to nothing. Bones whose
length changes have their place animated too, so that joints are where they were measured.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gltf
from numpy.typing import NDArray

from pose3d import __version__
from pose3d.export.capsules import Mesh, body, places_at_rest
from pose3d.export.rig import CHILDREN, NODES, TIPS, held, posed, solve
from pose3d.export.settings import Settings
from pose3d.export.space import Motion, frame_of, motions
from pose3d.files import replacing
from pose3d.sequence import Recording

STRETCH = 1e-5  # metres that a bone's length may change without being animated
TYPES = {gltf.UNSIGNED_BYTE: "<u1", gltf.UNSIGNED_SHORT: "<u2", gltf.FLOAT: "<f4"}
KINDS = {(): gltf.SCALAR, (3,): gltf.VEC3, (4,): gltf.VEC4, (4, 4): gltf.MAT4}


class Bodies:
    """A glTF file in the making: its objects, and the pieces of its buffer."""

    def __init__(self, extras: dict[str, Any]) -> None:
        about = gltf.Asset(generator=f"pose3d {__version__}", extras=extras)
        self.file = gltf.GLTF2(asset=about, scene=0, scenes=[gltf.Scene()], buffers=[gltf.Buffer()])
        self.motion = gltf.Animation(name="motion")
        self.pieces: list[bytes] = []
        self.size = 0

    def numbers(
        self, array: NDArray[Any], kind: int = gltf.FLOAT, target: int | None = None
    ) -> int:
        """Put an array (N, ...) into the buffer; gives the index of its accessor."""
        array = np.ascontiguousarray(array, TYPES[kind])
        view = gltf.BufferView(
            buffer=0, byteOffset=self.size, byteLength=array.nbytes, target=target
        )
        accessor = gltf.Accessor(
            bufferView=_add(self.file.bufferViews, view),
            componentType=kind,
            count=len(array),
            type=KINDS[array.shape[1:]],
        )
        if array.ndim <= 2 and kind == gltf.FLOAT:
            accessor.min, accessor.max = (
                np.atleast_1d(edge).tolist() for edge in (array.min(0), array.max(0))
            )
        self.pieces.append(array.tobytes())
        self.size += array.nbytes
        return _add(self.file.accessors, accessor)

    def animate(
        self, node: int, path: str, times: int, values: NDArray[Any], how: str = gltf.ANIM_LINEAR
    ) -> None:
        """Move a node: at the `times` of an accessor, by `values` (N, 3 or 4)."""
        sampler = gltf.AnimationSampler(input=times, output=self.numbers(values), interpolation=how)
        channel = gltf.AnimationChannel(
            sampler=_add(self.motion.samplers, sampler),
            target=gltf.AnimationChannelTarget(node=node, path=path),
        )
        self.motion.channels.append(channel)

    def save(self, path: Path) -> None:
        """Write it all."""
        if not self.pieces:
            self.numbers(np.zeros(1))  # pygltflib writes a buffer always, and empty ones are wrong
        if self.motion.channels:
            self.file.animations.append(self.motion)
        self.file.set_binary_blob(b"".join(self.pieces))
        self.file.save_binary(path)


def write(recording: Recording, path: Path, _settings: Settings) -> tuple[Path, ...]:
    """Write everyone who has a pose."""
    everyone = posed(motions(recording))
    source = recording.meta.get("source", {}).get("name")
    bodies = Bodies({"source": source, "frame": frame_of(recording)})
    times = [t for motion in everyone for t in (motion.time[0], motion.time[-1])]
    for motion in everyone:
        bodies.file.scenes[0].nodes += _person(bodies, motion, (min(times), max(times)))
    with replacing(path) as part:
        bodies.save(part)
    return (path,)


def _person(bodies: Bodies, motion: Motion, span: tuple[float, float]) -> list[int]:
    """Nodes, mesh and motion of one person; gives the nodes of the scene."""
    turns = solve(held(motion.joints))
    rest = places_at_rest(turns.offsets)
    nodes = bodies.file.nodes
    first = len(nodes)
    rest_height = -(rest[:, 1].min() + min(t[1] for t in TIPS.values()) * 0.4)
    for n, node in enumerate(NODES):
        place = turns.offsets[n] if n else np.array([0.0, rest_height, 0.0])
        below = [first + child for child in CHILDREN[n]]
        nodes.append(gltf.Node(name=node.name, translation=_floats(place), children=below))
    holder = _add(nodes, gltf.Node(name=f"Person {motion.id}", children=[first]))
    shown = [holder]
    shape = body(turns.offsets)
    if len(shape.points):  # joints that are one point have none
        shown.append(_add(nodes, _shape(bodies, shape, rest, motion.id, first, rest_height)))
    keys = bodies.numbers(motion.time)
    bodies.animate(first, gltf.TRANSLATION, keys, turns.root)
    for n in range(len(NODES)):
        if CHILDREN[n]:
            xyzw = np.roll(turns.turns[n].T, -1, axis=1)
            bodies.animate(first + n, gltf.ROTATION, keys, xyzw)
        if turns.stretch(n) > STRETCH:
            bodies.animate(first + n, gltf.TRANSLATION, keys, turns.places(n))
    if (presence := _presence(motion, span)) is not None:
        at, there = presence
        sizes = np.repeat(there[:, None], 3, 1)
        bodies.animate(holder, gltf.SCALE, bodies.numbers(at), sizes, gltf.ANIM_STEP)
    return shown


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


def _shape(
    bodies: Bodies,
    shape: Mesh,
    rest: NDArray[np.float64],
    number: int,
    first: int,
    height: float,
) -> gltf.Node:
    """A body on the nodes from `first` on, as a node that shows it."""
    up = np.array([0.0, height, 0.0])
    bound = np.repeat(np.eye(4)[None], len(NODES), 0)
    bound[:, 3, :3] = -(rest + up)  # column-major: the last row here is the translation
    carriers = np.zeros((len(shape.nodes), 4))
    carriers[:, 0] = shape.nodes
    weights = np.tile([1.0, 0, 0, 0], (len(shape.nodes), 1))
    vertices = gltf.ARRAY_BUFFER
    surface = gltf.Primitive(
        attributes=gltf.Attributes(
            POSITION=bodies.numbers(shape.points + up, target=vertices),
            NORMAL=bodies.numbers(shape.normals, target=vertices),
            JOINTS_0=bodies.numbers(carriers, gltf.UNSIGNED_BYTE, vertices),
            WEIGHTS_0=bodies.numbers(weights, target=vertices),
        ),
        indices=bodies.numbers(
            shape.triangles.reshape(-1), gltf.UNSIGNED_SHORT, gltf.ELEMENT_ARRAY_BUFFER
        ),
        material=_add(bodies.file.materials, _colour(number)),
    )
    name = f"Body {number}"
    skin = gltf.Skin(
        inverseBindMatrices=bodies.numbers(bound),
        joints=list(range(first, first + len(NODES))),
        skeleton=first,
    )
    return gltf.Node(
        name=name,
        mesh=_add(bodies.file.meshes, gltf.Mesh(name=name, primitives=[surface])),
        skin=_add(bodies.file.skins, skin),
    )


def _colour(number: int) -> gltf.Material:
    """A person's colour."""
    from pose3d.render.style import of_person

    # glTF's colours are linear, those of pictures sRGB.
    colour = [round((channel / 255) ** 2.2, 4) for channel in of_person(number)]
    return gltf.Material(
        name=f"Person {number}",
        pbrMetallicRoughness=gltf.PbrMetallicRoughness(
            baseColorFactor=[*colour, 1.0], metallicFactor=0.0, roughnessFactor=0.8
        ),
    )


def _add(items: list[Any], item: object) -> int:
    """Put an object at the end of a list; gives its index."""
    items.append(item)
    return len(items) - 1


def _floats(vector: NDArray[np.float64]) -> list[float]:
    return [float(number) for number in vector.astype(np.float32)]
