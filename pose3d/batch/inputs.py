"""Which files arguments stand for, and where what comes of them is put."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from pose3d import limits, read2d
from pose3d.errors import PoseError, UsageError
from pose3d.files import address_of
from pose3d.parse import read_bytes
from pose3d.read2d.mistaken import nothing_in

VIDEOS = frozenset(
    [
        ".3gp",
        ".avi",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ts",
        ".webm",
        ".wmv",
    ]
)
PICTURES = frozenset([".bmp", ".jp2", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"])
RECORDINGS = frozenset([".npz"])
OURS = ".pose3d"  # before the suffix of everything that is written here
Stems = Counter[tuple[str, frozenset[str]]]


@dataclass(frozen=True)
class Input:
    """A file to work on.

    Attributes
    ----------
    path
        Where it is.
    inside
        The folder, below that of the results, for what comes of it: where it lies below the folder
        that was given.
    named
        Where it is named, if in a list: ``list.txt, line 7``.
    """

    path: Path
    inside: Path = field(default_factory=Path)
    named: str = ""


@dataclass(frozen=True)
class Job:
    """One input and the files that shall come of it, by format.

    Attributes
    ----------
    source
        The input.
    outputs
        Paths by format.
    inside, named
        As of :class:`Input`.
    journal
        Where a long detection may keep its journal.
    folder
        That of the input as seen from that of the outputs, if they lie apart on this machine.
    """

    source: Path
    outputs: dict[str, Path]
    inside: Path = field(default_factory=Path)
    journal: Path | None = None
    named: str = ""
    folder: str | None = None

    @property
    def name(self) -> str:
        """What it is called where jobs are told apart."""
        return str(self.source)

    @property
    def recording(self) -> Path | None:
        """Where the recording is, or would be: an earlier run may have left one."""
        beside = self.journal.with_suffix(".npz") if self.journal else None
        return self.outputs.get("npz", beside)

    @property
    def missing(self) -> dict[str, Path]:
        """Outputs that are not there yet."""
        return {name: path for name, path in self.outputs.items() if not path.exists()}


def expand(
    inputs: Sequence[str | os.PathLike[str]],
    suffixes: frozenset[str],
    ours: bool = False,
    pattern: str | None = None,
) -> list[Input]:
    """Files that arguments stand for, each once.

    A folder stands for the files in it and in its folders, a pattern (``clips/**/cam1.mp4``) for
    what it matches, ``@list.txt`` for what the file's lines say. A file that does not exist stays,
    for whoever opens it to say so.

    Parameters
    ----------
    inputs
        Files, folders, patterns, lists.
    suffixes
        Of the files that folders and patterns stand for. What is written here (``NAME.pose3d.*``)
        is left out of these, or with `ours` all else.
    pattern
        Of the files of folders, in place of suffixes, such as ``cam1_*.mp4``.

    Raises
    ------
    PoseError
        If a folder, pattern or list gives nothing.
    UsageError
        If a name is empty.
    """
    found: list[Input] = []
    for text in [os.fspath(argument) for argument in inputs]:
        if not text:
            raise UsageError("a name that is empty was given: write . for the current folder")
        if text.startswith("@") and not Path(text).exists():
            found += _listed(Path(text[1:]), suffixes, ours, pattern)
        else:
            found += _matching(text, suffixes, ours, pattern)
    once: dict[Path, Input] = {}
    for item in found:
        once.setdefault(item.path.absolute(), item)
    return list(once.values())


def plan(sources: Sequence[Input], out: Path | None, suffixes: dict[str, str]) -> list[Job]:
    """A job for every source, its outputs beside it or in `out`, there as the inputs lie.

    Outputs are named after the input without its suffix; with it, ``a.mov.pose3d.npz``, where
    another input of the same kind (``a.mp4``) has the same name.

    Raises
    ------
    UsageError
        If two would write the same file.
    """

    def place(source: Input, name: str) -> Path:
        return (out / source.inside if out else source.path.parent) / name

    def short(path: Path) -> str:
        return path.stem.removesuffix(OURS)

    stems = cache(_stems)
    writers = Counter(_key(place(source, short(source.path))) for source in sources)
    jobs = []
    for source in sources:
        path = source.path
        alone = writers[_key(place(source, short(path)))] == 1 and not _has_twin(path, stems)
        base = place(source, short(path) if alone else path.name)
        outputs = {name: base.with_name(base.name + suffix) for name, suffix in suffixes.items()}
        journal = base.with_name(f"{base.name}{OURS}.journal")
        folder = folder_from(base.parent, path.parent)
        jobs.append(Job(path, outputs, source.inside, journal, source.named, folder))
    counts = Counter(path.absolute() for job in jobs for path in job.outputs.values())
    for written, times in counts.items():
        if times > 1:
            raise UsageError(
                f"{times} of the files given would write {written}: give the folder that they are "
                "in, or a pattern in quotes, and -o has its folders; or run them apart"
            )
    return jobs


def folder_from(here: Path, there: Path) -> str | None:
    """A folder as seen from another, to be found again when both move; None if they are the same.

    Nor is there one from a store, or from another drive.
    """
    if address_of(here):
        return None
    try:
        way = os.path.relpath(os.path.realpath(there), os.path.realpath(here))
    except ValueError:
        return None
    return None if way == os.curdir else Path(way).as_posix()


def _matching(
    text: str, suffixes: frozenset[str], ours: bool, pattern: str | None
) -> Iterator[Input]:
    """Files that an argument stands for, unless it is a list."""
    path = Path(text)
    if path.is_dir() and not (ours and read2d.is_openpose(path)):
        members = sorted(_files(path))
        if pattern:
            members = [member for member in members if member.match(pattern)]
        else:
            members = [member for member in members if member.suffix.lower() in suffixes]
        wanted = f"nothing like {pattern}" if pattern else f"no {', '.join(sorted(suffixes))}"
        nothing = f"{path} holds nothing to work on: {wanted}"
        if ours and any(file.suffix.lower() in VIDEOS for file in _files(path)):
            nothing = f"{path} holds no recordings: `pose3d infer {path}` makes them of its videos"
        elif ours:
            nothing = nothing_in(path)
        root = path
    elif not path.exists() and glob.has_magic(text):
        members = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
        nothing = f"{text} matches no file to work on"
        fixed = [part for n, part in enumerate(path.parts) if not _magic(path.parts[: n + 1])]
        root = Path(*fixed)
    else:
        yield Input(path)
        return
    members = [p for p in members if p.is_file() and p.stem.endswith(OURS) == ours]
    if not members:
        raise PoseError(nothing)
    for member in members:
        inside = Path(os.path.normpath(member.parent.relative_to(root)))
        # A pattern may climb above where it began: its results stay where the others are.
        yield Input(member, Path() if ".." in inside.parts else inside)


def _listed(
    file: Path, suffixes: frozenset[str], ours: bool, pattern: str | None
) -> Iterator[Input]:
    """Files that the lines of a file stand for; files of different folders keep them below -o."""
    try:
        content = read_bytes(file, limits.LIST_BYTES).decode()
        lines = [line.strip() for line in content.splitlines()]
    except OSError as error:
        raise PoseError(f"{file}: the list cannot be read: {error.strerror}") from error
    except ValueError:
        raise PoseError(f"{file} is no list of files: a path a line, in UTF-8") from None
    found: list[Input] = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        named = f"{file}, line {number}"
        try:
            beside = file.parent / line
            elsewhere = not beside.exists() and (Path(line).exists() or glob.has_magic(line))
            place = line if elsewhere else str(beside)
            matching = list(_matching(place, suffixes, ours, pattern))
        except PoseError as error:
            raise PoseError(f"{named}: {error}") from None
        except OSError as error:  # such as a name that is longer than the system takes
            raise PoseError(f"{named}: {error.strerror}: {line[:60]}") from None
        found += [replace(item, named=named) for item in matching]
    if not found:
        raise PoseError(f"{file} names no file")
    parents = [str(item.path.parent.resolve()) for item in found]
    try:
        common = os.path.commonpath(parents)
    except ValueError:  # on different drives
        common = ""
    for item, parent in zip(found, parents, strict=True):
        yield replace(item, inside=Path(os.path.relpath(parent, common)) if common else Path())


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder; what is hidden and links to folders are left out."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _magic(parts: Sequence[str]) -> bool:
    return any(glob.has_magic(part) for part in parts)


def _has_twin(path: Path, stems: Callable[[Path], Stems]) -> bool:
    """Whether another file of the same kind beside it has the same name but for the suffix."""
    if path.stem.endswith(OURS):
        return False
    return any(stems(path.parent)[_key(path.with_suffix("")), kind] > 1 for kind in _kinds(path))


def _stems(folder: Path) -> Stems:
    """How many videos and pictures of each name a folder holds."""
    files = folder.iterdir() if folder.is_dir() else ()
    mine = [path for path in files if not path.stem.endswith(OURS)]
    return Counter((_key(path.with_suffix("")), kind) for path in mine for kind in _kinds(path))


def _kinds(path: Path) -> list[frozenset[str]]:
    return [kind for kind in (VIDEOS, PICTURES) if path.suffix.lower() in kind]


def _key(path: Path) -> str:
    """Equal for names that some file systems take for the same."""
    return str(path.absolute()).casefold()
