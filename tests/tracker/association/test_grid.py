import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracker.association.grid import make_grid, touching

MANY = 10_000


def boxes_of(corners_and_sizes):
    return np.concatenate([corners_and_sizes[:, :2], corners_and_sizes[:, :2] + corners_and_sizes[:, 2:]], axis=1)


def asked(grid, box):
    found = np.full(len(grid.boxes), -1)
    count = touching(grid, tuple(box), found)
    assert len(set(found[:count].tolist())) == count
    return sorted(found[:count].tolist())


def by_looking_at_all(boxes, box):
    apart = (boxes[:, :2] > box[2:]).any(1) | (boxes[:, 2:] < box[:2]).any(1)
    return np.flatnonzero(~apart).tolist()


@pytest.mark.parametrize("questions", [1, MANY])
@settings(deadline=None)
@given(
    st.integers(1, 40).flatmap(lambda n: arrays(np.float64, (n, 4), elements=st.floats(0, 1000, width=32))),
    arrays(np.float64, (1, 4), elements=st.floats(0, 1000, width=32)),
)
def test_finds_what_touches_and_nothing_else(questions, corners_and_sizes, question):
    boxes = boxes_of(corners_and_sizes)
    grid = make_grid(boxes, questions)
    for box in [*boxes_of(question - np.array([300, 300, 0, 0])), *boxes]:
        assert asked(grid, box) == by_looking_at_all(boxes, box)


def test_a_box_without_end_touches_all():
    grid = make_grid(np.array([[0.0, 0, 1, 1], [9, 9, 10, 10]]), MANY)
    assert asked(grid, [-np.inf, -np.inf, np.inf, np.inf]) == [0, 1]


def test_no_boxes():
    assert asked(make_grid(np.empty((0, 4)), MANY), [0, 0, 1, 1]) == []


def test_twice_as_many_boxes_are_twice_the_work():
    """One as large as the picture among them, as somebody who stands before the camera."""
    random = np.random.default_rng(0)
    cells = []
    for n in (1000, 2000, 4000):
        corner = random.uniform(0, 150 * n**0.5, (n, 2))
        boxes = np.concatenate([corner, corner + np.array([40, 100])], axis=1)
        boxes[0] = [0, 0, 150 * n**0.5, 150 * n**0.5]
        grid = make_grid(boxes, n)
        cells.append(len(grid.member) + grid.columns * grid.rows)
    assert cells[1] < 2.2 * cells[0]
    assert cells[2] < 2.2 * cells[1]


@pytest.mark.parametrize("spread", [0.0, 2.0, 40.0])
def test_boxes_on_one_heap_are_each_in_a_few_cells(spread):
    """As from a detector that suppresses nothing."""
    random, n = np.random.default_rng(0), 1000
    corner = random.uniform(0, spread, (n, 2)) if spread else np.zeros((n, 2))
    assert len(make_grid(np.concatenate([corner, corner + np.array([40, 100])], axis=1), n).member) <= 4 * n
