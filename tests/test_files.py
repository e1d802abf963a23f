"""Files that are whole or not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pose3d.errors import PoseError
from pose3d.files import replacing, sweep


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError), replacing(path) as part:
        part.write_text("half" + "\udfff", "utf-8")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with (
        pytest.raises(PoseError, match="cannot be written"),
        replacing(tmp_path / "taken" / "out.txt") as part,
    ):
        part.write_text("whole")


def test_what_killed_runs_left_is_removed(tmp_path: Path) -> None:
    code = "import os, subprocess, sys; print(os.getpid())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    gone, alive = int(dead.stdout), os.getppid()
    target = tmp_path / "walk.pose3d.npz"
    left = [f".walk.pose3d.{gone}.part.npz", f"..walk.pose3d.{gone}.part.npz.{gone}.part"]
    kept = [f".walk.pose3d.{alive}.part.npz", f".walk2.pose3d.{gone}.part.npz", "walk.pose3d.npz"]
    for name in (*left, *kept):
        (tmp_path / name).write_text("")
    sweep(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
