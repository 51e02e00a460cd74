"""Exact minimum-cost assignment over a gated graph."""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]

NOTHING = np.empty(0, np.intp)
SPLIT_FROM = 32
"""Objects from which looking for components costs less than it saves."""


def assign(cost: NDArray[np.float64], gate: float) -> Pairs:
    """Rows matched to columns so that the sum over pairs of ``gate - cost`` is greatest.

    A pair beyond the gate (or NaN) does not exist; leaving a row and a column alone costs as much as a pair
    at the gate. The graph falls apart into connected components, most of one or two boxes, and each is solved
    exactly, so that the effort stays near linear in the number of objects.

    Args:
        cost: ``(N, M)``.
        gate: largest cost of a pair.

    Returns:
        Rows and columns of the pairs, in order of rows.
    """
    exists = cost <= gate
    rows, columns = np.nonzero(exists)
    if len(rows) == 0:
        return NOTHING, NOTHING
    row_degree, column_degree = exists.sum(1), exists.sum(0)
    if row_degree.max() == 1 and column_degree.max() == 1:
        return rows, columns  # nobody competes
    if len(rows) and min(cost.shape) < SPLIT_FROM:
        return _solve(cost, exists, gate)
    n = cost.shape[0]
    size = n + cost.shape[1]
    graph = coo_array((np.ones(len(rows), np.int8), (rows, n + columns)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    alone = (row_degree[rows] == 1) & (column_degree[columns] == 1)
    found = [(rows[alone], columns[alone])]
    for component in np.unique(label[rows[~alone]]):
        r, c = np.flatnonzero(label[:n] == component), np.flatnonzero(label[n:] == component)
        block = np.ix_(r, c)
        r_in, c_in = _solve(cost[block], exists[block], gate)
        found.append((r[r_in], c[c_in]))
    all_rows, all_columns = (np.concatenate(side) for side in zip(*found, strict=True))
    order = np.argsort(all_rows, kind="stable")
    return all_rows[order], all_columns[order]


def _solve(cost: NDArray[np.float64], exists: NDArray[np.bool_], gate: float) -> Pairs:
    """One component, by Jonker and Volgenant's algorithm on the matrix widened by "stays alone"."""
    gain = np.where(exists, cost - gate, 0.0)  # staying alone is worth 0, a pair never more than that
    _, column_of, _ = lap.lapjv(gain, extend_cost=True)
    row = np.flatnonzero(column_of >= 0)
    column = column_of[row].astype(np.intp)
    real = exists[row, column]
    return row[real], column[real]
