"""Ctrl-C at any moment: what is left, and what is said of it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from conftest import find_squares
from numpy.typing import NDArray
from test_cli import folder, names, run, walk

from pose3d import pipeline
from pose3d.sequence import People

Run = Callable[..., Result]
__all__ = ["folder", "run"]  # fixtures


@pytest.mark.parametrize("stage", ["detect", "render"])
def test_an_interrupt_leaves_nothing_half_done(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    video = walk(folder / "walk.mp4", frames=30)

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    if stage == "detect":
        monkeypatch.setattr(pipeline, "loaded_detector", lambda options: interrupted)
    else:
        monkeypatch.setattr("pose3d.render.painter.draw_person", interrupted)
    result = run("infer", video)
    assert result.exit_code == 130
    says = {"detect": "nothing is done yet", "render": "what is finished stays"}
    assert f"Interrupted: {says[stage]}" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    kept = [] if stage == "detect" else ["walk.pose3d.npz"]
    assert names(folder) == ["walk.mp4", *kept]
    monkeypatch.undo()


def test_an_interrupt_says_what_is_true(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a journal holds, or is finished, is not done again."""
    seen = 0

    def interrupted(pictures: Sequence[NDArray[np.uint8]]) -> list[People]:
        nonlocal seen
        seen += len(pictures)
        if seen > 16:
            raise KeyboardInterrupt
        return find_squares(pictures)

    videos = [walk(folder / f"{name}.mp4", frames=12) for name in "abc"]
    monkeypatch.setattr(pipeline, "loaded_detector", lambda options: interrupted)
    assert "what is finished stays" in run("infer", folder, "--save", "npz").stderr
    assert "a.pose3d.npz" in names(folder)
    seen = 0
    result = run("infer", folder, "--save", "npz", "--overwrite")
    assert "begins again; without --overwrite it does the rest" in result.stderr
    monkeypatch.setattr("pose3d.journal.FLUSH_SECONDS", 0.0)
    seen = 8
    assert "goes on from here" in run("infer", videos[2], "--save", "npz").stderr
    assert "c.pose3d.journal" in names(folder)
    seen = 16
    assert "goes on from here" in run("infer", videos[2], "--overwrite").stderr
    (folder / "c.pose3d.journal").write_bytes(b"")
    seen = 16
    assert "begins again" in run("infer", videos[2], "--overwrite").stderr


def test_other_commands_promise_nothing(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("infer", walk(folder / "walk.mp4"), "--save", "npz").exit_code == 0

    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pose3d.batch.drawing.show", interrupted)
    result = run("render", folder / "walk.pose3d.npz")
    assert (result.exit_code, result.stderr) == (130, "Interrupted\n")
    assert names(folder) == ["walk.mp4", "walk.pose3d.npz"]
