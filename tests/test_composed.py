"""Who is made of others' limbs is left out; who is near others is not."""

from dataclasses import replace

import numpy as np
from conftest import people

from pose3d.composed import without_composed
from pose3d.sequence import People


def test_who_is_made_of_two_others_is_left_out() -> None:
    found = people([(200, 240, 300), (260, 240, 280), (230, 240, 290)])
    keypoints = found.keypoints.copy()
    keypoints[2, ::2], keypoints[2, 1::2] = keypoints[0, ::2] + 1, keypoints[1, 1::2] - 1
    left = without_composed(replace(found, keypoints=keypoints))
    np.testing.assert_array_equal(left.keypoints, keypoints[:2])
    keypoints[2, 5:11] += 100  # arms of their own
    assert len(without_composed(replace(found, keypoints=keypoints))) == 3


def test_neighbours_and_nobody_stay() -> None:
    assert len(without_composed(people([(200, 240, 300), (240, 240, 300)]))) == 2
    assert len(without_composed(People.nobody())) == 0
    missing = people([(200, 240, 300), (240, 240, 300)])
    missing.keypoints[1] = np.nan
    assert len(without_composed(missing)) == 2
