"""Our own checkpoints: safetensors, whose metadata say which network they are for."""

from pathlib import Path
from typing import TYPE_CHECKING

from pose3d.errors import PoseError

if TYPE_CHECKING:
    from torch import Tensor


def load_safetensors(path: Path | str) -> tuple[dict[str, "Tensor"], dict[str, str]]:
    """Read a safetensors file.

    The format holds no code, and the library checks every offset against the file's length before
    it maps anything.

    Returns
    -------
    tensors
        By name, on the CPU, in the file's own precision.
    metadata
        ``architecture``, ``config`` (JSON) and whatever else the maker wrote; may be empty.

    Raises
    ------
    PoseError
        If there is no such file, or it is no whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()  # not a dict: it cannot be iterated
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except FileNotFoundError:
        raise PoseError(f"there is no file {path}") from None
    except (SafetensorError, OSError) as error:
        raise PoseError(f"{path} is no whole safetensors file ({error}): fetch it again") from error
