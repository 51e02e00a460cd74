"""Who is matched to whom in each frame, exactly, and where it is a tie as the official evaluator's solver has it.

Several matchings of a frame can be equally good and yet give different counts: one pair that overlaps wholly is worth
as much as two that overlap by half. The official evaluator leaves such ties to SciPy's `linear_sum_assignment`, so
here the same algorithm searches in the same order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.compiled import compiled
from tracker.compiled_arrays import integers, numbers

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
EPSILON = float(np.finfo(float).eps)


@compiled
def match(gt_first: Int64, pred_first: Int64, pair_first: Int64, pair_pred: Int64, score: Float64) -> Int64:
    """The pairs of every frame with the greatest sum of scores.

    Args:
        gt_first, pred_first: ``(F + 1,)``; the boxes of frame `f` are `first[f]` up to but without `first[f + 1]`.
        pair_first: ``(G + 1,)``; the pairs of true box `g` are `pair_first[g]` up to but without `pair_first[g + 1]`.
        pair_pred: ``(P,)`` the predicted box of each pair.
        score: ``(P,)`` at least 0; a pair of score 0, like one that is not listed, is no match.

    Returns:
        ``(G,)`` the pair of each true box, -1 for none.
    """
    chosen = integers(gt_first[-1], -1)
    for frame in range(len(gt_first) - 1):
        t0, t1, r0, r1 = gt_first[frame], gt_first[frame + 1], pred_first[frame], pred_first[frame + 1]
        match_frame(t0, t1, r0, r1, pair_first, pair_pred, score, chosen)
    return chosen


@compiled
def match_frame(
    t0: int, t1: int, r0: int, r1: int, pair_first: Int64, pair_pred: Int64, score: Float64, chosen: Int64
) -> None:
    """Write to `chosen` the pairs of one frame: true boxes `t0` up to but without `t1`, predicted ones `r0` to `r1`."""
    partners = integers(r1 - r0, 0)
    contested = False
    for gt in range(t0, t1):
        mine = 0
        for pair in range(pair_first[gt], pair_first[gt + 1]):
            if score[pair] > EPSILON:
                chosen[gt] = pair
                mine += 1
                partners[pair_pred[pair] - r0] += 1
                contested |= mine > 1 or partners[pair_pred[pair] - r0] > 1
    if not contested:  # nobody has a choice
        return
    cost = numbers((t1 - t0) * (r1 - r0), 0.0).reshape(t1 - t0, r1 - r0)
    for gt in range(t0, t1):
        for pair in range(pair_first[gt], pair_first[gt + 1]):
            cost[gt - t0, pair_pred[pair] - r0] = -score[pair]
    columns = assignment(cost)
    for gt in range(t0, t1):
        chosen[gt] = -1
        for pair in range(pair_first[gt], pair_first[gt + 1]):
            if pair_pred[pair] - r0 == columns[gt - t0] and score[pair] > EPSILON:
                chosen[gt] = pair


@compiled
def assignment(cost: Float64) -> Int64:
    """The column of each row in an assignment of least cost, -1 for a row too many.

    Args:
        cost: ``(N, M)``, finite.
    """
    n, m = cost.shape
    if n <= m:
        return _shortest_augmenting_paths(cost)
    turned = numbers(n * m, 0.0).reshape(m, n)
    for row in range(n):
        for column in range(m):
            turned[column, row] = cost[row, column]
    column_of, rows = integers(n, -1), _shortest_augmenting_paths(turned)
    for column in range(m):
        column_of[rows[column]] = column
    return column_of


@compiled
def _shortest_augmenting_paths(cost: Float64) -> Int64:
    """The column of each row, rows not more than columns (Crouse, IEEE Transactions on AES 52(4), 2016).

    Of equal columns the search takes the one that is free, then the one it meets first, from the last column to the
    first; that is SciPy's order, and decides ties.
    """
    n, m = cost.shape
    row_price, column_price = numbers(n, 0.0), numbers(m, 0.0)
    column_of, row_of = integers(n, -1), integers(m, -1)
    distance, before = numbers(m, 0.0), integers(m, 0)
    candidates, passed = integers(m, 0), integers(m, 0)
    for start in range(n):
        sink, least = _cheapest(cost[start], column_price, row_of)
        if row_of[sink] < 0:  # as for most: no need to look further
            row_price[start] = least
            column_of[start], row_of[sink] = sink, start
            continue
        for k in range(m):
            candidates[k], distance[k] = m - 1 - k, np.inf
        left, steps, travelled, row, sink = m, 0, 0.0, start, -1
        while sink < 0:
            nearest, least = -1, np.inf
            for k in range(left):
                column = candidates[k]
                length = travelled + cost[row, column] - row_price[row] - column_price[column]
                if length < distance[column]:
                    distance[column], before[column] = length, row
                if distance[column] < least or (distance[column] == least and row_of[column] < 0):
                    nearest, least = k, distance[column]
            travelled, column = least, candidates[nearest]
            left -= 1
            candidates[nearest] = candidates[left]
            if row_of[column] < 0:
                sink = column
            else:
                row = row_of[column]
                passed[steps] = column
                steps += 1
        # The rows on the tree are the start and the partners of the columns that were passed.
        row_price[start] += travelled
        for k in range(steps):
            column = passed[k]
            row_price[row_of[column]] += travelled - distance[column]
            column_price[column] -= travelled - distance[column]
        while True:
            row = before[sink]
            row_of[sink] = row
            column_of[row], sink = sink, column_of[row]
            if row == start:
                break
    return column_of


@compiled
def _cheapest(cost: Float64, column_price: Float64, row_of: Int64) -> tuple[int, float]:
    """The column that a row would take first, in the order of the search, and its reduced cost."""
    nearest, least = -1, np.inf
    for column in range(len(cost) - 1, -1, -1):
        length = cost[column] - column_price[column]
        if length < least or (length == least and row_of[column] < 0):
            nearest, least = column, length
    return nearest, least
