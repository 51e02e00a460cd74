"""Exact minimum-cost assignment over a gated, sparse graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.compiled import compiled, kernel
from tracker.compiled_arrays import grown, integers, numbers

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]
MORE = 1e-12
"""Of two assignments that cost the same, that with more pairs is better."""
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]


def assign(cost: Float64, gate: float) -> Pairs:
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
    rows, columns = np.nonzero(cost <= gate)
    first = np.searchsorted(rows, np.arange(cost.shape[0] + 1)).astype(np.int64)
    chosen = solve(first, columns.astype(np.int64), cost[rows, columns].astype(np.float64) - gate, cost.shape[1])
    kept = np.flatnonzero(chosen >= 0)
    return kept, columns[chosen[kept]]


@compiled
def solve(first: Index, column: Index, gain: Float64, columns: int) -> Index:
    """The best pairs of a sparse bipartite graph.

    Args:
        first: ``(N + 1,)``; the edges of row `i` are `first[i]` up to but without `first[i + 1]`.
        column: ``(E,)`` of each edge.
        gain: ``(E,)`` cost of each edge less that of staying alone: at most 0.
        columns: how many there are.

    Returns:
        ``(N,)`` the chosen edge of each row, -1 for none.
    """
    n = len(first) - 1
    chosen = integers(n, -1)
    if _take_undisputed(first, column, columns, chosen):
        return chosen
    root = _components(first, column, n, columns)
    # Rows of one component behind each other: counted, then placed.
    start = integers(n + columns + 1, 0)
    for row in range(n):
        if first[row + 1] > first[row]:
            start[root[row] + 1] += 1
    for i in range(n + columns):
        start[i + 1] += start[i]
    place = grown(start, len(start))
    order = integers(n, 0)
    for row in range(n):
        if first[row + 1] > first[row]:
            order[place[root[row]]] = row
            place[root[row]] += 1
    local = integers(columns, -1)
    for component in range(n + columns):
        size = start[component + 1] - start[component]
        if size == 1:
            row = order[start[component]]
            best = first[row]
            for edge in range(first[row] + 1, first[row + 1]):
                if gain[edge] < gain[best]:
                    best = edge
            chosen[row] = best
        elif size > 1:
            _solve_component(order[start[component] : start[component + 1]], first, column, gain, local, chosen)
    return chosen


@compiled
def _take_undisputed(first: Index, column: Index, columns: int, chosen: Index) -> bool:
    """Choose the edges whose row and column have no other; whether that is all, as in most frames."""
    wanted, all_ = integers(columns, 0), True
    for edge in range(first[len(first) - 1]):
        wanted[column[edge]] += 1
    for row in range(len(first) - 1):
        edges = first[row + 1] - first[row]
        if edges == 1 and wanted[column[first[row]]] == 1:
            chosen[row] = first[row]
        elif edges > 0:
            all_ = False
    return all_


@kernel
def _find(parent: Index, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def _components(first: Index, column: Index, n: int, columns: int) -> Index:
    """The representative of every row's component (union-find)."""
    parent = integers(n + columns, 0)
    for i in range(n + columns):
        parent[i] = i
    for row in range(n):
        for edge in range(first[row], first[row + 1]):
            a, b = _find(parent, row), _find(parent, n + column[edge])
            if a != b:
                parent[max(a, b)] = min(a, b)
    root = integers(n, 0)
    for row in range(n):
        root[row] = _find(parent, row)
    return root


@compiled
def _solve_component(rows: Index, first: Index, column: Index, gain: Float64, local: Index, chosen: Index) -> None:
    """One component, as a dense matrix in which a missing pair is worth as much as staying alone."""
    members = integers(first[rows[len(rows) - 1] + 1] - first[rows[0]], 0)  # rows ascend: enough
    m = 0
    for row in rows:
        for edge in range(first[row], first[row + 1]):
            if local[column[edge]] < 0:
                members[m] = column[edge]
                local[column[edge]] = m
                m += 1
    n = len(rows)
    wide = n <= m
    small, large = (n, m) if wide else (m, n)
    cost = numbers(small * large, 0.0).reshape(small, large)
    edges = integers(small * large, -1).reshape(small, large)
    for i in range(n):
        for edge in range(first[rows[i]], first[rows[i] + 1]):
            j = local[column[edge]]
            a, b = (i, j) if wide else (j, i)
            cost[a, b], edges[a, b] = gain[edge] - MORE, edge
    taker = shortest_augmenting_paths(cost)
    for b in range(len(taker)):
        a = taker[b]
        if a >= 0 and edges[a, b] >= 0:
            chosen[rows[a if wide else b]] = edges[a, b]
    for j in range(m):
        local[members[j]] = -1


@compiled
def shortest_augmenting_paths(cost: Float64) -> Index:
    """The row of every column in a complete assignment of least cost, -1 for none (Jonker and Volgenant, 1987).

    Args:
        cost: ``(N, M)``, N at most M, finite.
    """
    n, m = cost.shape
    row_price, column_price = numbers(n, 0.0), numbers(m, 0.0)
    row_of = integers(m, -1)
    waiting = integers(n, 0)
    count = 0
    # Every row takes its cheapest column while that is free; most are served so.
    for i in range(n):
        best = 0
        for j in range(1, m):
            if cost[i, j] < cost[i, best]:
                best = j
        row_price[i] = cost[i, best]
        if row_of[best] < 0:
            row_of[best] = i
        else:
            waiting[count] = i
            count += 1
    for w in range(count):
        _augment(cost, row_price, column_price, row_of, waiting[w])
    return row_of


@compiled
def _augment(cost: Float64, row_price: Float64, column_price: Float64, row_of: Index, start: int) -> None:
    """Serve one more row, along the shortest path through the reduced costs (Dijkstra over columns)."""
    m = cost.shape[1]
    distance, before, done = numbers(m, np.inf), integers(m, -1), integers(m, 0)
    i, closest, travelled = start, -1, 0.0
    while True:
        previous, closest, least = closest, -1, np.inf
        for j in range(m):
            if done[j]:
                continue
            length = travelled + cost[i, j] - row_price[i] - column_price[j]
            if length < distance[j]:
                distance[j], before[j] = length, previous
            if distance[j] < least or (distance[j] == least and row_of[j] < 0):
                closest, least = j, distance[j]
        travelled = least
        if row_of[closest] < 0:
            break
        done[closest] = 1
        i = row_of[closest]
    row_price[start] += travelled
    for j in range(m):
        if done[j]:
            column_price[j] -= travelled - distance[j]
            row_price[row_of[j]] += travelled - distance[j]
    while closest >= 0:
        earlier = before[closest]
        row_of[closest] = row_of[earlier] if earlier >= 0 else start
        closest = earlier
