"""Motion for animation programs: ``NAME.bvh``, a file for everyone.

The hierarchy and how it turns are :mod:`pose3d.export.rig`'s. Frames are at a constant rate, the
same for everyone and from the same time on, that of the first frame in which there is anybody; so
the files of several people stay in step. Whoever is missing keeps the last pose known, and the
first one before. Bones are as long as their median; one whose length changes gets channels for its
position as well, so that joints are where they were measured.
"""

from pathlib import Path

import numpy as np

from pose3d.errors import PoseError
from pose3d.export.digits import as_text, before, lines
from pose3d.export.rig import CHILDREN, NODES, TIPS, Array, Turns, held, posed, solve
from pose3d.export.settings import Settings, common_clock, each
from pose3d.export.space import motions
from pose3d.files import replacing
from pose3d.sequence import Recording

STRETCH = 1e-4  # metres that a bone's length may change without channels for it
DECIMALS = {"m": 6, "cm": 4, "mm": 3}
DEGREES = 5  # decimals
CHUNK = 4096  # frames in memory as text at a time
TURNED = "Zrotation Xrotation Yrotation"
MOVED = "Xposition Yposition Zposition"


def write(recording: Recording, path: Path, settings: Settings) -> tuple[Path, ...]:
    """Write the motion of everyone who has some."""
    everyone = posed(motions(recording))
    if not everyone:
        raise PoseError(f"{path}: nobody has a pose in any frame")
    clock = common_clock(recording, everyone, path)
    written = []
    for target, motion in each(path, everyone):
        turns = solve(held(clock.sample(motion)))
        with replacing(target) as part:
            _write(turns, clock.rate, part, settings)
        written.append(target)
    return tuple(written)


def _write(turns: Turns, rate: float, path: Path, settings: Settings) -> None:
    moving = [not n or turns.stretch(n) > STRETCH for n in range(len(NODES))]
    decimals = DECIMALS[settings.unit]
    hierarchy = ["HIERARCHY", *_joint(0, turns.offsets * settings.scale, moving, decimals, "")]
    frames = len(turns.root)
    head = [*hierarchy, "MOTION", f"Frames: {frames}", f"Frame Time: {1 / rate:.12f}"]
    with open(path, "wb") as file:
        file.write(("\n".join(head) + "\n").encode())
        angles = [_angles(turn) for turn in turns.turns]
        for start in range(0, frames, CHUNK):
            chunk = slice(start, start + CHUNK)
            cells = []
            for n in _order(0):
                if moving[n]:
                    place = (turns.places(n) if n else turns.root)[chunk] * settings.scale
                    cells.append(before(" ", as_text(place, decimals)))
                cells.append(before(" ", as_text(angles[n][chunk], DEGREES)))
            cells[0] = cells[0][:, 1:]  # no space begins the line
            file.write(lines(*cells))


def _joint(n: int, offsets: Array, moving: list[bool], decimals: int, indent: str) -> list[str]:
    """Lines of a node and all below it."""
    node, inner = NODES[n], indent + "\t"

    def offset(vector: Array) -> str:
        return "OFFSET " + " ".join(f"{number + 0.0:.{decimals}f}" for number in vector)

    channels = f"6 {MOVED} {TURNED}" if moving[n] else f"3 {TURNED}"
    text = [f"{indent}{'JOINT' if n else 'ROOT'} {node.name}", f"{indent}{{"]
    text += [inner + offset(offsets[n]), f"{inner}CHANNELS {channels}"]
    for child in CHILDREN[n]:
        text += _joint(child, offsets, moving, decimals, inner)
    if node.name in TIPS:
        tip = TIPS[node.name] * np.linalg.norm(offsets[n])
        text += [f"{inner}End Site", f"{inner}{{", f"{inner}\t{offset(tip)}", f"{inner}}}"]
    return [*text, f"{indent}}}"]


def _order(n: int) -> list[int]:
    """Nodes in the order in which the hierarchy names them."""
    return [n, *(below for child in CHILDREN[n] for below in _order(child))]


def _angles(turn: Array) -> Array:
    """(T, 3) degrees about z, x and y, in this order, of quaternions (4, T), without leaps."""
    w, x, y, z = turn
    # Elements of the matrix Rz Rx Ry.
    tilt = np.arctan2(2 * (y * z + w * x), np.hypot(2 * (x * y - w * z), 1 - 2 * (x * x + z * z)))
    about_z = np.arctan2(2 * (w * z - x * y), 1 - 2 * (x * x + z * z))
    about_y = np.arctan2(2 * (w * y - x * z), 1 - 2 * (x * x + y * y))
    # Tilted straight up or down, z and y turn about the same axis: all is given to z.
    locked = np.abs(np.abs(tilt) - np.pi / 2) < 1e-7
    about_z = np.where(locked, np.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z)), about_z)
    about_y = np.where(locked, 0, about_y)
    angles = np.stack([about_z, tilt, about_y], 1)
    return np.degrees(np.unwrap(angles, axis=0))
