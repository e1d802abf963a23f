"""A contact sheet: the whole clip at one glance."""

from os import PathLike
from pathlib import Path

import numpy as np

from pose3d.look import Look
from pose3d.pictures import write_picture
from pose3d.progress import Progress
from pose3d.render import draw, style
from pose3d.render.painter import Limits, Picture, Reel
from pose3d.render.style import Sizes
from pose3d.sequence import Recording

LIMITS = Limits(lowest=240, highest=270, widest=480)
PICTURES, COLUMNS = 12, 3
GAP = 4  # pixels between them


def render_sheet(
    recording: Recording,
    video_path: str | PathLike[str] | None,
    out_path: str | PathLike[str],
    progress: Progress | None = None,
    look: Look | None = None,
) -> None:
    """Write a picture of twelve moments, evenly spread over the clip, each with its time.

    Parameters
    ----------
    recording, video_path, out_path, progress, look
        As for :func:`pose3d.render.render_video`; a PNG is written.

    Raises
    ------
    PoseError
        If the video cannot be read, or has other frames than the recording.
    """
    reel = Reel(recording, video_path, look or Look(), LIMITS)
    frames = max(reel.frames or 1, 1)
    chosen = {int(n) for n in np.linspace(0, frames - 1, PICTURES).round()}
    tiles = []
    for picture in reel.pictures(progress or Progress(), chosen):
        tile = picture.image
        sizes = Sizes.of(tile.shape[0])
        corner = np.array([2 * sizes.bone, tile.shape[0] - 2 * sizes.bone])
        draw.text(tile, f"{picture.time:.2f} s", corner, style.TEXT, sizes, outline=1)
        tiles.append(tile)
    write_picture(_grid(tiles), Path(out_path))


def _grid(tiles: list[Picture]) -> Picture:
    height, width = tiles[0].shape[:2]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    size = rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3
    sheet = np.full(size, style.BACKGROUND, np.uint8)
    for n, tile in enumerate(tiles):
        y = GAP + n // columns * (height + GAP)
        x = GAP + n % columns * (width + GAP)
        sheet[y : y + height, x : x + width] = tile
    return sheet
