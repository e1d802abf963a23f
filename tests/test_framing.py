"""Where the network looks: regions and scales that follow from a first look."""

from dataclasses import replace

import numpy as np
import pytest

from pose3d.detect.framing import GRID, LARGE, SMALL, Framing, around, closer, whole
from pose3d.sequence import People

WIDTH, HEIGHT = 1920, 1080


def people(*boxes: tuple[float, float, float, float], score: float = 0.9) -> People:
    n = len(boxes)
    return People(
        np.array(boxes, np.float32).reshape(n, 4),
        np.full(n, score, np.float32),
        np.zeros((n, 17, 2), np.float32),
        np.full((n, 17), score, np.float32),
    )


def person(x: float, y: float, height: float) -> tuple[float, float, float, float]:
    return (x - height / 5, y - height / 2, x + height / 5, y + height / 2)


FIRST = whole(WIDTH, HEIGHT, 384)


def test_first_look_is_at_the_whole_picture() -> None:
    assert FIRST.region == (0, 0, WIDTH, HEIGHT)
    assert FIRST.size == (683, 384)
    assert whole(4000, 500, 384).size == (768, 96)  # a panorama gets no endless input


def test_nobody_changes_nothing() -> None:
    assert around([People.nobody()] * 2, FIRST) == FIRST
    assert closer([People.nobody()], FIRST, 2.0) == FIRST
    unsure = people(person(400, 500, 100), score=0.2)
    assert around([unsure, unsure], FIRST) == FIRST


@pytest.mark.parametrize("height", [80, 150, 300, 500, 700, 1000])
def test_people_come_to_the_size_that_suits_the_network(height: float) -> None:
    seen = people(person(900, 540, height))
    framing = around([seen, seen], FIRST)
    size = height * framing.scale
    assert SMALL * 0.84 <= size <= LARGE * 1.2 or framing.scale in (
        FIRST.scale * 2,
        FIRST.scale / 2,
    )
    pixels = framing.size[0] * framing.size[1]
    assert pixels <= 1.35 * FIRST.size[0] * FIRST.size[1]  # the grid may take a little more


def test_a_region_holds_everybody_with_room_to_move() -> None:
    before, after = people(person(300, 600, 200)), people(person(420, 600, 200))
    x0, y0, x1, y1 = around([before, after], FIRST).region
    assert x0 <= 260 - 80
    assert x1 >= 460 + 80
    assert y0 <= 500 - 80
    assert y1 >= 700 + 80


def test_sides_of_regions_are_few() -> None:
    rng = np.random.default_rng(0)
    sizes = set()
    for _ in range(200):
        x, y, h = rng.uniform(300, 1600), rng.uniform(300, 800), rng.uniform(100, 400)
        seen = people(person(x, y, h))
        framing = around([seen, seen], FIRST)
        x0, y0, x1, y1 = framing.region
        assert 0 <= x0 < x1 <= WIDTH
        assert 0 <= y0 < y1 <= HEIGHT
        padded = [-(-side // 32) * 32 for side in framing.size]
        sizes.add(tuple(padded))
        inside = (x0 > 0 or x1 < WIDTH) and x1 - x0 < WIDTH
        assert not inside or padded[0] % GRID == 0
    assert len(sizes) < 40


def test_who_comes_in_is_seen_from_the_edge_on() -> None:
    walker = person(900, 600, 300)
    before = people(walker)
    after = people(walker, person(1700, 600, 280))
    region = around([before, after], FIRST).region
    assert region[2] == WIDTH
    alone = around([before, before], FIRST).region
    assert alone[2] < WIDTH


def test_a_crowd_all_over_the_picture_is_seen_whole() -> None:
    seen = people(*(person(x, 540, 700) for x in range(150, 1900, 200)))
    framing = around([seen, seen], FIRST)
    assert framing.region == FIRST.region
    assert framing.scale <= FIRST.scale * 1.01


def test_a_picture_may_cost_more_than_a_frame() -> None:
    seen = people(person(900, 540, 200))
    assert closer([seen], FIRST, 1.0) == FIRST
    framing = closer([seen], FIRST, 2.0)
    assert framing.region == FIRST.region
    assert framing.scale == pytest.approx(FIRST.scale * 2**0.5)


def test_sizes_are_at_least_a_pixel() -> None:
    assert replace(FIRST, region=(0, 0, 1, 1)).size == (1, 1)
    assert Framing((0, 0, 10, 4), 2.0).size == (20, 8)
