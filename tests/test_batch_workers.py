"""Batches in several processes, of which some die."""

import os
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import find_squares, upright, write_clip
from copying_stage import copy

from pose3d import batch
from pose3d.batch import workers
from pose3d.batch.devices import on_devices
from pose3d.batch.run import Listener, run
from pose3d.batch.seats import Seat, seats
from pose3d.batch.workers import deal
from pose3d.errors import UsageError
from pose3d.options import Options
from pose3d.progress import Progress

TESTS = Path(__file__).parent
PLACES = (Seat("cpu.1", "cpu", 1), Seat("cpu.2", "cpu", 1))


class Ear(Listener):
    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self.starts: list[str] = []
        self.order: list[str] = []

    def started(self, job: batch.Job, place: str = "") -> Progress:
        self.places[job.source.stem] = place
        self.starts.append(job.source.stem)
        return super().started(job, place)

    def ended(self, job: batch.Job, outcome: batch.Outcome) -> None:
        self.order.append(job.source.stem)


def jobs_of(folder: Path, *names: str) -> list[batch.Job]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.mp4").write_text(name)
    return [batch.Job(folder / f"{name}.mp4", {"copy": folder / f"{name}.copy"}) for name in names]


def test_workers_share_jobs_and_are_replaced(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path / "in", "a", "dies_once", "b", "broken", "dies", "c")
    ear, report = Ear(), batch.Report(tmp_path / "report.jsonl")
    engine = partial(deal, places=PLACES, logs=tmp_path / "report")
    results = run(jobs, batch.Work(copy, Options()), ear, report, engine=engine)
    by_name = {job.source.stem: outcome for job, outcome in results}
    status = {name: outcome.status for name, outcome in by_name.items()}
    done = dict.fromkeys(("a", "dies_once", "b", "c"), "done")
    assert status == {**done, "broken": "failed", "dies": "failed"}
    assert "killed by signal 9" in by_name["dies"].reason
    assert "2 times" in by_name["dies"].reason
    assert ".log" in by_name["dies"].reason
    assert by_name["a"].frames == 1, "the worker's device reaches the stage"
    assert os.getpid() not in {outcome.people for outcome in by_name.values()}
    assert set(ear.places.values()) == {"cpu.1", "cpu.2"}
    logs = "".join((tmp_path / f"report.cpu.{n}.log").read_text() for n in (1, 2))
    assert logs.count("at work on dies\n") == 2
    assert "INFO done" in logs and "broken.mp4: broken" in logs
    assert not list((tmp_path / "in").glob(".*"))
    assert len((tmp_path / "report.jsonl").read_text().splitlines()) == len(jobs)


def test_wrong_options_end_a_batch(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, "wrong", "slow")
    with pytest.raises(UsageError, match="wrong option"):
        list(deal(jobs, batch.Work(copy, Options()), Listener(), PLACES, None))
    assert not list(tmp_path.glob("slow.copy")) and not list(tmp_path.glob(".*"))


def test_an_interrupt_ends_the_workers(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, "slow")

    class Impatient(Listener):
        def started(self, job: batch.Job, place: str = "") -> Progress:
            class Interrupting(Progress):
                def advance(self, stage: str, done: int, total: int | None = None) -> None:
                    raise KeyboardInterrupt

            return Interrupting()

    since = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(deal(jobs, batch.Work(copy, Options()), Impatient(), PLACES, None))
    assert time.monotonic() - since < workers.GRACE, "it was not waited for"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slow.mp4"]


def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    jobs_of(tmp_path, "slow")
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(f"""
            import sys
            from pathlib import Path
            from pose3d import batch
            from pose3d.batch.seats import Seat
            from pose3d.batch.workers import deal
            sys.path.insert(0, {str(TESTS)!r})
            from copying_stage import copy
            if __name__ == "__main__":
                folder = Path({str(tmp_path)!r})
                job = batch.Job(folder / "slow.mp4", {{"copy": folder / "slow.copy"}})
                work = batch.Work(copy, batch.Options())
                list(deal([job], work, batch.Listener(), [Seat("cpu.1", "cpu", 1)], None))
        """)
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".slow*part*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.glob(".slow*part*"))
    parent.kill()
    parent.wait()
    while list(tmp_path.glob(".slow*part*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(tmp_path.glob(".slow*"))
    assert not (tmp_path / "slow.copy").exists()


def test_places_for_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert seats("cpu", 2) == [Seat("cpu.1", "cpu", 4), Seat("cpu.2", "cpu", 4)]
    assert seats("auto", 2) == seats("cpu", 2)
    assert seats("auto", None) == [Seat("auto.1", "auto", 8)]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    both = [Seat("cuda-0.1", "cuda:0", 4), Seat("cuda-1.2", "cuda:1", 4)]
    assert seats("cuda", None) == both
    assert seats("cuda:0,cuda:1", None) == both
    assert [seat.device for seat in seats("cuda", 3)] == ["cuda:0", "cuda:1", "cuda:0"]
    with pytest.raises(UsageError, match="no device cuda:7"):
        seats("cuda:0,cuda:7", None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="no device cuda"):
        seats("cuda", None)
    with pytest.raises(UsageError, match="1 or more"):
        seats("cpu", 0)


def test_one_job_or_one_device_needs_no_process(tmp_path: Path) -> None:
    (job,) = jobs_of(tmp_path, "a")
    work = batch.Work(copy, Options())
    [(_, outcome)] = on_devices([job], work, Listener(), "cpu", 3, None)
    assert outcome.people == os.getpid()
    assert outcome.frames == 1
    assert list(on_devices([], work, Listener(), "no device", None, None)) == []


def test_loaded_models_stay_in_one_process(tmp_path: Path) -> None:
    for name in "ab":
        write_clip(tmp_path / f"{name}.mp4", frames=3)
    with pytest.raises(UsageError, match="stay in one process"):
        batch.infer_many(tmp_path, detector=find_squares, lifter=upright, workers=2)
