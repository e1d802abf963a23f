"""A skeleton of bones that turn, as animation programs want it, from joints that only have places.

At rest it stands in a T: y up, face towards z, the person's left along x. Three bones begin at the
hip and three at the thorax, and what a person bends between them no single turn describes; so each
has a node of its own there, at the same place ("RPelvis" turns the bone from the hip to the right
hip). The hip itself turns with the line of the hips, the thorax with that of the shoulders. Every
other node turns its one bone the shortest way from where its parent leaves it: nothing is twisted
that the joints do not show.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pose3d.export.space import JOINTS, Motion

Array = NDArray[np.float64]
TINY = 1e-9

LEFT, UP, AHEAD = np.eye(3)


class Node(NamedTuple):
    """`joint` is where the node is; `rest` the direction from its parent to there at rest."""

    name: str
    parent: int
    joint: int
    rest: Array


def _nodes() -> tuple[Node, ...]:
    here = 0 * UP
    plan: list[tuple[str, str, str, Array]] = [("Hip", "", "Hip", here)]
    for side, along in (("R", -LEFT), ("L", LEFT)):
        plan += [
            (f"{side}Pelvis", "Hip", "Hip", here),
            (f"{side}Hip", f"{side}Pelvis", f"{side}Hip", along),
            (f"{side}Knee", f"{side}Hip", f"{side}Knee", -UP),
            (f"{side}Ankle", f"{side}Knee", f"{side}Ankle", -UP),
        ]
    plan += [
        ("Waist", "Hip", "Hip", here),
        ("Spine", "Waist", "Spine", UP),
        ("Thorax", "Spine", "Thorax", UP),
        ("NeckBase", "Thorax", "Thorax", here),
        ("Neck", "NeckBase", "Neck", UP),
        ("Head", "Neck", "Head", UP),
    ]
    for side, along in (("L", LEFT), ("R", -LEFT)):
        plan += [
            (f"{side}Clavicle", "Thorax", "Thorax", here),
            (f"{side}Shoulder", f"{side}Clavicle", f"{side}Shoulder", along),
            (f"{side}Elbow", f"{side}Shoulder", f"{side}Elbow", along),
            (f"{side}Wrist", f"{side}Elbow", f"{side}Wrist", along),
        ]
    number = {name: n for n, (name, *_) in enumerate(plan)}
    return tuple(
        Node(name, number.get(parent, -1), JOINTS.index(joint), rest)
        for name, parent, joint, rest in plan
    )


NODES: Final = _nodes()
CHILDREN: Final = [
    [c for c, node in enumerate(NODES) if node.parent == n] for n in range(len(NODES))
]
# What turns with a line between two joints, and the bone that is up: (right, left, below, above).
TURNED_BY: Final = {
    "Hip": ("RHip", "LHip", "Hip", "Spine"),
    "Thorax": ("RShoulder", "LShoulder", "Spine", "Thorax"),
}
# Ends of feet, head and hands, where nothing is known: in lengths of the bone before.
TIPS: Final = {
    "RAnkle": 0.35 * AHEAD - 0.15 * UP,
    "LAnkle": 0.35 * AHEAD - 0.15 * UP,
    "Head": 0.6 * UP,
    "LWrist": 0.35 * LEFT,
    "RWrist": -0.35 * LEFT,
}


@dataclass(frozen=True)
class Turns:
    """The motion of the rig's N nodes in T frames.

    Attributes
    ----------
    root
        (T, 3) place of the hip.
    offsets
        (N, 3) from the parent at rest: the median length of the bone.
    turns
        (N, 4, T) unit quaternions w, x, y, z, relative to the parent; the next one is always the
        nearer of the two that mean the same.
    lengths
        (N, T) of the bones that end in each node.
    """

    root: Array
    offsets: Array
    turns: Array
    lengths: Array

    def stretch(self, node: int) -> float:
        """Most that the bone's length is ever off its median, metres."""
        rest = np.linalg.norm(self.offsets[node])
        return float(np.abs(self.lengths[node] - rest).max(initial=0))

    def places(self, node: int) -> Array:
        """(T, 3) from the parent, in its frame, with the bone's own length in every frame."""
        return self.lengths[node][:, None] * NODES[node].rest


def posed(motions: list[Motion]) -> list[Motion]:
    """Those of whom all joints are known in at least one frame."""
    return [motion for motion in motions if np.isfinite(motion.joints).all((1, 2)).any()]


def held(joints: Array) -> Array:
    """Joints (T, 17, 3) in which whoever is missing keeps the last pose, at first the next one."""
    known = np.isfinite(joints).all((1, 2))
    rows = np.where(known, np.arange(len(joints)), -1)
    rows = np.maximum.accumulate(rows)
    return joints[np.where(rows >= 0, rows, np.argmax(known))]


def solve(joints: Array) -> Turns:
    """Turns that bring the rig's nodes to the joints (T, 17, 3), of which none is missing."""
    place = np.ascontiguousarray(joints.transpose(1, 2, 0))  # (17, 3, T): long rows are fast
    frames = place.shape[-1]
    lengths, offsets = np.zeros((len(NODES), frames)), np.zeros((len(NODES), 3))
    turns, whole = np.zeros((2, len(NODES), 4, frames))
    for n, node in enumerate(NODES):
        parent = NODES[node.parent]
        if node.parent >= 0 and node.joint != parent.joint:
            lengths[n] = np.sqrt(((place[node.joint] - place[parent.joint]) ** 2).sum(0))
            offsets[n] = np.median(lengths[n]) * node.rest
        before = whole[node.parent] if node.parent >= 0 else None
        turns[n] = _turn(node, CHILDREN[n], place, before)
        whole[n] = turns[n] if before is None else _times(before, turns[n])
    for turn in turns:
        turn *= _signs(turn)
    return Turns(joints[:, 0], offsets, turns, lengths)


def _turn(node: Node, children: list[int], place: Array, before: Array | None) -> Array:
    """(4, T) of a node relative to its parent, whose whole turn is `before`."""
    if node.name in TURNED_BY:
        right, left, below, above = (place[JOINTS.index(name)] for name in TURNED_BY[node.name])
        turn = _frame(left - right, above - below)
        return turn if before is None else _times(_back(before), turn)
    if not children:
        return np.repeat(np.eye(4)[0][:, None], place.shape[-1], 1)
    child = NODES[children[0]]
    bone = place[child.joint] - place[node.joint]
    assert before is not None
    return _shortest(child.rest, _rotate(_back(before), bone))


def _signs(turn: Array) -> Array:
    """(T,) signs that make every quaternion the nearer one to the last."""
    flips = (turn[:, 1:] * turn[:, :-1]).sum(0) < 0
    return np.concatenate([[1.0], np.where(np.cumsum(flips) % 2, -1.0, 1.0)])


def _frame(x: Array, up: Array) -> Array:
    """Turn (4, T) to axes of which the first is along `x`, the second near `up` (3, T)."""
    from scipy.spatial.transform import Rotation

    x = _unit(x)
    y = _unit(up - (up * x).sum(0) * x)
    axes = np.stack([x, y, np.cross(x, y, axis=0)], 1)  # (3, 3, T), the axes in columns
    axes = np.where(np.isfinite(axes).all((0, 1)), axes, np.eye(3)[..., None])
    return np.roll(Rotation.from_matrix(axes.transpose(2, 0, 1)).as_quat().T, 1, axis=0)


def _shortest(rest: Array, to: Array) -> Array:
    """Turn (4, T) of the direction `rest` (3,) onto the vectors `to` (3, T), the shortest way."""
    to = _unit(to)
    to = np.where(np.isfinite(to).all(0), to, rest[:, None])
    across = np.cross(np.broadcast_to(rest[:, None], to.shape), to, axis=0)
    turn = np.concatenate([(1 + rest @ to)[None], across])
    size = np.sqrt((turn**2).sum(0))
    # Straight back, every way is as short: about the axis towards which the face looks at rest.
    return np.where(size > TINY, turn / np.maximum(size, TINY), np.array([[0.0], [0], [0], [1]]))


def _unit(vectors: Array) -> Array:
    length = np.sqrt((vectors**2).sum(0))
    return vectors / np.where(length > TINY, length, np.nan)


def _back(turn: Array) -> Array:
    return turn * np.array([[1.0], [-1], [-1], [-1]])


def _times(a: Array, b: Array) -> Array:
    """Quaternion product (4, T): `b` first, then `a`."""
    w, v = a[0], a[1:]
    return np.concatenate(
        [
            (w * b[0] - (v * b[1:]).sum(0))[None],
            w * b[1:] + b[0] * v + np.cross(v, b[1:], axis=0),
        ]
    )


def _rotate(turn: Array, vectors: Array) -> Array:
    """Vectors (3, T) turned."""
    twice = 2 * np.cross(turn[1:], vectors, axis=0)
    return vectors + turn[0] * twice + np.cross(turn[1:], twice, axis=0)
