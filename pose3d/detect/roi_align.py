"""RoIAlign (He et al., ICCV 2017) of torchvision, without waiting for all of torchvision.

To import its Python takes as long as to import torch; the compiled operator is there in a
millisecond. Gradients and what exporters ask for are in the Python part, so that this is imported
where an answer is not all that is wanted.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor


def roi_align(x: Tensor, rows: Tensor, size: int, stride: int, samples: int) -> Tensor:
    """Regions (R, C, size, size) of maps (B, C, H, W).

    Parameters
    ----------
    x
        The maps.
    rows
        (R, 5): the picture's number, and x0, y0, x1, y1 in its pixels.
    size
        Cells a side.
    stride
        Pixels of the picture to one of the maps.
    samples
        Points a side that a cell is the mean of.
    """
    if not torch.is_inference_mode_enabled():
        import torchvision  # noqa: F401
    return torch.ops.torchvision.roi_align(x, rows, 1 / stride, size, size, samples, True)


def _load() -> None:
    """Register the operator."""
    spec = find_spec("torchvision")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for library in sorted(Path(folder).glob("_C*")):
            try:
                torch.ops.load_library(str(library))
            except OSError:
                continue
            if hasattr(torch.ops.torchvision, "roi_align"):
                return
    import torchvision  # noqa: F401  # wherever it has its library, or it says what is wrong


_load()
