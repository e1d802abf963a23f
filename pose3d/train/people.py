"""Pictures of people with their keypoints, on the device.

Every picture is decoded once into device memory, with two halved copies (a pyramid) so that
shrinking does not alias. Whoever wants pixels looks them up (:func:`look_up`): four neighbours are
blended.
"""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose3d.errors import PoseError

LEVELS = 3
SMALL_PICTURE = 352  # pixels; pictures of up to this take the same room in memory


@dataclass(frozen=True)
class PictureBank:
    """A COCO keypoint data set in device memory.

    Attributes
    ----------
    pixels
        (sum over levels,) int32, RGBA packed and multiplied by A, all pictures padded to `side`,
        then the halved ones.
    sizes
        (N, 2) width and height.
    boxes, keypoints
        (N, P, 4) and (N, P, 17, 3) of persons; x, y, visible. NaN where there is none.
    crowds
        (N, C, 4) boxes to ignore, NaN where there is none.
    empty
        Rows of pictures with nobody in them, to lay behind others; never empty itself.
    """

    side: int
    pixels: Tensor
    sizes: Tensor
    boxes: Tensor
    keypoints: Tensor
    crowds: Tensor
    empty: Tensor

    def __len__(self) -> int:
        return len(self.sizes)


def read_annotations(path: Path) -> dict:
    """A COCO file, plain or gzipped."""
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        raise PoseError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise PoseError(f"{path} is not a COCO annotation file ({error})") from error


def load_bank(
    annotations: Path, images: Path, device: torch.device, limit: int | None = None
) -> PictureBank:
    """Decode a data set into device memory."""
    coco = read_annotations(annotations)
    side = picture_side(coco)
    pictures = coco["images"][:: max(1, len(coco["images"]) // limit) if limit else 1]
    row = {picture["id"]: n for n, picture in enumerate(pictures)}
    boxes = np.full((len(pictures), 6, 4), np.nan, np.float32)
    keypoints = np.full((len(pictures), 6, 17, 3), np.nan, np.float32)
    crowds = np.full((len(pictures), 12, 4), np.nan, np.float32)
    persons_in, crowds_in = np.zeros(len(pictures), int), np.zeros(len(pictures), int)
    for note in sorted(coco["annotations"], key=lambda a: -a["area"]):
        n = row.get(note["image_id"])
        if n is None:
            continue
        x, y, w, h = note["bbox"]
        box = (x, y, x + w, y + h)
        if not note["iscrowd"] and note["num_keypoints"] and persons_in[n] < boxes.shape[1]:
            boxes[n, persons_in[n]] = box
            keypoints[n, persons_in[n]] = np.array(note["keypoints"], np.float32).reshape(17, 3)
            persons_in[n] += 1
        elif crowds_in[n] < crowds.shape[1]:
            crowds[n, crowds_in[n]] = box
            crowds_in[n] += 1
    levels = [
        torch.empty((len(pictures), side >> level, side >> level), dtype=torch.int32)
        for level in range(LEVELS)
    ]

    def decode(n: int) -> None:
        padded = np.zeros((side, side, 4), np.uint8)
        picture = _read_rgba(images / pictures[n]["file_name"])
        padded[: picture.shape[0], : picture.shape[1]] = picture
        for level in levels:
            size = level.shape[-1]
            copy = cv2.resize(padded, (size, size), interpolation=cv2.INTER_AREA)
            level[n] = torch.from_numpy(copy.view(np.int32)[..., 0])

    with ThreadPoolExecutor() as pool:
        list(pool.map(decode, range(len(pictures))))
    sizes = np.array([(p["width"], p["height"]) for p in pictures], np.float32)
    empty = np.flatnonzero((persons_in == 0) & (crowds_in == 0))
    if not len(empty):
        empty = np.arange(len(pictures))
    return PictureBank(
        side,
        torch.cat([level.flatten().to(device) for level in levels]),
        *(torch.from_numpy(a).to(device) for a in (sizes, boxes, keypoints, crowds, empty)),
    )


def picture_side(coco: dict) -> int:
    """A side in pixels that holds every picture of a data set, and can be halved for its copies."""
    largest = max(max(picture["width"], picture["height"]) for picture in coco["images"])
    step = 2 ** (LEVELS - 1)
    return max(-(-largest // step) * step, SMALL_PICTURE)


def _read_rgba(path: Path) -> NDArray[np.uint8]:
    """A picture, its colours multiplied by its opacity where it has one."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise PoseError(f"{path}: not a readable picture")
    if picture.ndim == 3 and picture.shape[2] == 4:
        rgba = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2mRGBA)  # type: ignore[return-value]
    code = cv2.COLOR_BGR2RGBA if picture.ndim == 3 else cv2.COLOR_GRAY2RGBA
    return cv2.cvtColor(picture, code)  # type: ignore[return-value]


def look_up(
    bank: PictureBank,
    base: Tensor,
    side: Tensor,
    width: Tensor,
    height: Tensor,
    x: Tensor,
    y: Tensor,
) -> Tensor:
    """Blend four neighbours: (B, 4, M) channels at pixels x, y of pictures that start at `base`.

    Clamped to half a pixel inside the picture, so that no padding is blended in.
    """
    factor = side / bank.side
    px = (torch.minimum(x.clamp(min=0), width) * factor - 0.5).clamp(min=0)
    py = (torch.minimum(y.clamp(min=0), height) * factor - 0.5).clamp(min=0)
    px = torch.minimum(px, (width * factor).floor() - 1).clamp(min=0)
    py = torch.minimum(py, (height * factor).floor() - 1).clamp(min=0)
    x0, y0 = px.long(), py.long()
    fx, fy = px - x0, py - y0
    x1, y1 = torch.minimum(x0 + 1, side - 1), torch.minimum(y0 + 1, side - 1)
    corners = [unpack(bank.pixels[base + yy * side + xx]) for yy in (y0, y1) for xx in (x0, x1)]
    shares = [(wy * wx)[:, None] for wy in (1 - fy, fy) for wx in (1 - fx, fx)]
    return sum(corner * share for corner, share in zip(corners, shares, strict=True))  # type: ignore[return-value]


def unpack(packed: Tensor) -> Tensor:
    """Four channels (B, 4, M) of packed pixels (B, M)."""
    return torch.stack([((packed >> (8 * channel)) & 255).float() for channel in range(4)], 1)


def level_of(bank: PictureBank, rows: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Where each picture starts, at the copy that suits its scale, and that copy's side."""
    level = (-scale.log2() + 0.3).round().clamp(0, LEVELS - 1).long()
    side = bank.side >> level
    starts = [len(bank) * sum((bank.side >> i) ** 2 for i in range(n)) for n in range(LEVELS)]
    return torch.tensor(starts, device=rows.device)[level] + rows * side**2, side
