"""The recording itself, as :class:`~pose3d.sequence.Recording` reads it."""

from pathlib import Path

from pose3d.export.settings import Settings
from pose3d.files import replacing
from pose3d.sequence import Recording


def write(recording: Recording, path: Path, _settings: Settings) -> tuple[Path, ...]:
    """Write ``NAME.pose3d.npz``."""
    with replacing(path) as part:
        recording.save(part)
    return (path,)
