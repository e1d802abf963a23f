"""A plain body around the rig at rest: a capsule on every bone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d.export.rig import CHILDREN, NODES, TIPS, Array

LEAST = 1e-6  # metres: what is shorter has no direction, and no capsule
AROUND, RINGS = 12, 3  # corners of a capsule's rings, and how many each of its ends has

# Half the width and half the depth of a bone's capsule, in lengths of the bone, by the joint in
# which it ends or, of hands, feet and the head's top, begins.
_HALVES = {
    "Hip": (0.75, 0.75),
    "Knee": (0.17, 0.17),
    "Ankle": (0.12, 0.13),
    "Spine": (0.62, 0.45),
    "Thorax": (0.55, 0.4),
    "Neck": (0.5, 0.5),
    "Head": (0.75, 0.85),
    "Shoulder": (0.42, 0.42),
    "Elbow": (0.16, 0.16),
    "Wrist": (0.13, 0.13),
}
_TIP_HALVES = {"Ankle": (0.25, 0.22), "Wrist": (0.45, 0.25)}


@dataclass(frozen=True)
class Mesh:
    """Triangles around the rig at rest.

    Attributes
    ----------
    points, normals
        (V, 3) metres, the hip at the origin, and unit vectors.
    nodes
        (V,) the node that carries each point.
    triangles
        (F, 3) indices of points, counterclockwise from outside.
    """

    points: Array
    normals: Array
    nodes: NDArray[np.int64]
    triangles: NDArray[np.int64]


def places_at_rest(offsets: Array) -> Array:
    """(N, 3) of the nodes, the hip at the origin."""
    places = np.zeros_like(offsets)
    for n, node in enumerate(NODES[1:], 1):
        places[n] = places[node.parent] + offsets[n]
    return places


def body(offsets: Array) -> Mesh:
    """Capsules around a rig whose nodes are so far (N, 3) from their parents at rest.

    None of a rig that is one point.
    """
    places = places_at_rest(offsets)
    parts = []
    for n, node in enumerate(NODES):
        for child in CHILDREN[n]:
            length = float(np.linalg.norm(offsets[child]))
            if length > LEAST:
                halves = _halves(_HALVES, NODES[child].name)
                parts.append((n, places[n], places[child], length * np.array(halves)))
        if node.name in TIPS and (halves := _halves(_TIP_HALVES, node.name)):
            tip = TIPS[node.name] * np.linalg.norm(offsets[n])
            length = float(np.linalg.norm(tip))
            if length > LEAST:
                parts.append((n, places[n], places[n] + tip, length * np.array(halves)))
    found = [(n, *_capsule(start, end, halves)) for n, start, end, halves in parts]
    counts = np.cumsum([0, *(len(points) for _, points, _, _ in found)])
    if not found:
        nothing = np.zeros((0, 3))
        return Mesh(nothing, nothing, np.zeros(0, int), np.zeros((0, 3), int))
    return Mesh(
        np.concatenate([points for _, points, _, _ in found]),
        np.concatenate([normals for _, _, normals, _ in found]),
        np.concatenate([np.full(len(points), n) for n, points, _, _ in found]),
        np.concatenate([f + first for (*_, f), first in zip(found, counts, strict=False)]),
    )


def _halves(table: dict[str, tuple[float, float]], name: str) -> tuple[float, float] | None:
    return table.get(name) or table.get(name.removeprefix("L").removeprefix("R"))


def _capsule(start: Array, end: Array, halves: Array) -> tuple[Array, Array, NDArray[np.int64]]:
    """Points, normals and triangles of a capsule as thick as `halves` says across and in depth."""
    along = (end - start) / np.linalg.norm(end - start)
    depth = np.array([0.0, 0, 1]) if abs(along[2]) < 0.9 else np.array([0.0, 1, 0])
    depth = depth - along * (depth @ along)
    depth /= np.linalg.norm(depth)
    across = np.cross(along, depth)
    round_end = halves.min()
    # Rings from one pole to the other: how far out, and how far along from the nearer end.
    angle = np.linspace(-np.pi / 2, 0, RINGS + 1)
    out = np.concatenate([np.cos(angle), np.cos(angle)[::-1]])
    on = np.concatenate([np.sin(angle), -np.sin(angle)[::-1]])
    base = np.repeat([start, end], RINGS + 1, 0)
    turn = np.linspace(0, 2 * np.pi, AROUND, endpoint=False)
    side = np.cos(turn)[:, None] * across * halves[0] + np.sin(turn)[:, None] * depth * halves[1]
    points = (base + on[:, None] * round_end * along)[:, None] + out[:, None, None] * side
    flat = np.cos(turn)[:, None] * across / halves[0] + np.sin(turn)[:, None] * depth / halves[1]
    normals = out[:, None, None] * flat + (on[:, None] / round_end * along)[:, None]
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    row = np.arange(2 * RINGS + 1)[:, None] * AROUND
    here, there = np.arange(AROUND), np.roll(np.arange(AROUND), -1)
    low, high = row + here, row + AROUND + here
    low_next, high_next = row + there, row + AROUND + there
    one = np.stack([low, high, high_next], -1).reshape(-1, 3)
    other = np.stack([low, high_next, low_next], -1).reshape(-1, 3)
    # At the poles all points of a ring are one: half of the triangles there would be empty.
    triangles = np.concatenate([one[:-AROUND], other[AROUND:]])
    return points.reshape(-1, 3), normals.reshape(-1, 3), triangles
