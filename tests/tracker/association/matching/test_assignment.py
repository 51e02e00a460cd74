import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from tracker.association.matching.assignment import assign


def worth(cost, gate, rows, columns):
    return float((gate - cost[rows, columns]).sum())


def oracle(cost, gate):
    """The greatest sum of ``gate - cost`` over pairs within the gate, by scipy on a padded matrix."""
    n, m = cost.shape
    gain = np.zeros((n + m, n + m))
    gain[:n, :m] = np.where(cost <= gate, gate - cost, -1e9)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    inside = (rows < n) & (columns < m)
    pairs = [(r, c) for r, c in zip(rows[inside], columns[inside], strict=True) if cost[r, c] <= gate]
    return sum(gate - cost[r, c] for r, c in pairs)


def check(cost, gate):
    rows, columns = assign(cost, gate)
    assert len(set(rows)) == len(rows)
    assert len(set(columns)) == len(columns)
    assert (np.diff(rows) > 0).all()
    assert (cost[rows, columns] <= gate).all()
    assert worth(cost, gate, rows, columns) == pytest.approx(oracle(cost, gate), abs=1e-9)


@given(
    st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
        lambda shape: arrays(np.float64, shape, elements=st.floats(0, 2, width=32))
    ),
    st.sampled_from([0.0, 0.3, 0.8, 1.5]),
)
def test_is_optimal(cost, gate):
    check(cost, gate)


@pytest.mark.parametrize("seed", range(4))
def test_is_optimal_where_the_graph_falls_apart(seed):
    random = np.random.default_rng(seed)
    n = 96
    places, others = random.uniform(0, 300, (n, 2)), random.uniform(0, 300, (n + 9, 2))
    cost = np.linalg.norm(places[:, None] - others[None], axis=2)
    check(cost, 25.0)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_pair(shape):
    rows, columns = assign(np.empty(shape), 0.5)
    assert len(rows) == len(columns) == 0


def test_beyond_the_gate_or_nan_is_no_pair():
    rows, columns = assign(np.array([[0.6, np.nan], [np.inf, 0.2]]), 0.5)
    assert rows.tolist() == [1]
    assert columns.tolist() == [1]


def test_two_pairs_are_better_than_the_single_best():
    rows, columns = assign(np.array([[0.1, 0.3], [0.3, 9.0]]), 0.5)
    assert list(zip(rows, columns, strict=True)) == [(0, 1), (1, 0)]


def test_a_pair_at_the_gate_exists():
    rows, _ = assign(np.array([[0.5]]), 0.5)
    assert rows.tolist() == [0]
