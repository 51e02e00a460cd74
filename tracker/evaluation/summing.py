"""Sums of a frame's overlaps, added in NumPy's order.

The official evaluator sums full matrices with NumPy, and by the last bit of these sums it decides between matchings
that are equally good on paper. Here the sums are of pairs alone, and come to the same bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.compiled import compiled
from tracker.compiled_arrays import integers, numbers

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
LANES, BLOCK = 8, 128
DEEPEST = 256
"""Enough for halving the longest row there can be."""
ADD = -1


@compiled
def sums(
    gt_first: Int64, pred_first: Int64, pair_first: Int64, pair_pred: Int64, value: Float64
) -> tuple[Float64, Float64]:
    """For each true box and for each of the tracker's, the sum over its pairs.

    Args:
        gt_first, pred_first: ``(F + 1,)``; the boxes of frame `f` are `first[f]` up to but without `first[f + 1]`.
        pair_first: ``(G + 1,)``; the pairs of true box `g` are `pair_first[g]` up to but without `pair_first[g + 1]`.
        pair_pred: ``(P,)`` the predicted box of each pair, ascending for each true box.
        value: ``(P,)``.
    """
    of_gt, of_pred = numbers(gt_first[-1], 0.0), numbers(pred_first[-1], 0.0)
    for frame in range(len(gt_first) - 1):
        t0, t1, r0, r1 = gt_first[frame], gt_first[frame + 1], pred_first[frame], pred_first[frame + 1]
        for t in range(t0, t1):
            of_gt[t] = pairwise(pair_pred, value, pair_first[t], pair_first[t + 1], r0, r1 - r0)
        begin, end = pair_first[t0], pair_first[t1]
        if r1 - r0 == 1:  # a single column lies in memory like a row, and is summed like one
            row = integers(end - begin, 0)
            for t in range(t0, t1):
                for pair in range(pair_first[t], pair_first[t + 1]):
                    row[pair - begin] = t
            of_pred[r0] = pairwise(row, value[begin:end], 0, end - begin, t0, t1 - t0)
        else:
            for pair in range(begin, end):
                of_pred[pair_pred[pair]] += value[pair]
    return of_gt, of_pred


@compiled
def pairwise(place: Int64, value: Float64, begin: int, end: int, low: int, size: int) -> float:
    """The sum of a row that is zero but for some places, as NumPy adds it (pairwise, eight lanes to a block).

    Args:
        place: of each value, ascending.
        value: what stands there.
        begin, end: the values that belong to the row.
        low: place of the row's first entry.
        size: entries of the row.
    """
    if end - begin <= 2:  # there is no other order
        few = 0.0
        for pair in range(begin, end):
            few += value[pair]
        return float(few)
    # Rows longer than a block are halved until they are not, and the halves added up in turn. A stack, and no
    # recursion: numba's cache does not bring recursive functions back whole.
    lane = numbers(LANES, 0.0)
    if size <= BLOCK:
        return _block(place, value, begin, end, low, size, lane)[0]
    sizes, totals = integers(DEEPEST, 0), numbers(DEEPEST, 0.0)
    sizes[0], waiting, done = size, 1, 0
    while waiting:
        waiting -= 1
        part = sizes[waiting]
        if part == ADD:
            done -= 1
            totals[done - 1] += totals[done]
        elif part > BLOCK:
            half = part // 2
            half -= half % LANES
            sizes[waiting], sizes[waiting + 1], sizes[waiting + 2] = ADD, part - half, half
            waiting += 3
        else:
            totals[done], begin = _block(place, value, begin, end, low, part, lane)
            done += 1
            low += part
    return float(totals[0])


@compiled
def _block(place: Int64, value: Float64, begin: int, end: int, low: int, size: int, lane: Float64) -> tuple[float, int]:
    """The sum of a part of a row, and the first value beyond it."""
    total = 0.0
    if size >= LANES:
        whole = size - size % LANES
        for i in range(LANES):
            lane[i] = 0.0
        while begin < end and place[begin] - low < whole:
            lane[(place[begin] - low) % LANES] += value[begin]
            begin += 1
        total = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]))
    while begin < end and place[begin] - low < size:
        total += value[begin]
        begin += 1
    return total, begin
