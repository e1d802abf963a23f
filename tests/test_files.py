"""Files that are whole or not there."""

from pathlib import Path

import pytest

from pose3d.errors import PoseError
from pose3d.files import replacing


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
