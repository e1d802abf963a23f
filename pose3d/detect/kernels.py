"""What a GPU does in one pass where PyTorch takes several: depthwise filters and RoIAlign.

In Triton (Tillet et al., MAPL 2019), which PyTorch brings along where it brings CUDA. Maps are
channels-last throughout: neighbouring numbers in memory are channels of one pixel. On an H100
cuDNN's depthwise convolution takes up to ten times as long for such maps, a bias and a clamp each
cost as much as reading the map again, and torchvision's RoIAlign wants all maps in single
precision and another layout.
"""

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

PIXELS, CHANNELS = 16, 64  # of a block of the depthwise kernel
BINS = 16  # of a block of RoIAlign's


# Sides change from video to video, and must not compile the kernel anew.
@triton.jit(do_not_specialize=["height", "width", "out_width", "pixels", "eighths"])
def _depthwise(  # type: ignore[no-untyped-def]
    x, weight, bias, before, out, height, width, out_width, pixels, eighths,
    stride: tl.constexpr, offset: tl.constexpr, has_bias: tl.constexpr, has_before: tl.constexpr,
    clamps_before: tl.constexpr, clamps: tl.constexpr,
    block_pixels: tl.constexpr, block_channels: tl.constexpr,
):  # fmt: skip
    """Pixels of one picture (axis 1 of the grid) by channels."""
    channels = eighths * 8  # tells the compiler that eight can be read at once
    picture = tl.program_id(1)
    pixel = tl.program_id(0) * block_pixels + tl.arange(0, block_pixels)
    channel = tl.program_id(2) * block_channels + tl.arange(0, block_channels)
    row, column = pixel // out_width, pixel % out_width
    wanted = channel < channels
    x += picture.to(tl.int64) * height * width * channels
    total = tl.zeros((block_pixels, block_channels), tl.float32)
    for tap in tl.static_range(9):
        y = row * stride + tap // 3 + offset
        z = column * stride + tap % 3 + offset
        inside = (y >= 0) & (y < height) & (z >= 0) & (z < width) & (pixel < pixels)
        inside = inside[:, None] & wanted[None]
        at = (y * width + z)[:, None] * channels + channel[None]
        value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        if has_before:
            value += tl.load(before + channel, mask=wanted, other=0.0).to(tl.float32)[None]
        if clamps_before:
            value = tl.minimum(tl.maximum(value, 0.0), 6.0)
        # What is padded is zero after the clamp, too.
        value = tl.where(inside, value, 0.0)
        factor = tl.load(weight + tap * channels + channel, mask=wanted, other=0.0)
        total += value * factor.to(tl.float32)[None]
    if has_bias:
        total += tl.load(bias + channel, mask=wanted, other=0.0).to(tl.float32)[None]
    if clamps:
        total = tl.minimum(tl.maximum(total, 0.0), 6.0)
    at = (picture.to(tl.int64) * pixels + pixel)[:, None] * channels + channel[None]
    tl.store(
        out + at, total.to(out.dtype.element_ty), mask=(pixel < pixels)[:, None] & wanted[None]
    )


def depthwise(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    before: Tensor | None = None,
    clamps_before: bool = False,
    clamps: bool = False,
) -> Tensor:
    """A 3 x 3 filter a channel, clamped to [0, 6] before and after if so wished.

    Parameters
    ----------
    x
        (B, C, H, W), channels-last, C a multiple of 8; sides even where the stride is 2.
    weight
        (9, C).
    bias, before
        (C,) added after the filter, and before it and its clamp.
    stride
        1 pads both ends of a side with a zero, 2 only its end, as TensorFlow does.

    Returns
    -------
    (B, C, H / stride, W / stride), channels-last
    """
    batch, channels, height, width = x.shape
    out = torch.empty(
        (batch, channels, height // stride, width // stride), dtype=x.dtype, device=x.device,
        memory_format=torch.channels_last,
    )  # fmt: skip
    pixels = out.shape[2] * out.shape[3]
    grid = (triton.cdiv(pixels, PIXELS), batch, triton.cdiv(channels, CHANNELS))
    none = weight
    _depthwise[grid](
        x, weight, none if bias is None else bias, none if before is None else before, out,
        height, width, out.shape[3], pixels, channels // 8,
        stride=stride, offset=-1 if stride == 1 else 0, has_bias=bias is not None,
        has_before=before is not None, clamps_before=clamps_before, clamps=clamps,
        block_pixels=PIXELS, block_channels=CHANNELS,
    )  # fmt: skip
    return out


@triton.jit(do_not_specialize=["height", "width", "this"])
def _roi_align(  # type: ignore[no-untyped-def]
    x, rows, level, out, height, width, channels, scale, this,
    size: tl.constexpr, samples: tl.constexpr, aligned: tl.constexpr, has_level: tl.constexpr,
    block_bins: tl.constexpr, block_channels: tl.constexpr,
):  # fmt: skip
    """Bins of one region (axis 0 of the grid) by channels."""
    region = tl.program_id(0)
    shift = 0.5 if aligned else 0.0
    corner = rows + region * 5
    picture = tl.load(corner).to(tl.int64)
    x0 = tl.load(corner + 1) * scale - shift
    y0 = tl.load(corner + 2) * scale - shift
    x1 = tl.load(corner + 3) * scale - shift
    y1 = tl.load(corner + 4) * scale - shift
    wide, high = x1 - x0, y1 - y0
    if not aligned:
        wide, high = tl.maximum(wide, 1.0), tl.maximum(high, 1.0)
    cell = tl.program_id(1) * block_bins + tl.arange(0, block_bins)
    row, column = cell // size, cell % size
    channel = tl.program_id(2) * block_channels + tl.arange(0, block_channels)
    wanted = (cell < size * size)[:, None] & (channel < channels)[None]
    if has_level:
        wanted = wanted & (tl.load(level + region) == this)
    x += picture * height * width * channels
    total = tl.zeros((block_bins, block_channels), tl.float32)
    down_samples, across_samples = samples, samples
    if samples == 0:
        down_samples = tl.maximum(tl.ceil(high / size), 1.0).to(tl.int32)
        across_samples = tl.maximum(tl.ceil(wide / size), 1.0).to(tl.int32)
    for sample in range(down_samples * across_samples):
        y = y0 + (row + (sample // across_samples + 0.5) / down_samples) * (high / size)
        z = x0 + (column + (sample % across_samples + 0.5) / across_samples) * (wide / size)
        outside = (y < -1) | (y > height) | (z < -1) | (z > width)
        y = tl.minimum(tl.maximum(y, 0.0), height - 1.0)
        z = tl.minimum(tl.maximum(z, 0.0), width - 1.0)
        top, left = tl.floor(y), tl.floor(z)
        down, right = y - top, z - left
        top, left = top.to(tl.int32), left.to(tl.int32)
        bottom = tl.minimum(top + 1, height - 1)
        far = tl.minimum(left + 1, width - 1)
        for tap in tl.static_range(4):
            line = top if tap < 2 else bottom
            place = left if tap % 2 == 0 else far
            share = (1 - down if tap < 2 else down) * (1 - right if tap % 2 == 0 else right)
            at = (line * width + place)[:, None] * channels + channel[None]
            value = tl.load(x + at, mask=wanted & (outside == 0)[:, None], other=0.0)
            total += value.to(tl.float32) * share[:, None]
    total = total / (down_samples * across_samples)
    at = (region.to(tl.int64) * size * size + cell)[:, None] * channels + channel[None]
    tl.store(out + at, total.to(out.dtype.element_ty), mask=wanted)


def roi_align(
    maps: list[Tensor],
    rows: Tensor,
    size: int,
    strides: tuple[int, ...],
    samples: int,
    *,
    aligned: bool = True,
    level: Tensor | None = None,
) -> Tensor:
    """Regions (R, C, size, size) of maps (B, C, H, W), all channels-last.

    RoIAlign of He et al., ICCV 2017, with torchvision's meaning of `aligned`.

    Parameters
    ----------
    maps
        One, or the levels of a pyramid.
    rows
        (R, 5) float32: the picture's number, and x0, y0, x1, y1 in its pixels.
    size
        Bins a side.
    strides
        Pixels of the picture to one of each map.
    samples
        Points a side that a bin is the mean of; 0 for as many as there are pixels of the map.
    level
        (R,) which of the maps each region is read from, where there are several.
    """
    channels = maps[0].shape[1]
    out = torch.empty(
        (len(rows), channels, size, size), dtype=maps[0].dtype, device=rows.device,
        memory_format=torch.channels_last,
    )  # fmt: skip
    if not len(rows):
        return out
    rows = rows.float().contiguous()
    grid = (len(rows), triton.cdiv(size * size, BINS), triton.cdiv(channels, CHANNELS))
    for n, (x, stride) in enumerate(zip(maps, strides, strict=True)):
        _roi_align[grid](
            x, rows, rows if level is None else level, out, x.shape[2], x.shape[3], channels,
            1 / stride, n,
            size=size, samples=samples, aligned=aligned, has_level=level is not None,
            block_bins=BINS, block_channels=CHANNELS,
        )  # fmt: skip
    return out
