"""Results that go to a store: ``s3://bucket/out`` or whatever else fsspec knows.

A job's files are made in a folder of this machine, where its journal stays until it is done, and
put under their final names when they are whole. What is there already is decided as for files of
this machine, by the facts of the recording, of which only these are fetched. A job that goes on
from an earlier one's files fetches those.
"""

import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pose3d import limits
from pose3d.batch.inputs import Job
from pose3d.batch.outcome import DIFFERENT, SKIPPED, Outcome
from pose3d.batch.work import Work
from pose3d.errors import PoseError, UsageError
from pose3d.files import address_of, shown
from pose3d.journal import parts_of
from pose3d.progress import Progress
from pose3d.weights.cache import cache_folder

# Stores in which a file that is being put is not there before it is whole; elsewhere it is renamed.
WHOLE = frozenset(["abfs", "abfss", "adl", "az", "gcs", "gs", "memory", "oci", "oss", "s3", "s3a"])


def placed(work: Work, output: Path | None) -> Work:
    """The same work with its results where they shall be.

    Raises
    ------
    PoseError
        If a store's address cannot be used here.
    """
    address = output and address_of(output)
    if not address:
        return work
    assert output is not None
    store = Store(output)
    store.connect()
    fields = {name: getattr(work, name) for name in Work.__dataclass_fields__}
    return RemoteWork(**fields, store=store)


class Store:
    """A folder of a store.

    Parameters
    ----------
    folder
        Its address, as a path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = address_of(folder) or str(folder)
        self._system: Any = None
        self._there: set[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without connections: other processes make their own."""
        return {**self.__dict__, "_system": None, "_there": None}

    @property
    def system(self) -> Any:
        """Fsspec's file system."""
        if self._system is None:
            self.connect()
        return self._system

    def connect(self) -> None:
        """Find the file system.

        Raises
        ------
        PoseError
            If what it needs is not installed.
        UsageError
            If there is none for such addresses.
        """
        try:
            import fsspec

            self._system = fsspec.core.url_to_fs(self.address)[0]
        except ImportError as error:
            need = "pip install 'pose3d[remote]'" if error.name == "fsspec" else error
            raise PoseError(f"{self.address} cannot be written to from here: {need}") from error
        except ValueError as error:
            raise UsageError(f"-o {self.address}: {error}") from error

    def scratch_of(self, job: Job) -> Path:
        """The folder of this machine where a job's files are made."""
        digest = hashlib.sha256("\0".join(map(shown, job.outputs.values())).encode()).hexdigest()
        return cache_folder() / "remote" / digest[:32]

    def place(self, path: Path) -> str:
        """What the file system calls a file."""
        return str(self.system._strip_protocol(address_of(path)))

    def has(self, path: Path) -> bool:
        """Whether something was there when somebody first asked."""
        if self._there is None:
            self.system.invalidate_cache()
            try:
                found = self.system.find(self.place(self.folder), withdirs=True)
            except FileNotFoundError:
                found = []
            self._there = {str(name).rstrip("/") for name in found}
        return self.place(path) in self._there

    def fetch(self, path: Path, to: Path) -> None:
        """Copy a file or folder to this machine."""
        name = self.place(path)
        self.system.get(name, str(to), recursive=self.system.isdir(name))

    def fetch_facts(self, path: Path, to: Path) -> None:
        """Make a recording that has the facts of one, and no more than these."""
        with self.system.open(self.place(path), "rb") as file:
            if path.suffix == ".npz":
                try:
                    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(to, "w") as part:
                        if whole.getinfo("meta.npy").file_size <= limits.META_BYTES:
                            part.writestr("meta.npy", whole.read("meta.npy"))
                            return
                except (zipfile.BadZipFile, KeyError):
                    file.seek(0)  # who reads it all says what is wrong with it
            with open(to, "wb") as copy:
                shutil.copyfileobj(file, copy)

    def put(self, local: Path, path: Path) -> None:
        """Put a file or folder of this machine.

        Raises
        ------
        PoseError
            If the store does not take it.
        """
        name = self.place(path)
        try:
            self.system.makedirs(self.place(path.parent), exist_ok=True)
            if local.is_dir():
                if self.system.exists(name):
                    self.system.rm(name, recursive=True)
                self.system.put(str(local), name, recursive=True)
            elif self.address.partition(":")[0] in WHOLE:
                self.system.put_file(str(local), name)
            else:
                self.system.put_file(str(local), f"{name}.part")
                self.system.mv(f"{name}.part", name)
        except OSError as error:
            message = f"{shown(path)} cannot be written: {error.strerror or error}"
            raise PoseError(message) from error


@dataclass(frozen=True)
class RemoteWork(Work):
    """Work whose results go to a store.

    Attributes
    ----------
    store
        Which.
    """

    store: Store | None = None

    def __call__(self, job: Job, progress: Progress) -> Outcome:
        """Do a job here, and put what came of it."""
        assert self.store is not None
        with self._staged(job) as staged:
            folder = next(iter(job.outputs.values())).parent
            try:
                outcome = super().__call__(staged, progress)
            except PoseError as error:
                here = str(self.store.scratch_of(job))
                raise type(error)(str(error).replace(here, shown(folder))) from error
            written = tuple(folder / path.name for path in outcome.written)
            with progress.stage("save"):
                for path, final in zip(outcome.written, written, strict=True):
                    self.store.put(path, final)
        return replace(outcome, written=written)

    @contextmanager
    def _staged(self, job: Job) -> Iterator[Job]:
        """The job on this machine, with what is in the store already; its journal stays."""
        store = self.store
        assert store is not None
        folder = store.scratch_of(job)
        outputs = {form: folder / path.name for form, path in job.outputs.items()}
        staged = replace(job, outputs=outputs, journal=job.journal and folder / job.journal.name)
        try:
            _clear(folder, staged.journal)
            folder.mkdir(parents=True, exist_ok=True)
            if not self.overwrite:
                for form, path in job.outputs.items():  # the recording first: it is the oldest
                    if store.has(path):
                        store.fetch(path, outputs[form])
            yield staged
        finally:
            _clear(folder, staged.journal)

    def settled(self, job: Job, made: str | None = None) -> Outcome | None:
        """As :meth:`Work.settled`, by what is in the store."""
        store = self.store
        assert store is not None
        if self.overwrite or not all(store.has(path) for path in job.outputs.values()):
            return None
        form = next((form for form in ("npz", "json") if form in job.outputs), None)
        if form is None:
            if not made or made == self.fingerprint(job):
                return Outcome(SKIPPED)
            reason = f"{job.source} changed since, or was run with other options"
            return Outcome(DIFFERENT, f"{reason}: --overwrite replaces what is there")
        with TemporaryDirectory() as folder:
            facts = Path(folder) / job.outputs[form].name
            store.fetch_facts(job.outputs[form], facts)
            alone = replace(job, outputs={form: facts}, journal=None)
            outcome = super().settled(alone, made)
        if outcome is None:
            return None
        reason = outcome.reason.replace(folder, shown(job.outputs[form].parent))
        return replace(outcome, reason=reason)


def _clear(folder: Path, journal: Path | None) -> None:
    """Remove what is in a folder but for a journal, and the folder if there is none."""
    kept = [journal, parts_of(journal)] if journal else []
    for path in folder.iterdir() if folder.is_dir() else ():
        if path in kept:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
