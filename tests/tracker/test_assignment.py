"""Beside scipy, the second opinion."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from tracker.assignment import best_edges


@pytest.mark.parametrize("density", [0.02, 0.2, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (7, 30), (30, 7), (60, 60)])
def test_the_cheapest_pairs_are_those_of_scipy(shape, density):
    for seed in range(10):
        random = np.random.default_rng(seed)
        cost = np.where(random.random(shape) < density, -random.random(shape), 0.0)
        row, column = np.nonzero(cost)
        chosen = best_edges(row, column, cost[row, column])
        assert len(set(row[chosen])) == len(set(column[chosen])) == len(chosen)
        rows, columns = linear_sum_assignment(cost)
        assert cost[row[chosen], column[chosen]].sum() == pytest.approx(cost[rows, columns].sum())


def test_of_equal_assignments_that_with_more_pairs():
    assert best_edges(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0.0, 0.0, 0.0])).tolist() == [1, 2]


def test_no_edges_are_no_pairs():
    nothing = np.zeros(0, np.int64)
    assert best_edges(nothing, nothing, np.zeros(0)).tolist() == []
