"""What fuzzing found stays mended, and a moment of fuzzing with the same inputs every time."""

import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="limits of processes are Unix'")

from fuzz import judge, odd, worker
from fuzz.targets import TARGETS, Target
from hypothesis import HealthCheck, Phase, given, seed, settings

from pose3d.errors import PoseError

FOUND = sorted(path for path in worker.CORPUS.glob("*/*") if path.is_file())
EXAMPLES = 40  # of each target; a second or so


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_findings_stay_mended(path: Path) -> None:
    assert judge.judge(TARGETS[path.parent.name], path.read_bytes()) is None


def test_findings_are_small() -> None:
    assert all(path.stat().st_size <= worker.LONGEST for path in FOUND if "video" not in path.parts)
    assert sum(path.stat().st_size for path in FOUND) < 2 << 20


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if not target.native])
def test_odd_inputs(name: str) -> None:
    target, wrong = TARGETS[name], []

    @seed(0)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(odd.inputs(target))
    def one(data: bytes) -> None:
        if found := judge.judge(target, data):
            wrong.append(found)

    one()
    assert not wrong


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.native])
def test_mutated_inputs(name: str) -> None:
    target, chance = TARGETS[name], random.Random(0)
    seeds = [content for content in target.seeds() if len(content) < worker.LONGEST]
    inputs = [worker.mutated(chance.choice(seeds), chance) for _ in range(EXAMPLES // 4)]
    assert [found for data in inputs if (found := judge.judge(target, data))] == []


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_whole(name: str, tmp_path: Path) -> None:
    """Else mutations of them would all be refused for the same reason; some lack one thing."""
    seeds = [content for content in TARGETS[name].seeds() if len(content) < worker.LONGEST]
    good = 0
    for n, content in enumerate(seeds):
        folder = tmp_path / str(n)
        folder.mkdir()
        with suppress(PoseError):
            TARGETS[name].read(content, folder)
            good += 1
    assert 2 * good >= len(seeds)


def _eat(data: bytes, folder: Path) -> None:
    bytearray(3 << 30)


def _fail(data: bytes, folder: Path) -> None:
    raise KeyError("a\nb")


def _two_lines(data: bytes, folder: Path) -> None:
    class PlainError(PoseError):
        __str__ = Exception.__str__

    raise PlainError("one\ntwo")


def _work(data: bytes, folder: Path) -> None:
    begin = time.process_time()
    while time.process_time() - begin < 1.2:
        pass


def _hidden(data: bytes, folder: Path) -> None:
    try:
        raise MemoryError
    except MemoryError:
        raise PoseError("too much") from None


@pytest.mark.parametrize(
    ("read", "native", "words"),
    [
        (_fail, False, "KeyError: test_fuzz_corpus.py"),
        (_fail, True, "KeyError: test_fuzz_corpus.py"),
        (_two_lines, False, "message"),
        (_hidden, False, "memory"),
        (_eat, True, "MemoryError"),
        (lambda data, folder: os._exit(3), True, "crash"),
        (lambda data, folder: os.kill(os.getpid(), signal.SIGKILL), True, "crash: signal 9"),
        (lambda data, folder: time.sleep(5), True, "hang"),
        (_work, True, "hang: over 1 s of CPU"),
        (_work, False, "hang: "),
    ],
)
def test_findings_are_noticed(
    read: object, native: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "PATIENCE", 0.5 if words == "hang" else 60)
    monkeypatch.setattr(judge, "SECONDS", 1.0)
    target = replace(TARGETS["picture"], read=read, native=native)
    found = judge.judge(target, b"")
    assert found is not None and words in found
    assert isinstance(target, Target) and judge.name_of(found, b"").isprintable()
