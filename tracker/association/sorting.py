"""Stable sorting of a few rows by a number: numba's own costs seconds to compile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.compiled import kernel

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]


@kernel
def sort_rows(rows: Index, count: int, keys: Float64, scratch: Index) -> None:
    """Order the first `count` of `rows` by the number that each has in `keys`, falling; equal ones stay as they are.

    Merging from the bottom up; `scratch` has room for as many.
    """
    width = 1
    while width < count:
        for begin in range(0, count, 2 * width):
            middle, end = min(begin + width, count), min(begin + 2 * width, count)
            left, right = begin, middle
            for k in range(begin, end):
                if left < middle and (right >= end or keys[rows[left]] >= keys[rows[right]]):
                    scratch[k] = rows[left]
                    left += 1
                else:
                    scratch[k] = rows[right]
                    right += 1
        for k in range(count):
            rows[k] = scratch[k]
        width *= 2


@kernel
def median(values: Float64, count: int) -> float:
    """Of the first `count`, at least one; they are sorted in place."""
    for i in range(1, count):
        value, k = values[i], i
        while k > 0 and values[k - 1] > value:
            values[k] = values[k - 1]
            k -= 1
        values[k] = value
    middle = count // 2
    return float(values[middle] if count % 2 else (values[middle - 1] + values[middle]) / 2)
