"""What is given in place of a recording, or of keypoints: what it is, and what to give instead."""

from pathlib import Path
from typing import Any

from pose3d import npz
from pose3d.errors import PoseError
from pose3d.read2d.json_files import form_of, load, openpose_files

OURS = ".pose3d.npz"
KINDS = (".csv", ".json", ".npz")  # that keypoints may be in
NAMED = 3  # files that are named of a folder


def mistaken(path: Path, keypoints: bool = False) -> str | None:
    """What a file or folder is that is no recording, in words that say what to do.

    None where it may be one, is not there, or nothing tells; and with `keypoints` where it holds
    those of another tool.
    """
    foreign = None if keypoints else _foreign(path)
    if path.is_dir():
        inside = sorted(path.glob(f"*{OURS}"))
        if inside:
            return f"{path} is a folder: give one of its recordings, such as {inside[0]}"
        return foreign if openpose_files(path) else nothing_in(path)
    if not path.is_file():
        return None
    suffix = path.suffix.lower()
    if suffix == ".json":
        try:
            content = load(path)
        except PoseError:
            return None
        known = form_of(content) or (isinstance(content, dict) and "people" in content)
        return own_json(content, path) or (foreign if known else None)
    if suffix == ".csv":
        return foreign
    if suffix == ".npz":
        try:
            with npz.opened(path) as archive:
                names = set(archive.names)
        except (OSError, npz.DamagedError):
            return None
        if "joints_camera" in names:
            return f"{path} is a truth for `pose3d evaluate poses`, no recording"
        return foreign if "positions_2d" in names else None
    return None


def own_json(content: Any, path: Path) -> str | None:
    """What JSON of pose3d's own is; None of another's."""
    if not isinstance(content, dict) or not {"meta", "keypoint_names", "people"} <= content.keys():
        return None
    if "joint_names" in content:
        recording = path.with_suffix(".npz")
        return f"{path} is a recording's JSON, for other programs: give the recording, {recording}"
    return f"{path} is what was found in one picture, where there is no motion: give a recording"


def nothing_in(folder: Path) -> str:
    """That a folder holds no recordings, and what else is in it that could be lifted."""
    others = [
        other.name + "/" * other.is_dir()
        for other in sorted(folder.iterdir())
        if (other.is_dir() and openpose_files(other))
        or (other.is_file() and other.suffix in KINDS and ".pose3d" not in other.suffixes)
    ]
    nothing = f"{folder} holds no {OURS}"
    if not others:
        return nothing
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    openpose = (
        "; OpenPose's are given by their folder and called NAME_000000000000_keypoints.json"
        if sum(name.endswith(".json") for name in others) > 1
        else ""
    )
    return (
        f"{nothing}, but {', '.join(others[:NAMED])}{more}: give `pose3d lift` the one that you "
        f"mean{openpose}"
    )


def _foreign(path: Path) -> str:
    return f"{path} holds another tool's keypoints: `pose3d lift {path}` makes a recording of them"
