"""Assignment of least cost over a whole sparse graph, outside of the compiled core: nothing of it is compiled."""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]
MORE = 1e-12
"""Of two assignments that cost the same, that with more pairs is better."""


def best_edges(row: Index, column: Index, cost: Float64) -> Index:
    """Which edges of a bipartite graph are the cheapest pairs: no row and no column twice.

    The graph falls apart into connected components, and `lap` (Jonker and Volgenant, 1987) solves each as a dense
    matrix, in which a missing pair is worth as much as staying alone: nothing.

    Args:
        row: ``(E,)`` of each edge; no edge comes twice.
        column: ``(E,)``.
        cost: ``(E,)``, at most 0: what a pair costs less than staying alone.

    Returns:
        Numbers of the chosen edges, ascending.
    """
    rows, columns = np.unique(row, return_inverse=True)[1], np.unique(column, return_inverse=True)[1]
    n, m = int(rows.max(initial=-1)) + 1, int(columns.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(rows)), (rows, n + columns)), shape=(n + m, n + m))
    part = connected_components(graph, directed=False)[1][rows] if len(rows) else rows
    order = np.argsort(part, kind="stable")
    chosen: list[int] = []
    for edges in np.split(order, np.flatnonzero(np.diff(part[order])) + 1):
        if len(edges) > 1:
            chosen += _solve(edges, rows[edges], columns[edges], cost[edges])
        else:
            chosen += edges.tolist()
    return np.sort(np.array(chosen, np.int64))


def _solve(edges: Index, row: Index, column: Index, cost: Float64) -> list[int]:
    """Of one component."""
    i, j = np.unique(row, return_inverse=True)[1], np.unique(column, return_inverse=True)[1]
    matrix = np.zeros((int(i.max()) + 1, int(j.max()) + 1))
    edge = np.full(matrix.shape, -1, np.int64)
    matrix[i, j], edge[i, j] = cost - MORE, edges
    partner = lap.lapjv(matrix, extend_cost=True, return_cost=False)[0]
    kept = np.flatnonzero(partner >= 0)
    found = edge[kept, partner[kept]]
    return [int(e) for e in found if e >= 0]
