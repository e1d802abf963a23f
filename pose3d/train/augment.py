"""Batches of a bank's pictures: turned, scaled, mosaiced, recoloured, covered, all at once.

A batch is one gather: each pixel of the canvas looks up where it comes from.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from pose3d.skeleton import COCO
from pose3d.train.people import PictureBank, level_of, look_up, unpack

DRAWS = 160  # random numbers a picture of the batch may use


@dataclass(frozen=True)
class Batch:
    """A batch to train on.

    Attributes
    ----------
    pictures
        (B, 3, S, S) RGB in [0, 255].
    boxes
        (B, G, 4) persons; NaN where there is none.
    keypoints
        (B, G, 17, 2), NaN where not to be seen.
    ignore
        (B, I, 4) regions in which nothing is asked for; NaN where there is none.
    """

    pictures: Tensor
    boxes: Tensor
    keypoints: Tensor
    ignore: Tensor


def draw_batch(
    bank: PictureBank, rows: Tensor, u: Tensor, canvas: int, sprites: PictureBank | None = None
) -> Batch:
    """Make a batch.

    Parameters
    ----------
    bank
        The data set.
    rows
        (B, 4) pictures for the four tiles of every canvas; a canvas of one tile uses the first.
    u
        (B, DRAWS) uniform random numbers: all the chance there is.
    canvas
        Side of the pictures made.
    sprites
        Cut-out people to lay over them.
    """
    chance = iter(u.unbind(1))

    def uniform(low: float, high: float, shape: tuple[int, ...] = ()) -> Tensor:
        count = math.prod(shape)
        values = torch.stack([next(chance) for _ in range(count)], -1) if shape else next(chance)
        return low + (high - low) * values.reshape(len(rows), *shape)

    # The canvas is one tile or four about a random point.
    mosaic = uniform(0, 1) < 0.3
    split = torch.where(mosaic[:, None], uniform(0.3, 0.7, (2,)), 1.0) * canvas
    x, y = split.unbind(1)
    zero, end = torch.zeros_like(x), torch.full_like(x, canvas)
    tiles = torch.stack(
        [
            torch.stack([zero, zero, x, y], 1),
            torch.stack([x, zero, end, y], 1),
            torch.stack([zero, y, x, end], 1),
            torch.stack([x, y, end, end], 1),
        ],
        1,
    )  # (B, 4, 4)

    # In each tile a picture, turned and scaled about one of its persons.
    size = bank.sizes[rows]
    persons, joints, crowds = bank.boxes[rows], bank.keypoints[rows], bank.crowds[rows]
    count = (~persons[..., 0].isnan()).sum(-1)
    focus = (uniform(0, 1, (4,)) * count).long()
    box = persons.gather(2, focus[..., None, None].expand(-1, -1, 1, 4))[:, :, 0]
    whole = torch.cat([torch.zeros_like(size), size], -1)
    box = torch.where(count[..., None] > 0, box, whole)
    extent = (box[..., 2:] - box[..., :2]).amax(-1).clamp(min=8)
    room = (tiles[..., 2:] - tiles[..., :2]).amin(-1).clamp(min=32)
    wanted = (uniform(math.log(0.28), math.log(1.15), (4,))).exp() * room
    scale = (wanted / extent).clamp(0.25, 3.2)
    normal = (-2 * uniform(1e-6, 1, (4,)).log()).sqrt() * (uniform(0, math.tau, (4,))).cos()
    any_angle = uniform(-math.pi, math.pi, (4,))
    angle = torch.where(uniform(0, 1, (4,)) < 0.06, any_angle, normal * 0.17)
    flip = uniform(0, 1, (4,)) < 0.5
    stretch = uniform(-0.12, 0.12, (4,)).exp()
    cos, sin = angle.cos() * scale, angle.sin() * scale
    mirror = torch.where(flip, -1.0, 1.0)
    matrix = torch.stack(
        [cos * mirror * stretch, -sin * stretch, sin * mirror / stretch, cos / stretch], -1
    ).unflatten(-1, (2, 2))
    # Mostly inside the tile; in one of four somewhere over its edge, cut off as people often are.
    slack = ((tiles[..., 2:] - tiles[..., :2]) - (extent * scale)[..., None]).clamp(min=0) / 2
    over = torch.where(uniform(0, 1, (4,)) < 0.25, 0.5, 0.08)[..., None] * room[..., None]
    offset = uniform(-1, 1, (4, 2)) * torch.maximum(slack, over)
    target = (tiles[..., :2] + tiles[..., 2:]) / 2 + offset
    centre = (box[..., :2] + box[..., 2:]) / 2
    shift = target - (matrix @ centre[..., None])[..., 0]

    boxes, keypoints, hidden = _place_people(persons, joints, matrix, shift, tiles, flip)
    ignore = torch.cat([_clip(_turn_boxes(crowds, matrix, shift), tiles), hidden], 2)
    used = torch.stack([torch.ones_like(mosaic), mosaic, mosaic, mosaic], 1)[..., None, None]
    boxes, ignore = torch.where(used, boxes, torch.nan), torch.where(used, ignore, torch.nan)
    boxes, order = _first(boxes.flatten(1, 2), 12)
    keypoints = keypoints.flatten(1, 2).gather(1, order[..., None, None].expand(-1, -1, 17, 2))
    ignore, _ = _first(ignore.flatten(1, 2), 24)

    behind = bank.empty[(uniform(0, 1) * len(bank.empty)).long()]
    inverse = torch.linalg.inv(matrix)
    pictures = sample(bank, rows, split, inverse, shift, scale, behind, canvas)
    batch = Batch(pictures, boxes, keypoints, ignore)
    if sprites is not None:
        for _ in range(2):
            batch = paste(batch, sprites, uniform(0, 1, (10,)), canvas)
    gain, tint, contrast, gamma = (uniform(-1, 1, (n,)) for n in (3, 3, 1, 1))
    pictures = recolour(batch.pictures, gain, tint, contrast, gamma, uniform(0, 1, (4,)))
    pictures = soften(pictures, uniform(0, 1, (4,)))
    pictures = cover(pictures, uniform(0, 1, (3, 7)), uniform(0, 1), canvas)
    return replace(batch, pictures=pictures)


def _turn_boxes(boxes: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """Boxes about the turned ellipses inscribed in them: a turned person fills no corner."""
    centre, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    centre = torch.einsum("btij,btpj->btpi", matrix, centre) + shift[:, :, None]
    half = torch.einsum("btij,btpj->btpi", matrix**2, half**2).sqrt()
    return torch.cat([centre - half, centre + half], -1)


def _clip(boxes: Tensor, tiles: Tensor) -> Tensor:
    """Boxes (B, 4, P, 4) cut to their tiles; NaN where nothing of 4 pixels is left."""
    low = torch.maximum(boxes[..., :2], tiles[:, :, None, :2])
    high = torch.minimum(boxes[..., 2:], tiles[:, :, None, 2:])
    left = ((high - low) > 4).all(-1, keepdim=True)
    return torch.where(left, torch.cat([low, high], -1), torch.nan)


def _place_people(
    persons: Tensor, joints: Tensor, matrix: Tensor, shift: Tensor, tiles: Tensor, flip: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes and keypoints on the canvas, and boxes of those of whom too little is left."""
    points = torch.einsum("btij,btpkj->btpki", matrix, joints[..., :2]) + shift[:, :, None, None]
    mirror = torch.from_numpy(COCO.mirror).to(points.device)
    visible = joints[..., 2] > 0
    points = torch.where(flip[..., None, None, None], points[..., mirror, :], points)
    visible = torch.where(flip[..., None, None], visible[..., mirror], visible)
    low, high = tiles[:, :, None, None, :2], tiles[:, :, None, None, 2:]
    inside = visible & ((points > low) & (points < high)).all(-1)
    points = torch.where(inside[..., None], points, torch.nan)

    turned = _turn_boxes(persons, matrix, shift)
    reach_low = torch.where(inside[..., None], points, torch.inf).amin(-2)
    reach_high = torch.where(inside[..., None], points, -torch.inf).amax(-2)
    turned = torch.cat(
        [torch.minimum(turned[..., :2], reach_low), torch.maximum(turned[..., 2:], reach_high)], -1
    )
    boxes = _clip(turned, tiles)
    side = (boxes[..., 2:] - boxes[..., :2]).amax(-1)
    full = (turned[..., 2:] - turned[..., :2]).prod(-1)
    share = (boxes[..., 2:] - boxes[..., :2]).prod(-1) / full.clamp(min=1)
    good = (side > 24) & (share > 0.25) & (inside.sum(-1) >= 2)
    return (
        torch.where(good[..., None], boxes, torch.nan),
        points,
        torch.where(good[..., None], torch.nan, boxes),
    )


def _first(boxes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` boxes (B, count, 4) that are not NaN, NaN behind them, and their rows."""
    order = boxes[..., 0].isnan().long().sort(dim=1, stable=True).indices[:, :count]
    return boxes.gather(1, order[..., None].expand(-1, -1, 4)), order


def sample(
    bank: PictureBank,
    rows: Tensor,
    split: Tensor,
    inverse: Tensor,
    shift: Tensor,
    scale: Tensor,
    behind: Tensor,
    canvas: int,
) -> Tensor:
    """Look up every pixel of the canvases: (B, 3, S, S) float, RGB in [0, 255]."""
    grid_x, grid_y = _grid(canvas, split.device)
    right, below = grid_x > split[:, :1], grid_y > split[:, 1:]
    tile = right.long() + 2 * below.long()  # (B, S * S)

    def of_tile(values: Tensor) -> Tensor:
        return values.gather(1, tile)

    x, y = grid_x - of_tile(shift[..., 0]), grid_y - of_tile(shift[..., 1])
    source_x = of_tile(inverse[..., 0, 0]) * x + of_tile(inverse[..., 0, 1]) * y
    source_y = of_tile(inverse[..., 1, 0]) * x + of_tile(inverse[..., 1, 1]) * y
    base, side = level_of(bank, rows, scale)
    size = bank.sizes[rows]
    width, height = of_tile(size[..., 0]), of_tile(size[..., 1])
    colours = look_up(bank, of_tile(base), of_tile(side), width, height, source_x, source_y)
    # Where no picture is, the one behind, stretched over the whole canvas.
    wide, high = bank.sizes[behind].split(1, 1)
    column, line = (grid_x * wide / canvas).long(), (grid_y * high / canvas).long()
    back = bank.pixels[behind[:, None] * bank.side**2 + line * bank.side + column]
    inside = (source_x > 0) & (source_x < width) & (source_y > 0) & (source_y < height)
    colours = torch.where(inside[:, None], colours[:, :3], unpack(back)[:, :3])
    return colours.unflatten(-1, (canvas, canvas))


def paste(batch: Batch, sprites: PictureBank, u: Tensor, canvas: int) -> Batch:
    """Lay one cut-out person over a quarter of the pictures; what it covers loses its keypoints.

    `u` (B, 10) uniform random numbers.
    """
    used = u[:, 0] < 0.25
    row = (u[:, 1] * len(sprites)).long()
    size = sprites.sizes[row]
    wanted = (math.log(48) + u[:, 2] * math.log(0.95 * canvas / 48)).exp()
    scale = (wanted / size.amax(1)).clamp(0.2, 2.5)
    angle = torch.where(u[:, 3] < 0.1, (u[:, 4] - 0.5) * math.tau, (u[:, 4] - 0.5) * 0.6)
    flip = u[:, 5] < 0.5
    mirror = torch.where(flip, -1.0, 1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    matrix = torch.stack([cos * mirror, -sin, sin * mirror, cos], -1).unflatten(-1, (2, 2))
    centre = (0.02 + 0.96 * u[:, 6:8]) * canvas
    shift = centre - (matrix @ (size / 2)[..., None])[..., 0]

    grid_x, grid_y = _grid(canvas, u.device)
    x, y = grid_x - shift[:, :1], grid_y - shift[:, 1:]
    inverse = torch.linalg.inv(matrix)[:, None]
    source_x = inverse[..., 0, 0] * x + inverse[..., 0, 1] * y
    source_y = inverse[..., 1, 0] * x + inverse[..., 1, 1] * y
    base, side = level_of(sprites, row, scale)
    width, height = size.split(1, 1)
    layer = look_up(sprites, base[:, None], side[:, None], width, height, source_x, source_y)
    inside = (source_x > 0) & (source_x < width) & (source_y > 0) & (source_y < height)
    layer = torch.where((inside & used[:, None])[:, None], layer, 0)
    alpha = layer[:, 3] / 255
    colours = batch.pictures.flatten(2) * (1 - alpha[:, None]) + layer[:, :3]

    at = batch.keypoints.nan_to_num(0).long().clamp(0, canvas - 1)
    at = (at[..., 1] * canvas + at[..., 0]).flatten(1)
    covered = (alpha.gather(1, at) > 0.5).view(batch.keypoints.shape[:-1])
    below = torch.where(covered[..., None], torch.nan, batch.keypoints)

    whole = torch.tensor([0.0, 0, canvas, canvas], device=u.device).expand(len(u), 1, 4)
    boxes, points, hidden = _place_people(
        sprites.boxes[row][:, None], sprites.keypoints[row][:, None],
        matrix[:, None], shift[:, None], whole, flip[:, None],
    )  # fmt: skip
    here = used[:, None, None]
    return Batch(
        colours.view_as(batch.pictures),
        torch.cat([batch.boxes, torch.where(here, boxes[:, 0, :1], torch.nan)], 1),
        torch.cat([below, points[:, 0, :1]], 1),
        torch.cat([batch.ignore, torch.where(here, hidden[:, 0, :1], torch.nan)], 1),
    )


def _grid(canvas: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixel centres x, y (1, S * S) of a canvas, row by row."""
    line = torch.arange(canvas, device=device) + 0.5
    return line.repeat(canvas)[None], line.repeat_interleave(canvas)[None]


def recolour(
    pictures: Tensor, gain: Tensor, tint: Tensor, contrast: Tensor, gamma: Tensor, which: Tensor
) -> Tensor:
    """Brightness, tint, contrast, gamma, saturation and noise, as cameras and light differ."""
    x = pictures / 255
    x = x * (0.35 * gain[:, :1, None, None] + 0.12 * tint[..., None, None]).exp()
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * (0.3 * contrast[..., None, None]).exp() + mean
    x = x.clamp(1e-4, 1) ** (0.3 * gamma[..., None, None]).exp()
    gray = x.mean(1, keepdim=True)
    saturation = torch.where(which[:, 0] < 0.1, 0.0, which[:, 1] * 1.3 + 0.2)
    x = gray + (x - gray) * saturation[:, None, None, None]
    strength = torch.where(which[:, 2] < 0.3, which[:, 3] * 0.06, 0.0)[:, None, None, None]
    # A cheap noise that needs no generator: the fraction of a large sine, cell by cell.
    height, width = x.shape[-2:]
    cell = torch.arange(height * width, device=x.device).reshape(height, width)
    wave = (cell * 12.9898 + which[:, 2, None, None] * 7919).sin() * 43758.5453
    noise = (wave - wave.floor() - 0.5)[:, None]
    return (x + 3.4 * strength * noise).clamp(0, 1) * 255


def soften(pictures: Tensor, u: Tensor) -> Tensor:
    """Motion or focus blur on one picture of three: a 7 x 7 kernel for each."""
    angle, length, width = u[:, 0] * math.pi, u[:, 1] ** 2 * 3, 0.3 + 0.9 * u[:, 2] ** 2
    step = torch.arange(-3, 4, device=u.device, dtype=torch.float32)
    y, x = torch.meshgrid(step, step, indexing="ij")
    along = x * angle.cos()[:, None, None] + y * angle.sin()[:, None, None]
    across = y * angle.cos()[:, None, None] - x * angle.sin()[:, None, None]
    beyond = (along.abs() - length[:, None, None]).clamp(min=0)
    kernel = (-(beyond**2 + across**2) / (2 * width[:, None, None] ** 2)).exp()
    sharp = torch.zeros_like(kernel)
    sharp[:, 3, 3] = 1
    kernel = torch.where((u[:, 3] < 0.35)[:, None, None], kernel, sharp)
    kernel = (kernel / kernel.sum((1, 2), keepdim=True)).repeat_interleave(3, 0)[:, None]
    batch, _, height, width_ = pictures.shape
    flat = F.pad(pictures, (3, 3, 3, 3), mode="replicate").reshape(1, batch * 3, height + 6, -1)
    return F.conv2d(flat, kernel, groups=batch * 3).view(batch, 3, height, width_)


def cover(pictures: Tensor, u: Tensor, chance: Tensor, canvas: int) -> Tensor:
    """Up to three rectangles of the picture's other half laid over one picture of four."""
    grid = torch.arange(canvas, device=u.device, dtype=torch.float32)
    other = pictures.roll((canvas // 2, canvas // 2), (2, 3))
    for patch in u.unbind(1):
        side = (0.04 + 0.2 * patch[:, 2:4]) * canvas
        low = patch[:, :2] * canvas - side / 2
        x, y = (((grid >= low[:, i, None]) & (grid < (low + side)[:, i, None])) for i in (0, 1))
        here = x[:, None, :] & y[:, :, None] & (chance < 0.25)[:, None, None]
        here &= (patch[:, 4] < 0.7)[:, None, None]
        pictures = torch.where(here[:, None], other, pictures)
    return pictures
