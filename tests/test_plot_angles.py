"""Angles are drawn where they are asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose3d.errors import PoseError
from pose3d.pictures import read_picture
from pose3d.render.angles import plot_angles
from pose3d.render.style import FLOOR, LEFT, RIGHT
from pose3d.sequence import Recording


def test_everyone_has_a_row_with_both_sides(recording: Recording, tmp_path: Path) -> None:
    plot_angles(recording, tmp_path / "angles.png")
    picture = read_picture(tmp_path / "angles.png")
    rows = np.array_split(picture, len(recording))
    assert len(rows) == 2
    for row in rows:
        for colour in (LEFT, RIGHT):
            near = np.abs(row.astype(int) - colour).max(-1) < 30
            assert near.sum() > 300


def test_nothing_lifted_is_an_error(recording: Recording, tmp_path: Path) -> None:
    people = tuple(replace(person, pose=None) for person in recording.people)
    with pytest.raises(PoseError, match="no angles to draw"):
        plot_angles(replace(recording, people=people), tmp_path / "angles.png")


def test_one_frame_is_no_error(recording: Recording, tmp_path: Path) -> None:
    person = recording.people[0]
    keypoints = replace(
        person.keypoints, **{name: value[:1] for name, value in vars(person.keypoints).items()}
    )
    pose = replace(person.pose, joints=person.pose.joints[:1])
    short = replace(recording, people=(replace(person, keypoints=keypoints, pose=pose),))
    plot_angles(short, tmp_path / "angles.png")
    assert (tmp_path / "angles.png").stat().st_size > 0


def test_where_somebody_was_hidden_is_dark(recording: Recording, tmp_path: Path) -> None:
    dark = []
    for share in (0.0, 0.5):
        person = recording.people[0]
        score = np.ones_like(person.keypoints.score)
        score[: round(share * len(score))] = 0.1
        shown = replace(person, keypoints=replace(person.keypoints, score=score))
        plot_angles(recording.with_people((shown,)), tmp_path / "angles.png")
        picture = read_picture(tmp_path / "angles.png")
        dark.append((picture == FLOOR).all(-1).sum())
    assert 0.4 < dark[1] / dark[0] < 0.6
