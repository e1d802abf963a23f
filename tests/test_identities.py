"""IDF1 and switches of people whose identities are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pose3d.evaluate.identities import identity_scores


def walker(start: float, pace: float, frames: int = 100) -> NDArray[np.float64]:
    x = start + pace * np.arange(frames)
    return np.stack([x, np.zeros(frames), x + 40, np.full(frames, 100.0)], 1)


LEFT, RIGHT = walker(0, 1), walker(500, -1)


def without(boxes: NDArray[np.float64], rows: slice) -> NDArray[np.float64]:
    result = boxes.copy()
    result[rows] = np.nan
    return result


def test_the_right_identities_in_any_order_are_perfect() -> None:
    scores = identity_scores([LEFT, RIGHT], [RIGHT + 3, LEFT - 2])
    assert (scores.idf1, scores.precision, scores.recall, scores.switches) == (1, 1, 1, 0)


def test_two_who_change_places_half_way_are_half_right() -> None:
    a = np.concatenate([LEFT[:50], RIGHT[50:]])
    b = np.concatenate([RIGHT[:50], LEFT[50:]])
    scores = identity_scores([LEFT, RIGHT], [a, b])
    assert scores.idf1 == pytest.approx(0.5)
    assert scores.switches == 2


def test_gaps_cost_recall_and_ghosts_precision() -> None:
    gap = without(LEFT, slice(20, 40))
    scores = identity_scores([LEFT], [gap])
    assert (scores.precision, scores.recall) == (1, pytest.approx(0.8))
    assert scores.idf1 == pytest.approx(2 * 80 / 180)
    assert scores.switches == 0
    scores = identity_scores([LEFT], [LEFT, walker(300, 0)])
    assert (scores.precision, scores.recall) == (pytest.approx(0.5), 1)


def test_a_person_in_two_parts_has_switched_once() -> None:
    scores = identity_scores([LEFT], [without(LEFT, slice(60, 100)), without(LEFT, slice(0, 60))])
    assert scores.idf1 == pytest.approx(0.6)
    assert scores.switches == 1


def test_nobody() -> None:
    assert identity_scores([], []).idf1 == 0
    scores = identity_scores([LEFT], [])
    assert (scores.idf1, scores.switches) == (0, 0)
