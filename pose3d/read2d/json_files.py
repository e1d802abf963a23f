"""JSON of other tools: COCO's results and annotations, AlphaPose, MMPose, OpenPose's folders."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d import limits
from pose3d.errors import PoseError
from pose3d.parse import from_json, read_bytes
from pose3d.read2d.found import Found, Seen
from pose3d.read2d.joints import BODIES, named, set_of

SPARSE = 20  # frames to one that is there, from where numbers of pictures are no frames in a row


class OddError(Exception):
    """What a file holds is not what its format holds; the message says where."""


def load(path: Path, most: int = limits.KEYPOINT_BYTES) -> Any:
    """The content of a JSON file.

    Raises
    ------
    PoseError
        If it is too large, or no JSON.
    """
    try:
        return from_json(read_bytes(path, most))
    except ValueError as error:
        raise PoseError(f"{path} is no JSON ({str(error)[:100]})") from None


def form_of(content: Any) -> str | None:
    """Name of the format that has this shape."""
    first = content[0] if isinstance(content, list) and content else None
    if isinstance(content, dict):
        if "instance_info" in content:
            return "mmpose"
        if "annotations" in content and "images" in content:
            return "coco"
    elif isinstance(first, dict):
        if "instances" in first:
            return "mmpose"
        if "keypoints" in first and "image_id" in first:
            return "alphapose" if isinstance(first["image_id"], str) else "coco"
    return None


def read_openpose(folder: Path) -> Found:
    """A folder with a file for every frame."""
    files = openpose_files(folder)
    if len(files) > limits.FRAMES:
        raise PoseError(f"{folder} holds more than {limits.FRAMES:,} files: refused")
    seen: list[Seen] = []
    for frame, path in files.items():
        content = load(path, limits.KEYPOINT_FRAME_BYTES)
        people = content.get("people") if isinstance(content, dict) else None
        if not isinstance(people, list):
            raise PoseError(f"{path} holds no list of people, as OpenPose's files do")
        for person in people:
            try:
                values = _field(person, "pose_keypoints_2d", list)
                if not values:
                    continue  # a face or a hand alone
                points, scores = _triples(values)
                number = _whole(person.get("person_id", -1))
            except OddError as odd:
                raise PoseError(f"{path}: {odd}") from None
            seen.append(Seen(frame, points, scores, None if number < 0 else number))
    names = _names(seen, (18, 25), folder)
    if seen and max(float(np.abs(each.points).max()) for each in seen) <= 1:
        raise PoseError(
            f"{folder} holds places as shares of the picture: run OpenPose with --keypoint_scale 0"
        )
    return Found("openpose", names, seen, max(files) + 1)


def openpose_files(folder: Path) -> dict[int, Path]:
    """OpenPose's files in a folder by their frame, in order; none for another folder.

    Raises
    ------
    PoseError
        If they are of several videos.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if match := re.fullmatch(r"(?:.*\D)?(\d{1,15})_keypoints\.json", path.name):
            other = found.setdefault(int(match[1]), path)
            if other != path:
                raise PoseError(
                    f"{folder} holds files of several videos, such as {other.name} and "
                    f"{path.name}: put each into a folder of its own"
                )
    return dict(sorted(found.items()))


def read_coco(content: Any, path: Path) -> Found:
    """COCO's results, or its annotations, whose pictures are taken in the order of their names."""
    if isinstance(content, list):
        return Found("coco", *_results(content, path, (17, 133)))
    try:
        pictures = [p for p in _field(content, "images", list) if isinstance(p, dict)]
        ids = [_whole(picture.get("id")) for picture in pictures]
        sizes = {(_whole(p.get("width")), _whole(p.get("height"))) for p in pictures}
        order = sorted(
            range(len(ids)), key=lambda n: (str(pictures[n].get("file_name", "")), ids[n])
        )
        frame = {ids[n]: place for place, n in enumerate(order)}
        people = [
            {"score": 1.0, **entry, "image_id": frame.get(entry["image_id"], -1)}
            for entry in _field(content, "annotations", list)
            if isinstance(entry, dict)
            and isinstance(entry.get("image_id"), int)
            and entry.get("num_keypoints", 1)
        ]
    except OddError as odd:
        raise PoseError(f"{path}: {odd}") from None
    names, seen = _results(people, path, (17, 133))
    if len(sizes) > 1:
        raise PoseError(f"{path} holds pictures of {len(sizes)} sizes: they are no video")
    return Found("coco", names, seen, len(ids), next(iter(sizes), None))


def read_alphapose(content: Any, path: Path) -> Found:
    """AlphaPose's list, whose pictures are called by the frame's number."""
    return Found("alphapose", *_results(content, path, (17, 26, 133, 136)))


def _results(
    content: list[Any], path: Path, bodies: tuple[int, ...]
) -> tuple[tuple[str, ...], list[Seen]]:
    """A list of people with ``image_id``, ``keypoints`` and ``score``."""
    seen = []
    for n, entry in enumerate(content):
        try:
            points, scores = _triples(_field(entry, "keypoints", list))
            picture = entry.get("image_id")
            if isinstance(picture, str):
                digits = re.findall(r"\d+", Path(picture).stem)
                if not digits:
                    raise OddError(f"no frame's number is in {picture[:60]!r}")
                picture = int(digits[-1][:15])
            number = entry.get("track_id", entry.get("idx"))
            while isinstance(number, list) and number:
                number = number[0]
            seen.append(
                Seen(
                    _whole(picture),
                    points,
                    scores,
                    _whole(number) if isinstance(number, int | float) else None,
                    _box(entry.get("bbox", entry.get("box"))),
                    _number(entry.get("score")),
                )
            )
        except OddError as odd:
            raise PoseError(f"{path}: entry {n}: {odd}") from None
    frames = {each.frame for each in seen}
    if len(frames) > 1 and max(frames) - min(frames) > SPARSE * len(frames):
        raise PoseError(
            f"{path}: image_id runs from {min(frames)} to {max(frames)} for {len(frames)} pictures:"
            " it must be the frame's number in the video"
        )
    return _names(seen, bodies, path), seen


def read_mmpose(content: Any, path: Path) -> Found:
    """MMPose's list of frames, or what its demo writes around that, with the joints' names."""
    about: Any = {}
    first = 0
    if isinstance(content, dict):
        about, content = content.get("meta_info", {}), content["instance_info"]
        first = 1  # the demo counts from 1
    seen = []
    frames = 0
    try:
        for n, entry in enumerate(content if isinstance(content, list) else []):
            frame = _whole(_field(entry, "frame_id", int | float, n + first)) - first
            frames = max(frames, frame + 1)
            for person in _field(entry, "instances", list):
                points = _array(_field(person, "keypoints", list), 2)
                scores = _array(_field(person, "keypoint_scores", list, [1.0] * len(points)), 1)
                if points.shape[1] < 2 or len(scores) != len(points):
                    raise OddError(f"frame {frame}: keypoints and scores do not fit")
                box = person.get("bbox")
                while isinstance(box, list) and len(box) == 1:
                    box = box[0]
                own = _box(box, corners=True)
                number = person.get("track_id", person.get("instance_id"))
                seen.append(
                    Seen(
                        frame,
                        points[:, :2],
                        scores,
                        _whole(number) if isinstance(number, int) else None,
                        own,
                        _number(person.get("bbox_score")),
                    )
                )
    except OddError as odd:
        raise PoseError(f"{path}: {odd}") from None
    names = _mmpose_names(about, _count(seen, path))
    return Found("mmpose", names or _names(seen, (17, 26, 133, 136), path), seen, frames)


def _mmpose_names(about: Any, count: int) -> tuple[str, ...] | None:
    """The joints' names, where the file has them."""
    table = about.get("keypoint_id2name") if isinstance(about, dict) else None
    if not isinstance(table, dict) or len(table) != count:
        return None
    return named([str(table.get(str(n), "")) for n in range(count)])


def _names(seen: Iterable[Seen], bodies: tuple[int, ...], path: Path) -> tuple[str, ...]:
    count = _count(seen, path)
    names = set_of(count) if count else ()
    if names is None or (count and count not in bodies):
        known = ", ".join(str(n) for n in BODIES if n in bodies)
        raise PoseError(f"{path} holds people of {count} joints; known are {known}")
    return names


def _count(seen: Iterable[Seen], path: Path) -> int:
    """How many joints everyone has; 0 where there is nobody."""
    counts = sorted({len(each.points) for each in seen})
    if len(counts) > 1:
        some = " and ".join(map(str, counts[:5]))
        raise PoseError(f"{path} holds people of {some} joints")
    return counts[0] if counts else 0


def _field(entry: Any, name: str, kind: Any, usual: Any = None) -> Any:
    if not isinstance(entry, dict):
        raise OddError("an object is missing")
    value = entry.get(name, usual)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise OddError(f"{name} is missing or odd")
    return value


def _array(values: list[Any], dimensions: int) -> NDArray[np.float64]:
    if len(values) > 3 * limits.JOINTS:
        raise OddError(f"one person has {len(values)} numbers")
    try:
        array = np.array(values, float)
    except (TypeError, ValueError, OverflowError):
        raise OddError("keypoints are no numbers") from None
    if array.ndim != dimensions:
        raise OddError("keypoints are not in rows")
    return array


def _triples(values: list[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x, y, score, x, y, score... as (K, 2) and (K,)."""
    array = _array(values, 1)
    if array.size % 3:
        raise OddError(f"keypoints are {array.size} numbers, not three for each")
    array = array.reshape(-1, 3)
    return array[:, :2], array[:, 2]


def _box(values: Any, corners: bool = False) -> tuple[float, ...] | None:
    """x0, y0, x1, y1 of that, or of x, y, width, height."""
    if not isinstance(values, list) or len(values) < 4:
        return None
    numbers = [_number(value) for value in values[:4]]
    if any(number is None for number in numbers):
        return None
    x, y, a, b = (float(number or 0) for number in numbers)
    return (x, y, a, b) if corners else (x, y, x + a, y + b)


def _number(value: Any) -> float | None:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) < 1e30 else None


def _whole(value: Any) -> int:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, int | float) or value != value or abs(value) > 1e15:
        raise OddError("a number of a frame, person or size is missing or odd")
    return int(value)
