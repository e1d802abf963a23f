"""Pictures as decoders leave them, beside the same pictures in RGB."""

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from pose3d.detect.framing import Framing
from pose3d.detect.upload import Uploaded
from pose3d.frame import BT601, BT709, Frame, OnGpu, Planes, Stored, View


def colourful(height: int = 122, width: int = 164) -> NDArray[np.uint8]:
    """Soft colours, different in all four corners, so that 4:2:0 loses next to nothing."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    wave = 0.5 + 0.3 * np.sin(5 * x + 3 * y)
    picture = np.stack([0.15 + 0.7 * x, 0.2 + 0.6 * y, wave], -1)
    return (255 * picture).astype(np.uint8)


def stored(form: str = "yuv420p", space: int = BT709, turn: int = 0, mirror: bool = False) -> Frame:
    """The colourful picture as a decoder would give it."""
    rgb = av.VideoFrame.from_ndarray(colourful(), "rgb24")
    frame = rgb.reformat(format=form, dst_colorspace=space)
    frame.colorspace = space
    view = View((frame.width, frame.height), turn, mirror, None)
    return Frame(Stored(frame, view), 7, 0.28)


@pytest.mark.parametrize("form", ["yuv420p", "yuvj420p", "nv12"])
@pytest.mark.parametrize("space", [BT601, BT709])
@pytest.mark.parametrize(("turn", "mirror"), [(0, False), (90, False), (180, True), (270, True)])
def test_what_is_sampled_is_what_the_picture_shows(
    form: str, space: int, turn: int, mirror: bool
) -> None:
    frame = stored(form, space, turn, mirror)
    assert frame.planes is not None
    height, width = frame.image.shape[:2]
    assert frame.size == (width, height) == ((164, 122) if turn in (0, 180) else (122, 164))
    rows, columns = range(3, 100, 3), range(10, 110, 5)
    sampled = frame.patch(rows, columns)
    shown = Frame(frame.image, 7, 0.28).patch(rows, columns)
    assert sampled.shape == shown.shape == (33, 20, 3)
    assert np.abs(sampled.astype(int) - shown).max() <= 6
    grey, expected = frame.grey(2), Frame(frame.image, 7, 0.28).grey(2)
    assert grey.shape == expected.shape
    # BT.709 weighs colours otherwise than OpenCV's grey does.
    assert np.abs(grey.astype(int) - expected).max() <= (8 if space == BT601 else 30)


@pytest.mark.parametrize("turn", [0, 90])
def test_what_a_gpu_is_shown_is_what_a_cpu_is_shown(turn: int) -> None:
    frame = stored(turn=turn)
    assert isinstance(frame.planes, Planes)
    framing = Framing((10, 7, 111, 118), 0.5)
    uploaded = Uploaded.of([frame.planes] * 3, torch.device("cpu"))
    assert len(uploaded) == 3 and len(uploaded[1:]) == 2
    shown = uploaded.shown(framing)
    part = torch.from_numpy(frame.image[7:118, 10:111].copy()).permute(2, 0, 1)[None].float()
    width, height = framing.size
    expected = F.interpolate(part, (height, width), mode="bilinear", antialias=True)
    assert shown.shape == (3, 3, height, width)
    assert (shown - expected).abs().max() <= 8
    assert (shown - expected).abs().mean() <= 2


def test_pictures_of_other_kinds_are_only_to_be_had_as_rgb() -> None:
    assert stored("yuv444p").planes is None
    assert stored("yuv420p10le").planes is None
    wide = stored()
    assert isinstance(wide.picture, Stored)
    stretched = View((200, 122), 0, False, None)
    frame = Frame(Stored(wide.picture.frame, stretched), 0, 0.0)
    assert frame.planes is None and frame.image.shape == (122, 200, 3)
    assert frame.patch(range(0, 20, 2), range(0, 30, 3)).shape == (10, 10, 3)


def test_levels_fill_the_range() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((96, 64), 16, np.uint8), "yuv420p")
    frame.planes[0].update(bytes([16] * 32 + [235] * 32) * 64)
    view = View((64, 64), 0, False, BT601)
    grey = Frame(Stored(frame, view), 0, 0.0).grey(1)
    assert grey.min() == 0 and grey.max() == 255


def test_a_mark_is_of_what_was_decoded() -> None:
    frame = stored()
    assert isinstance(frame.planes, Planes)
    np.testing.assert_array_equal(frame.rows(8), frame.planes.y[::8])
    converted = frame.converted()
    np.testing.assert_array_equal(converted.rows(8), frame.image[::8])
    assert (converted.index, converted.time) == (7, 0.28)


def test_a_picture_that_a_gpu_has_decoded_shows_the_same() -> None:
    frame = stored()
    planes = frame.planes
    assert isinstance(planes, Planes)
    y, u, v = (torch.from_numpy(plane.copy()) for plane in (planes.y, planes.u, planes.v))
    there = Frame(OnGpu(y, u, v, planes.mix), 7, 0.28)
    assert there.size == frame.size
    np.testing.assert_array_equal(there.grey(2), frame.grey(2))
    np.testing.assert_array_equal(there.rows(8), frame.rows(8))
    for some in ((range(4, 90, 3), range(0, 160, 7)), (range(5, 122, 2), range(33, 164, 1))):
        np.testing.assert_array_equal(there.patch(*some), frame.patch(*some))
    assert np.abs(there.image.astype(int) - frame.image).mean() < 2
    assert isinstance(there.picture, OnGpu)
    device = torch.device("cpu")
    framing = Framing((10, 7, 111, 118), 0.5)
    both = (Uploaded.of([p, p], device).shown(framing) for p in (there.picture, planes))
    torch.testing.assert_close(*both)
