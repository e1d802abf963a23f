"""Digests of files, and the check that a registered file must pass."""

import hashlib
from pathlib import Path


def sha256(path: Path | str) -> str:
    """SHA-256 of a file as 64 hex digits, read in pieces."""
    return digest(path, "sha256")


def digest(path: Path | str, algorithm: str) -> str:
    """Hex digest of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
