"""From what the user typed to a file on this machine."""

from pathlib import Path

from pose3d.errors import PoseError
from pose3d.weights.registry import Kind, available_weights, bundled_folder, lookup


def find(name_or_path: str | Path, kind: Kind | None = None) -> Path:
    """The file behind a registered name or a path.

    Parameters
    ----------
    name_or_path
        A name of :func:`~pose3d.weights.available_weights`, or a file. A name wins over a file of
        the same name in the current folder; write ``./compact`` for the file.
    kind
        ``detector`` or ``lifter``: refuse the other.

    Raises
    ------
    PoseError
        If there is no such file or name.
    """
    text = str(name_or_path)
    path = Path(text).expanduser()
    named = {entry.name for entry in available_weights()}
    if text not in named and path.exists():
        if path.is_dir():
            raise PoseError(f"{path} is a folder: name a file of weights")
        return path
    entry = lookup(text, kind)
    path = bundled_folder() / entry.file
    if not path.is_file():
        raise PoseError(f"the bundled weights {path} are missing: install pose3d again")
    return path
