"""From any family's file to our safetensors, which need no pickle and give equal results."""

import json
import os
from pathlib import Path

from pose3d.errors import PoseError
from pose3d.weights.checksum import sha256
from pose3d.weights.download import Progress
from pose3d.weights.locate import obtain, resolve


def convert(
    source: str | Path,
    out: Path | str,
    *,
    dialect: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write weights as safetensors, every number as it was.

    The metadata keep architecture, configuration, family and dialect, and where the weights are
    from: ``source``, ``source_sha256`` and ``licence``.

    Parameters
    ----------
    source, dialect, progress
        As for :func:`~pose3d.weights.locate.load`.
    out
        The new file, or a folder for ``NAME.safetensors``.
    overwrite
        Whether `out` may exist.

    Raises
    ------
    PoseError
        If the weights cannot be had or read, or `out` exists or cannot be written.
    """
    from safetensors.torch import save_file

    from pose3d.weights.formats import read

    entry = resolve(source)
    path = obtain(entry, progress)
    checkpoint = read(path, dialect or entry.dialect)
    out = Path(out)
    if out.is_dir():
        out = out / f"{path.stem}.safetensors"
    if out.exists() and not overwrite:
        raise PoseError(f"{out} exists: give another name, or --overwrite")
    metadata = {
        "source": entry.urls[0] if entry.urls else path.name,
        "source_sha256": sha256(path),
        "licence": entry.licence,
        **checkpoint.metadata,
        "kind": checkpoint.kind,
        "family": checkpoint.family,
        "dialect": checkpoint.dialect,
        "architecture": checkpoint.architecture,
        "config": json.dumps(checkpoint.config),
    }
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        save_file(checkpoint.tensors, part, metadata)
        part.replace(out)
    except OSError as error:
        raise PoseError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return out
